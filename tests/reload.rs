//! Hot reload: whatever happens to the files, the result is the last good content and never an outage.

use std::time::Duration;

use aurora_testkit::{Aurora, FakeUpstream, Reply, Step, eventually};

use crate::support::{aurora, config, in_front_of};

/// A config in which the mock answers chat as `model_alias`, so that a reload can be seen from outside.
fn aliased(upstream: &FakeUpstream, to: &str) -> String {
    config(upstream, &format!("models = {{ m = \"{to}\" }}"))
}

/// The model that the upstream is asked for.
async fn asked_model(aurora: &Aurora, upstream: &FakeUpstream) -> String {
    assert_eq!(aurora.chat("hi").await.status(), 200);
    upstream.last().json()["model"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_change_in_place_is_live_without_a_restart() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&aliased(&upstream, "one")).start().await;
    assert_eq!(asked_model(&aurora, &upstream).await, "one");

    aurora.write("aurora.toml", aliased(&upstream, "two"));
    aurora.wait_for_generation(2).await;

    assert_eq!(asked_model(&aurora, &upstream).await, "two");
}

#[tokio::test]
async fn a_replace_by_rename_is_live_every_time() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&aliased(&upstream, "m0")).start().await;

    for round in 1..=3 {
        aurora.replace("aurora.toml", aliased(&upstream, &format!("m{round}")));
        aurora.wait_for_generation(round + 1).await;
        assert_eq!(asked_model(&aurora, &upstream).await, format!("m{round}"));
    }
}

#[tokio::test]
async fn a_swapped_link_is_live_as_in_a_config_map() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&aliased(&upstream, "one")).start().await;
    for (version, model) in [("v1", "one"), ("v2", "two"), ("v3", "three")] {
        std::fs::create_dir(aurora.path(version)).unwrap();
        aurora.write(&format!("{version}/aurora.toml"), aliased(&upstream, model));
    }
    // As kubelet lays it out: the file is a link through `..data`, and only that link is swapped.
    std::os::unix::fs::symlink("v1", aurora.path("..data")).unwrap();
    std::os::unix::fs::symlink("..data/aurora.toml", aurora.path("link")).unwrap();
    std::fs::rename(aurora.path("link"), aurora.path("aurora.toml")).unwrap();

    for (generation, version, model) in [(2, "v2", "two"), (3, "v3", "three")] {
        std::os::unix::fs::symlink(version, aurora.path("..data_tmp")).unwrap();
        std::fs::rename(aurora.path("..data_tmp"), aurora.path("..data")).unwrap();
        aurora.wait_for_generation(generation).await;
        assert_eq!(asked_model(&aurora, &upstream).await, model);
    }
}

#[tokio::test]
async fn a_deleted_file_changes_nothing_and_its_return_is_seen() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&aliased(&upstream, "one")).start().await;

    std::fs::remove_file(aurora.path("aurora.toml")).unwrap();
    let error = aurora.wait_for_reload_error().await;
    assert!(error.contains("cannot read `aurora.toml`"), "{error}");
    assert_eq!(asked_model(&aurora, &upstream).await, "one");

    aurora.write("aurora.toml", aliased(&upstream, "two"));
    aurora.wait_for_generation(2).await;
    assert_eq!(asked_model(&aurora, &upstream).await, "two");
    assert!(aurora.status().await["reload"]["error"].is_null());
}

#[tokio::test]
async fn a_broken_edit_leaves_the_old_routes_serving_and_says_where_it_is_wrong() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&aliased(&upstream, "one")).start().await;

    aurora.write(
        "aurora.toml",
        aliased(&upstream, "two").replacen("\"fake\"", "\"fakes\"", 1),
    );
    let error = aurora.wait_for_reload_error().await;

    assert!(
        error.contains("error[AUR0201]") && error.contains("did you mean `fake`?"),
        "{error}"
    );
    assert!(error.contains("--> aurora.toml:"), "{error}");
    assert!(
        error.contains("running config (generation 1) is unchanged"),
        "{error}"
    );
    assert_eq!(asked_model(&aurora, &upstream).await, "one");
    aurora.wait_for_output("AUR0201").await;
    let ready = aurora.admin("GET", "/ready").await;
    assert_eq!(ready.0, 200);
    assert!(ready.1["pending"][0].as_str().unwrap().contains("refused"));
}

#[tokio::test]
async fn a_refused_file_is_reported_once() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;

    aurora.write("aurora.toml", "routes = 3");
    aurora.wait_for_reload_error().await;
    let checked = aurora.status().await["reload"]["last_checked"].clone();
    aurora.write("aurora.toml", "routes = 3");
    eventually("another look", async || {
        aurora.status().await["reload"]["last_checked"] != checked
    })
    .await;

    assert_eq!(aurora.status().await["reload"]["refused"], 1);
}

#[tokio::test]
async fn a_file_written_piece_by_piece_is_taken_when_it_is_whole() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&aliased(&upstream, "one")).start().await;
    let text = aliased(&upstream, "two");
    let middle = text.find("[[routes]]").unwrap() + 5;

    aurora.write("aurora.toml", text.split_at(middle).0);
    assert_eq!(asked_model(&aurora, &upstream).await, "one");
    aurora.wait_for_reload_error().await;
    assert_eq!(asked_model(&aurora, &upstream).await, "one");
    aurora.write("aurora.toml", &text);
    aurora.wait_for_generation(2).await;

    assert_eq!(asked_model(&aurora, &upstream).await, "two");
}

#[tokio::test]
async fn a_file_caught_empty_is_never_an_empty_gateway() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&aliased(&upstream, "one")).start().await;

    aurora.write("aurora.toml", "");
    let error = aurora.wait_for_reload_error().await;

    assert!(error.contains("is empty"), "{error}");
    assert_eq!(asked_model(&aurora, &upstream).await, "one");
}

#[tokio::test]
async fn ten_quick_saves_end_with_the_last_one() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&aliased(&upstream, "m0")).start().await;

    for round in 1..=10 {
        aurora.write("aurora.toml", aliased(&upstream, &format!("m{round}")));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    eventually("the last one", async || {
        asked_model(&aurora, &upstream).await == "m10"
    })
    .await;
    let generation = aurora.generation().await;
    assert!(
        generation <= 4,
        "the burst was gathered, not followed: generation {generation}"
    );
}

#[tokio::test]
async fn a_touched_file_is_no_reload() {
    let upstream = FakeUpstream::start().await;
    let text = aliased(&upstream, "one");
    let aurora = aurora(&text).start().await;
    let checked = aurora.status().await["reload"]["last_checked"].clone();

    eventually("another look", async || {
        aurora.write("aurora.toml", &text);
        aurora.status().await["reload"]["last_checked"] != checked
    })
    .await;

    assert_eq!(aurora.generation().await, 1);
}

#[tokio::test]
async fn streams_under_way_go_on_over_a_reload() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&aliased(&upstream, "one")).start().await;
    let go_on = std::sync::Arc::new(tokio::sync::Notify::new());
    let events = FakeUpstream::chat_events("m", &["a", "b"]);
    upstream.next(
        Reply::open_events(&events[..2])
            .then(Step::Until(std::sync::Arc::clone(&go_on)))
            .then(Reply::chunk(events[2..].concat().as_bytes()))
            .then(Step::Send("0\r\n\r\n".into())),
    );
    let mut response = aurora.chat_stream("hi").await;
    let mut body = response.chunk().await.unwrap().unwrap().to_vec();

    // Even its upstream and its route are gone meanwhile.
    let other = FakeUpstream::start().await;
    aurora.write("aurora.toml", config(&other, "").replace("fake", "other"));
    aurora.wait_for_generation(2).await;
    go_on.notify_one();

    while let Some(chunk) = response.chunk().await.unwrap() {
        body.extend_from_slice(&chunk);
    }
    assert_eq!(String::from_utf8(body).unwrap(), events.concat());
    assert_eq!(aurora.chat("hi").await.status(), 200);
    assert_eq!(other.requests().len(), 1);
}

#[tokio::test]
async fn what_needs_a_restart_is_refused_by_name() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;

    std::fs::create_dir(aurora.path("elsewhere")).unwrap();
    aurora.write(
        "aurora.toml",
        format!(
            "[server]\ndata_dir = \"elsewhere\"\n{}",
            config(&upstream, "")
        ),
    );
    let error = aurora.wait_for_reload_error().await;

    assert!(error.contains("`server.data_dir` cannot change"), "{error}");
}

#[tokio::test]
async fn a_hangup_signal_and_the_admin_listener_reload_too() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&aliased(&upstream, "one")).start().await;

    let same = aurora.admin("POST", "/reload").await;
    aurora.write("aurora.toml", aliased(&upstream, "two"));
    let changed = aurora.admin("POST", "/reload").await;
    aurora.write("aurora.toml", "nonsense");
    aurora.signal("HUP").await;
    let error = aurora.wait_for_reload_error().await;
    let refused = aurora.admin("POST", "/reload").await;

    assert_eq!((same.0, &same.1["reload"]), (200, &"unchanged".into()));
    assert_eq!((changed.0, &changed.1["generation"]), (200, &2.into()));
    assert!(error.contains("aurora.toml:1"), "{error}");
    assert_eq!(refused.0, 422);
    assert!(
        refused.1["diagnostics"]
            .as_str()
            .unwrap()
            .contains("aurora.toml:1")
    );
}

#[tokio::test]
async fn a_failing_assertion_blocks_the_reload() {
    let upstream = FakeUpstream::start().await;
    let text = config(&upstream, "");
    let aurora = aurora(&text).start().await;
    let expect = "[[expect]]\nrequest = { path = \"/v1/chat/completions\" }\ngoes_to = \"fake\"\n";

    aurora.write("aurora.toml", format!("{text}\n{expect}"));
    aurora.wait_for_generation(2).await;
    let broken = format!(
        "{text}\n{}",
        expect.replace("/v1/chat/completions", "/nowhere")
    );
    aurora.write("aurora.toml", broken);
    let error = aurora.wait_for_reload_error().await;

    assert!(error.contains("AUR0303"), "{error}");
    assert_eq!(aurora.chat("hi").await.status(), 200);
}
