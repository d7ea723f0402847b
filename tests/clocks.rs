//! How long a client may take: for a request head, and between requests.

use std::time::{Duration, Instant};

use aurora_testkit::{FakeUpstream, Reply, Step};

use crate::support::{aurora, config};

const PING: &str = "GET /v1/ping HTTP/1.1\r\nhost: x\r\n\r\n";

/// A config with `settings` in its `[server]`.
fn with_server(upstream: &FakeUpstream, settings: &str) -> String {
    format!("[server]\n{settings}\n{}", config(upstream, ""))
}

#[tokio::test]
async fn half_a_head_is_not_waited_for_longer_than_header_read() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&with_server(&upstream, "header_read = \"200ms\""))
        .start()
        .await;
    let mut client = aurora.raw().await;

    let began = Instant::now();
    client
        .send("POST /v1/chat/completions HTTP/1.1\r\nho")
        .await;
    client.read_to_end().await;

    let took = began.elapsed();
    assert!(
        took > Duration::from_millis(150) && took < Duration::from_secs(3),
        "{took:?}"
    );
}

#[tokio::test]
async fn a_head_that_trickles_in_is_not_waited_for_longer_than_header_read() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&with_server(&upstream, "header_read = \"300ms\""))
        .start()
        .await;
    let mut client = aurora.raw().await;

    client.send("GET /v1/models HTTP/1.1\r\n").await;
    let trickle = async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            // Fails when the connection is gone, which is what is waited for.
            let sent = tokio::io::AsyncWriteExt::write_all(client.socket(), b"a: b\r\n").await;
            if sent.is_err() {
                break;
            }
        }
    };

    tokio::time::timeout(Duration::from_secs(5), trickle)
        .await
        .expect("the connection is closed");
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&with_server(&upstream, "header_read = \"200ms\""))
        .start()
        .await;
    let mut client = aurora.raw().await;

    let began = Instant::now();
    let answer = client.read_to_end().await;

    assert_eq!(answer, "");
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_kept_connection_may_rest_for_longer_than_a_head_may_take() {
    let upstream = FakeUpstream::start().await;
    let settings = "header_read = \"400ms\"\nidle = \"20s\"";
    let aurora = aurora(&with_server(&upstream, settings)).start().await;
    let mut client = aurora.raw().await;
    client.send(PING).await;
    client.read_until("}").await;

    tokio::time::sleep(Duration::from_millis(900)).await;
    client.send(PING).await;

    let answer = client.read_until("}").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_kept_connection_is_closed_when_it_was_idle_for_too_long() {
    let upstream = FakeUpstream::start().await;
    let settings = "header_read = \"20s\"\nidle = \"200ms\"";
    let aurora = aurora(&with_server(&upstream, settings)).start().await;
    let mut client = aurora.raw().await;
    client.send(PING).await;
    client.read_until("}").await;

    let began = Instant::now();
    client.read_to_end().await;

    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_second_head_has_its_own_clock() {
    let upstream = FakeUpstream::start().await;
    let settings = "header_read = \"200ms\"\nidle = \"20s\"";
    let aurora = aurora(&with_server(&upstream, settings)).start().await;
    let mut client = aurora.raw().await;
    client.send(PING).await;
    client.read_until("}").await;

    let began = Instant::now();
    client.send("GET /v1/mo").await;
    client.read_to_end().await;

    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_slow_answer_is_no_idle_connection() {
    let upstream = FakeUpstream::start().await;
    let settings = "header_read = \"400ms\"\nidle = \"400ms\"";
    let aurora = aurora(&with_server(&upstream, settings)).start().await;
    upstream.next(Reply::json(200, &"late".into()).after(Step::Wait(Duration::from_millis(1200))));

    let response = aurora.chat("hi").await;

    assert_eq!(response.text().await.unwrap(), "\"late\"");
}

#[tokio::test]
async fn an_answer_given_at_once_leaves_the_connection_its_idle_time() {
    let upstream = FakeUpstream::start().await;
    let settings = "header_read = \"400ms\"\nidle = \"20s\"";
    let aurora = aurora(&with_server(&upstream, settings)).start().await;
    let mut client = aurora.raw().await;
    let nowhere = PING.replace("/v1/ping", "/nowhere");
    client.send(&nowhere).await;
    client.read_until("}}").await;

    tokio::time::sleep(Duration::from_millis(900)).await;
    client.send(PING).await;

    let answer = client.read_until("}").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
