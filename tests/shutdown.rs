//! How it stops: nothing under way is lost that can be waited for, and nothing hangs for ever.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aurora_testkit::{Aurora, FakeUpstream, Reply, Step, eventually};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::support::{aurora, config, in_front_of, refusal};

async fn draining(aurora: &Aurora) {
    eventually("the drain has begun", async || {
        aurora.admin("GET", "/ready").await.0 == 503
    })
    .await;
}

/// A stream that has begun and goes on when it is told to.
async fn open_stream(aurora: &Aurora, upstream: &FakeUpstream) -> (reqwest::Response, Arc<Notify>) {
    let go_on = Arc::new(Notify::new());
    let events = FakeUpstream::chat_events("m", &["a", "b"]);
    upstream.next(
        Reply::open_events(&events[..1])
            .then(Step::Until(Arc::clone(&go_on)))
            .then(Reply::chunk(events[1..].concat().as_bytes()))
            .then(Step::Send("0\r\n\r\n".into())),
    );
    let mut stream = aurora.chat_stream("hi").await;
    stream.chunk().await.unwrap().unwrap();
    (stream, go_on)
}

/// What still comes of a stream, and whether it ended well.
async fn rest(mut stream: reqwest::Response) -> (String, bool) {
    let mut text = String::new();
    loop {
        match stream.chunk().await {
            Ok(Some(chunk)) => text.push_str(&String::from_utf8_lossy(&chunk)),
            Ok(None) => return (text, true),
            Err(_) => return (text, false),
        }
    }
}

#[tokio::test]
async fn a_stop_waits_for_what_is_under_way_and_takes_no_more() {
    let upstream = FakeUpstream::start().await;
    let mut aurora = in_front_of(&upstream).start().await;
    let (stream, go_on) = open_stream(&aurora, &upstream).await;

    aurora.signal("TERM").await;
    draining(&aurora).await;

    let address = aurora.url().trim_start_matches("http://").to_owned();
    eventually("new connections are refused", async || {
        TcpStream::connect(&address).await.is_err()
    })
    .await;
    assert_eq!(aurora.admin("GET", "/health").await.0, 200);
    let (_, ready) = aurora.admin("GET", "/ready").await;
    assert_eq!(ready["pending"][0], "draining: 1 requests under way");
    go_on.notify_one();
    let (text, whole) = rest(stream).await;
    assert!(whole && text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(aurora.wait_for_exit().await, Some(0));
}

#[tokio::test]
async fn a_turn_without_a_stream_is_finished_too() {
    let upstream = FakeUpstream::start().await;
    let mut aurora = in_front_of(&upstream).start().await;
    let go_on = Arc::new(Notify::new());
    upstream.next(Reply::json(200, &"late".into()).after(Step::Until(Arc::clone(&go_on))));
    let turn = aurora
        .post("/v1/chat/completions", &serde_json::json!({}))
        .send();
    let turn = tokio::spawn(turn);
    eventually("the upstream is asked", async || {
        !upstream.requests().is_empty()
    })
    .await;

    aurora.signal("INT").await;
    draining(&aurora).await;
    go_on.notify_one();

    let response = turn.await.unwrap().unwrap();
    assert_eq!(response.text().await.unwrap(), "\"late\"");
    assert_eq!(aurora.wait_for_exit().await, Some(0));
}

#[tokio::test]
async fn quiet_connections_do_not_hold_the_stop_up() {
    let upstream = FakeUpstream::start().await;
    let mut aurora = in_front_of(&upstream).start().await;
    let (mut fresh, mut used) = (aurora.raw().await, aurora.raw().await);
    used.send("GET /ping HTTP/1.1\r\nhost: x\r\n\r\n").await;
    used.read_until("pong").await;

    let began = Instant::now();
    aurora.signal("TERM").await;

    assert_eq!(aurora.wait_for_exit().await, Some(0));
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(used.read_to_end().await + &fresh.read_to_end().await, "");
}

#[tokio::test]
async fn a_stream_that_does_not_end_is_ended_with_an_error_event() {
    let upstream = FakeUpstream::start().await;
    let text = format!("[server]\ndrain = \"200ms\"\n{}", config(&upstream, ""));
    let mut aurora = aurora(&text).start().await;
    let (stream, _go_on) = open_stream(&aurora, &upstream).await;

    aurora.signal("TERM").await;

    let (text, whole) = rest(stream).await;
    assert!(text.contains("gateway_shutting_down"), "{text}");
    assert!(!text.contains("[DONE]") && !whole, "{text}");
    assert_eq!(aurora.wait_for_exit().await, Some(0));
    assert!(
        aurora.output().contains("end=\"shutdown\""),
        "{}",
        aurora.output()
    );
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_the_deadline() {
    let upstream = FakeUpstream::start().await;
    let mut aurora = in_front_of(&upstream).start().await;
    let (stream, _go_on) = open_stream(&aurora, &upstream).await;
    let began = Instant::now();
    aurora.signal("TERM").await;
    draining(&aurora).await;

    aurora.signal("TERM").await;

    let (text, _) = rest(stream).await;
    assert!(text.contains("gateway_shutting_down"), "{text}");
    assert_eq!(aurora.wait_for_exit().await, Some(0));
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn who_still_waits_for_an_answer_at_the_deadline_is_told_why() {
    let upstream = FakeUpstream::with(|_| Reply::raw(vec![Step::Hang])).await;
    let text = format!("[server]\ndrain = \"200ms\"\n{}", config(&upstream, ""));
    let mut aurora = aurora(&text).start().await;
    let turn = aurora
        .post("/v1/chat/completions", &serde_json::json!({}))
        .send();
    let turn = tokio::spawn(turn);
    eventually("the upstream is asked", async || {
        !upstream.requests().is_empty()
    })
    .await;

    aurora.signal("TERM").await;

    let refused = refusal(turn.await.unwrap().unwrap()).await;
    assert_eq!(
        (refused.status, refused.code.as_str()),
        (503, "gateway_shutting_down")
    );
    assert_eq!(aurora.wait_for_exit().await, Some(0));
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_storm_of_hangups_disturbs_nobody() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let (stream, go_on) = open_stream(&aurora, &upstream).await;

    for round in 0..50 {
        aurora.signal("HUP").await;
        let turn = aurora.get(&format!("/v1/{round}")).send().await.unwrap();
        assert_eq!(turn.status(), 200);
    }

    go_on.notify_one();
    assert!(rest(stream).await.1);
    assert_eq!(aurora.generation().await, 1, "nothing had changed");
    assert!(!aurora.output().contains("panicked"), "{}", aurora.output());
}

#[tokio::test]
async fn a_stop_right_after_the_start_is_a_stop() {
    let upstream = FakeUpstream::start().await;
    let mut aurora = in_front_of(&upstream).start().await;

    aurora.signal("TERM").await;

    assert_eq!(aurora.wait_for_exit().await, Some(0));
    aurora.wait_for_output("stopped").await;
}
