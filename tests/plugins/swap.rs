//! A new version takes the place of an old one, and nobody notices.

use aurora_testkit::{Aurora, eventually};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::{FIXTURE, config, fixture, serving, slot, version, wait_for, with_fixture};

#[tokio::test]
async fn a_rename_and_an_overwrite_both_replace_the_plugin() {
    let aurora = with_fixture("").start().await;

    aurora.replace(FIXTURE, fixture(2));
    wait_for(&aurora, 2).await;
    aurora.write(FIXTURE, fixture(3));
    wait_for(&aurora, 3).await;

    let slot = slot(&aurora, "fixture").await;
    assert_eq!(slot["serving"]["generation"], 3);
    assert_eq!(slot["can_roll_back_to"], serde_json::json!([1, 2]));
}

#[tokio::test]
async fn a_stream_ends_with_the_version_that_it_began_with() {
    let aurora = with_fixture("").start().await;
    let mut stream = aurora.get("/fixture/stream/4/300").send().await.unwrap();
    let first = stream.chunk().await.unwrap().unwrap();

    aurora.replace(FIXTURE, fixture(2));
    wait_for(&aurora, 2).await;

    let mut text = String::from_utf8(first.to_vec()).unwrap();
    while let Some(chunk) = stream.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert_eq!(text.matches(&version(1)).count(), 4, "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"));
    aurora.wait_for_output("destroyed version-0000001").await;
}

#[tokio::test]
async fn nothing_waits_for_the_time_of_a_version_that_has_gone() {
    let aurora = with_fixture("").start().await;
    wait_for(&aurora, 1).await;
    let before = aurora.metric("aurora_tasks").await;

    aurora.replace(FIXTURE, fixture(2));
    wait_for(&aurora, 2).await;
    aurora.wait_for_output("destroyed version-0000001").await;

    eventually("the tasks of before", async || {
        aurora.metric("aurora_tasks").await <= before
    })
    .await;
}

#[tokio::test]
async fn the_same_content_under_a_new_time_changes_nothing() {
    let aurora = with_fixture("").start().await;

    aurora.write(FIXTURE, fixture(1));
    let answer = aurora.admin("POST", "/reload").await;

    assert_eq!(answer.1["reload"], "unchanged");
    assert_eq!(slot(&aurora, "fixture").await["loaded_generations"], 1);
}

#[tokio::test]
async fn an_operator_goes_back_to_the_version_before_and_the_refused_one_stays_out() {
    let aurora = with_fixture("").start().await;
    aurora.replace(FIXTURE, fixture(2));
    wait_for(&aurora, 2).await;

    let (status, _) = aurora.admin("POST", "/plugins/fixture/rollback").await;

    assert_eq!(status, 200);
    assert_eq!(serving(&aurora).await, version(1));
    aurora.write("aurora.toml", config("# another config"));
    aurora.admin("POST", "/reload").await;
    assert_eq!(serving(&aurora).await, version(1));
    let (status, answer) = aurora.admin("POST", "/plugins/fixture/rollback").await;
    assert_eq!(
        (status, answer["reason"].as_str()),
        (409, Some("no version of it served before this one"))
    );

    aurora.replace(FIXTURE, fixture(3));
    wait_for(&aurora, 3).await;
}

#[tokio::test]
async fn a_version_that_cannot_be_created_or_fails_its_own_test_leaves_the_old_one_serving() {
    for (option, part) in [
        ("create", "it was told to fail"),
        ("probe", "told to fail its probe"),
    ] {
        let settings = format!("[plugins.fixture]\n{option} = \"error\"");
        let aurora = with_fixture("").start().await;

        // Both at once: the new library and the option that it cannot be built with.
        aurora.write("aurora.toml", config(&settings));
        let error = aurora.wait_for_reload_error().await;

        assert!(error.contains(part), "{error}");
        assert_eq!(serving(&aurora).await, version(1));
    }
}

#[tokio::test]
async fn when_no_more_versions_may_be_mapped_the_last_one_serves_on_and_the_operator_is_told() {
    let aurora = with_fixture("[plugins]\nmax_generations = 2").start().await;
    aurora.replace(FIXTURE, fixture(2));
    wait_for(&aurora, 2).await;

    aurora.replace(FIXTURE, fixture(3));

    aurora
        .wait_for_output("restart Aurora to load another")
        .await;
    assert_eq!(serving(&aurora).await, version(2));
    // One that is mapped already can come back.
    aurora.replace(FIXTURE, fixture(1));
    wait_for(&aurora, 1).await;
}

#[tokio::test]
async fn requests_of_an_old_version_end_when_their_time_is_over() {
    let aurora = with_fixture("[plugins]\ndrain = \"300ms\"").start().await;
    let mut stream = aurora.get("/fixture/stream/1000/50").send().await.unwrap();
    stream.chunk().await.unwrap().unwrap();

    aurora.replace(FIXTURE, fixture(2));
    wait_for(&aurora, 2).await;

    let (mut text, mut broken) = (String::new(), false);
    loop {
        match stream.chunk().await {
            Ok(Some(chunk)) => text.push_str(std::str::from_utf8(&chunk).unwrap()),
            Ok(None) => break,
            Err(_) => {
                broken = true;
                break;
            }
        }
    }
    assert!(
        broken && text.contains("plugin_replaced") && !text.contains("[DONE]"),
        "{text}"
    );
}

/// Counts of what a client saw.
#[derive(Default)]
struct Seen {
    streams: AtomicUsize,
    requests: AtomicUsize,
    stop: AtomicBool,
    /// Resident memory after the tenth swap, bytes.
    memory: AtomicU64,
    /// Threads at that time.
    threads: AtomicU64,
}

async fn follow_streams(aurora: Arc<Aurora>, seen: Arc<Seen>) {
    while !seen.stop.load(Ordering::Relaxed) {
        let response = aurora.get("/fixture/stream/20/25").send().await.unwrap();
        assert_eq!(response.status(), 200);
        let text = response.text().await.unwrap();
        let versions: std::collections::BTreeSet<&str> = text
            .match_indices("version-")
            .filter_map(|(at, _)| text.get(at..at + 15))
            .collect();
        assert!(
            versions.len() == 1 && text.ends_with("data: [DONE]\n\n"),
            "{versions:?}\n{text}"
        );
        seen.streams.fetch_add(1, Ordering::Relaxed);
    }
}

async fn ask_again_and_again(aurora: Arc<Aurora>, seen: Arc<Seen>) {
    while !seen.stop.load(Ordering::Relaxed) {
        let response = aurora.get("/fixture/version").send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.bytes().await.unwrap();
        seen.requests.fetch_add(1, Ordering::Relaxed);
    }
}

/// Swaps `count` versions under load, every tenth of them bad.
async fn swap_under_load(count: u32) -> (Arc<Aurora>, Arc<Seen>) {
    let aurora = Arc::new(
        with_fixture("[plugins]\nmax_generations = 10000")
            .start()
            .await,
    );
    let seen = Arc::new(Seen::default());
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(tokio::spawn(follow_streams(
            Arc::clone(&aurora),
            Arc::clone(&seen),
        )));
    }
    for _ in 0..2 {
        clients.push(tokio::spawn(ask_again_and_again(
            Arc::clone(&aurora),
            Arc::clone(&seen),
        )));
    }
    for number in 2..count + 2 {
        if number % 10 == 0 {
            let refused = format!("plugin refused file={}", aurora.path(FIXTURE).display());
            let before = aurora.output().matches(&refused).count();
            aurora.write(FIXTURE, format!("bad version {number}"));
            eventually("it is refused", async || {
                aurora.output().matches(&refused).count() > before
            })
            .await;
        }
        if number % 2 == 0 {
            aurora.replace(FIXTURE, fixture(number));
        } else {
            aurora.write(FIXTURE, fixture(number));
        }
        wait_for(&aurora, number).await;
        if number == 11 {
            seen.memory.store(aurora.resident(), Ordering::Relaxed);
            seen.threads.store(aurora.threads(), Ordering::Relaxed);
        }
    }
    seen.stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    (aurora, seen)
}

/// After the tenth swap threads come and go with the load, and none stays behind for each swap.
async fn no_thread_a_swap(aurora: &Aurora, seen: &Seen) {
    eventually("no thread is left of a swap", async || {
        aurora.threads() <= seen.threads.load(Ordering::Relaxed) + 5
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_under_load_fail_no_request_and_mix_no_versions() {
    let (aurora, seen) = swap_under_load(25).await;

    assert!(
        seen.streams.load(Ordering::Relaxed) > 8 && seen.requests.load(Ordering::Relaxed) > 100
    );
    // Each bad version was refused, and said so once.
    let refused = aurora.output().matches("plugin refused").count();
    assert_eq!(refused, 2, "{}", aurora.output());
    eventually("the old ones are destroyed", async || {
        aurora.output().matches("destroyed version-").count() == 25
    })
    .await;
    no_thread_a_swap(&aurora, &seen).await;
}

/// A thousand swaps take about ten minutes: `just swaps`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes ten minutes; the same with 25 swaps runs always"]
async fn a_thousand_swaps_under_load() {
    let asked = std::env::var("SWAPS").ok();
    let count = asked.and_then(|count| count.parse().ok()).unwrap_or(1000);

    let (aurora, seen) = swap_under_load(count).await;

    eventually("the old ones are destroyed", async || {
        aurora.output().matches("destroyed version-").count() == count as usize
    })
    .await;
    no_thread_a_swap(&aurora, &seen).await;
    let (streams, requests) = (
        seen.streams.load(Ordering::Relaxed),
        seen.requests.load(Ordering::Relaxed),
    );
    let refused = aurora.output().matches("plugin refused").count();
    let grown = aurora.resident() - seen.memory.load(Ordering::Relaxed);
    println!(
        "{count} swaps: {streams} streams, {requests} requests, {refused} bad versions refused, {} KiB more a swap",
        grown / 1024 / u64::from(count - 10)
    );
    assert_eq!(refused, (count as usize + 1) / 10);
}
