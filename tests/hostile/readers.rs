//! Clients that stop reading: after `body_write_gap` their upstream is let go. Slow ones are not cut.

use std::time::{Duration, Instant};

use aurora_testkit::{Aurora, FakeUpstream, Reply, Step, eventually};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{connect, impatient, others_are_served};

const CHUNK: usize = 256 * 1024;

/// An answer of `chunks` pieces, larger than what the system holds by itself.
fn large(upstream: &FakeUpstream, chunks: usize) {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
        CHUNK * chunks
    );
    let mut steps = vec![Step::Send(head.into())];
    steps.extend(vec![Step::Send(Bytes::from(vec![7; CHUNK])); chunks]);
    upstream.next(Reply::raw(steps));
}

async fn lets_go(upstream: &FakeUpstream, aurora: &Aurora, began: Instant) {
    eventually("the upstream is let go", async || {
        !upstream.closed().is_empty()
    })
    .await;
    let took = began.elapsed();
    assert!(took > Duration::from_millis(400), "{took:?}");
    assert!(took < Duration::from_secs(8), "{took:?}");
    aurora.wait_for_output("end=\"client_stopped\"").await;
    assert_eq!(aurora.status().await["in_flight"], 0);
    let metric = "aurora_responses_total{end=\"client_stopped\"}";
    assert_eq!(aurora.metric(metric).await, 1);
}

#[tokio::test]
async fn a_reader_that_stops_is_let_go_and_its_upstream_with_it() {
    let upstream = FakeUpstream::start().await;
    let aurora = impatient(&upstream, "body_write_gap = \"500ms\"").await;
    large(&upstream, 200);
    let mut socket = connect(&aurora).await;

    let began = Instant::now();
    socket
        .write_all(b"GET /v1/files/x/content HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();

    lets_go(&upstream, &aurora, began).await;
    others_are_served(&aurora).await;
}

#[tokio::test]
async fn an_http2_reader_that_shuts_its_window_is_let_go_while_its_connection_lives() {
    let upstream = FakeUpstream::start().await;
    let aurora = impatient(&upstream, "body_write_gap = \"500ms\"").await;
    large(&upstream, 200);
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .no_proxy()
        .build()
        .unwrap();
    let url = format!("{}/v1/files/x/content", aurora.url());

    let began = Instant::now();
    let mut stopped = client.get(&url).send().await.unwrap();

    lets_go(&upstream, &aurora, began).await;
    let other = client.get(format!("{}/v1/ping", aurora.url()));
    assert_eq!(other.send().await.unwrap().status(), 200);
    let rest = async {
        while stopped.chunk().await?.is_some() {}
        Ok::<_, reqwest::Error>(())
    };
    rest.await.expect_err("the stream was reset");
}

#[tokio::test]
async fn a_slow_reader_that_moves_is_not_cut() {
    let upstream = FakeUpstream::start().await;
    let settings = "body_write_gap = \"1s\"";
    let aurora = impatient(&upstream, settings).await;
    for version in [1, 2] {
        // Longer than the gap as a whole, and never as long without a byte taken.
        large(&upstream, 64);
        let mut builder = reqwest::Client::builder().no_proxy();
        if version == 2 {
            builder = builder.http2_prior_knowledge();
        }
        let client = builder.build().unwrap();
        let url = format!("{}/v1/files/x/content", aurora.url());
        let mut response = client.get(url).send().await.unwrap();
        let (began, mut received) = (Instant::now(), 0);
        while let Some(chunk) = response.chunk().await.unwrap() {
            received += chunk.len();
            if began.elapsed() < Duration::from_secs(3) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        assert_eq!(received, CHUNK * 64);
    }
    assert!(!aurora.output().contains("client_stopped"));
}

#[tokio::test]
async fn an_answer_that_is_still_being_taken_is_no_idle_connection() {
    let upstream = FakeUpstream::start().await;
    let aurora = impatient(&upstream, "idle = \"300ms\"\nbody_write_gap = \"10s\"").await;
    large(&upstream, 200);
    let mut socket = connect(&aurora).await;
    let request = "GET /v1/files/x/content HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    socket.write_all(request.as_bytes()).await.unwrap();

    // Longer than a connection may be idle; the last piece waits inside of the gateway all the while.
    let (mut received, began) = (0, Instant::now());
    let mut space = vec![0; CHUNK];
    loop {
        let length = socket.read(&mut space).await.unwrap();
        received += length;
        if length == 0 {
            break;
        }
        if began.elapsed() < Duration::from_secs(2) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    assert!(received > CHUNK * 200, "{received}");
}
