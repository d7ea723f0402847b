//! A plugin that panics ends its own request and nothing else.

use aurora_testkit::{Aurora, eventually};

use super::{FIXTURE, ask, config, fixture, serving, slot, version, wait_for, with_fixture};
use crate::support::refusal;

/// The gateway and the plugin serve on.
async fn lives(aurora: &Aurora) {
    assert_eq!(serving(aurora).await, version(1), "{}", aurora.output());
}

#[tokio::test]
async fn a_panic_before_the_head_is_a_500_that_names_the_plugin() {
    let aurora = with_fixture("[plugins]\non_panic = \"keep\"").start().await;

    for place in ["handle", "poll", "twice"] {
        let refused = refusal(
            aurora
                .get(&format!("/fixture/panic/{place}"))
                .send()
                .await
                .unwrap(),
        )
        .await;
        assert_eq!(
            (refused.status, refused.code.as_str()),
            (500, "plugin_failed"),
            "{place}"
        );
        lives(&aurora).await;
    }
    aurora.wait_for_output("panicked at src/lib.rs").await;
    assert_eq!(slot(&aurora, "fixture").await["serving"]["panics"], 3);
}

#[tokio::test]
async fn a_panic_in_a_stream_is_an_error_event_and_no_end_marker() {
    let aurora = with_fixture("").start().await;

    let mut response = aurora.get("/fixture/panic/stream").send().await.unwrap();
    let mut text = String::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }

    assert_eq!(text.matches("\"version\"").count(), 2, "{text}");
    assert!(
        text.contains("\"code\":\"plugin_failed\"") && !text.contains("[DONE]"),
        "{text}"
    );
    lives(&aurora).await;
}

#[tokio::test]
async fn a_panic_while_a_request_is_dropped_hurts_nobody() {
    let aurora = with_fixture("").start().await;

    let asked = aurora.get("/fixture/panic/drop").send();
    tokio::time::timeout(std::time::Duration::from_millis(300), asked)
        .await
        .unwrap_err();

    aurora.wait_for_output("told to panic in drop").await;
    lives(&aurora).await;
}

#[tokio::test]
async fn a_panic_in_a_waker_of_a_plugin_hurts_nobody() {
    let aurora = with_fixture("").start().await;

    assert_eq!(ask(&aurora, "panic/waker").await["woken"], true);

    aurora.wait_for_output("told to panic in a waker").await;
    lives(&aurora).await;
}

#[tokio::test]
async fn a_panic_in_create_refuses_the_options_and_the_old_ones_serve_on() {
    let aurora = with_fixture("").start().await;

    aurora.write(
        "aurora.toml",
        config("[plugins.fixture]\ncreate = \"panic\""),
    );
    let error = aurora.wait_for_reload_error().await;

    assert!(error.contains("it panicked"), "{error}");
    lives(&aurora).await;
}

#[tokio::test]
async fn a_panic_in_destroy_hurts_nobody() {
    let aurora = with_fixture("[plugins.fixture]\ndestroy = \"panic\"")
        .start()
        .await;

    aurora.replace(FIXTURE, fixture(2));
    wait_for(&aurora, 2).await;
    aurora.wait_for_output("told to panic in destroy").await;

    assert_eq!(serving(&aurora).await, version(2));
}

#[tokio::test]
async fn a_destroy_that_hangs_is_left_alone_and_does_not_hold_the_process() {
    let mut aurora = with_fixture("[plugins.fixture]\ndestroy = \"hang\"")
        .start()
        .await;
    aurora.replace(FIXTURE, fixture(2));
    wait_for(&aurora, 2).await;

    aurora.signal("TERM").await;

    assert_eq!(aurora.wait_for_exit().await, Some(0));
}

#[tokio::test]
async fn a_new_version_that_panics_again_and_again_is_rolled_back_by_itself() {
    let aurora = with_fixture("[plugins]\npanics = 3").start().await;
    aurora.replace(FIXTURE, fixture(2));
    wait_for(&aurora, 2).await;

    for _ in 0..3 {
        aurora.get("/fixture/panic/poll").send().await.unwrap();
    }

    wait_for(&aurora, 1).await;
    let slot = slot(&aurora, "fixture").await;
    assert!(
        slot["refused"]["reason"]
            .as_str()
            .unwrap()
            .contains("rolled back: it panicked"),
        "{slot}"
    );
}

#[tokio::test]
async fn panics_of_a_version_with_nothing_before_it_change_nothing() {
    let aurora = with_fixture("[plugins]\npanics = 2").start().await;

    for _ in 0..4 {
        aurora.get("/fixture/panic/poll").send().await.unwrap();
    }

    lives(&aurora).await;
    eventually("metrics count them", async || {
        let text = aurora
            .client()
            .get(format!("{}/metrics", aurora.admin_url()))
            .send()
            .await
            .unwrap();
        text.text()
            .await
            .unwrap()
            .contains("aurora_plugin_panics_total{plugin=\"fixture\"} 4.0")
    })
    .await;
}
