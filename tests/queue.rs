//! Upstreams whose places are all taken make requests wait in line.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aurora_testkit::{FakeUpstream, Reply, Step, eventually};
use tokio::sync::Notify;

use crate::breaker::{alone, pong};
use crate::support::refusal;

#[tokio::test]
async fn requests_wait_for_a_place_and_are_served_in_turn() {
    let gate = Arc::new(Notify::new());
    let waiting = Arc::clone(&gate);
    let one = FakeUpstream::with(move |_| pong().after(Step::Until(Arc::clone(&waiting)))).await;
    let aurora = alone(&one, "max_concurrency = 1\nmax_queue = 2").await;

    let chats = futures_util::future::join_all((0..4).map(|_| aurora.chat("hi")));
    let play = async {
        eventually("one is served, two wait, one is refused", async || {
            let queued = "aurora_upstream_requests_queued{upstream=\"one\"}";
            aurora.metric(queued).await == 2
                && aurora.metric("aurora_requests_total{status=\"503\"}").await == 1
        })
        .await;
        assert_eq!(one.requests().len(), 1);
        for served in 1..=3 {
            eventually("the next", async || one.requests().len() == served).await;
            gate.notify_one();
        }
    };
    let (answers, ()) = tokio::join!(chats, play);

    let mut statuses: Vec<u16> = answers
        .iter()
        .map(|answer| answer.status().as_u16())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 503]);
}

#[tokio::test]
async fn who_waits_too_long_for_a_place_is_told() {
    let one = FakeUpstream::start().await;
    let aurora = alone(&one, "max_concurrency = 1\nqueue_wait = \"300ms\"").await;
    one.next(Reply::open_events(&["data: {\"a\":1}\n\n"]).then(Step::Hang));
    let mut first = aurora.chat_stream("hi").await;
    first.chunk().await.unwrap().unwrap();

    let began = Instant::now();
    let second = refusal(aurora.chat("hi").await).await;

    assert_eq!(
        (second.status, second.code.as_str()),
        (503, "no_upstream_available")
    );
    assert!(
        second.message.contains("its limit of 1 requests"),
        "{}",
        second.message
    );
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(
        aurora
            .metric("aurora_upstream_requests_queued{upstream=\"one\"}")
            .await
            == 0
    );
}

#[tokio::test]
async fn who_gives_up_while_waiting_leaves_the_line() {
    let one = FakeUpstream::start().await;
    let aurora = alone(&one, "max_concurrency = 1").await;
    one.next(Reply::open_events(&["data: {\"a\":1}\n\n"]).then(Step::Hang));
    let mut first = aurora.chat_stream("hi").await;
    first.chunk().await.unwrap().unwrap();
    let queued = async || {
        let series = "aurora_upstream_requests_queued{upstream=\"one\"}";
        aurora.metric(series).await
    };

    let mut waiting = aurora.raw().await;
    let body = r#"{"model":"m","messages":[]}"#;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ";
    waiting
        .send(&format!("{head}{}\r\n\r\n{body}", body.len()))
        .await;
    eventually("it waits", async || queued().await == 1).await;
    drop(waiting);

    eventually("it has left", async || queued().await == 0).await;
    assert_eq!(one.requests().len(), 1);
}
