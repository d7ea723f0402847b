//! A slow reader slows the upstream down; nothing piles up in between.

use std::time::Duration;

use aurora_testkit::{FakeUpstream, Reply, Step};
use bytes::Bytes;

use crate::support::in_front_of;

const CHUNK: usize = 1024 * 1024;
const CHUNKS: usize = 200;

#[tokio::test]
async fn a_slow_reader_costs_no_memory() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    aurora.chat("warm up").await.bytes().await.unwrap();
    let before = aurora.resident();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
        CHUNK * CHUNKS
    );
    let mut steps = vec![Step::Send(head.into())];
    steps.extend(vec![Step::Send(Bytes::from(vec![7; CHUNK])); CHUNKS]);
    upstream.next(Reply::raw(steps));

    let mut response = aurora.get("/v1/files/big/content").send().await.unwrap();
    let (mut received, mut most, mut reads) = (0, 0, 0);
    while let Some(chunk) = response.chunk().await.unwrap() {
        received += chunk.len();
        reads += 1;
        most = most.max(aurora.resident());
        // The pace of a reader on a slow line, for the first part.
        tokio::time::sleep(Duration::from_millis(if reads < 50 { 20 } else { 0 })).await;
    }

    assert_eq!(received, CHUNK * CHUNKS);
    let growth = most.saturating_sub(before);
    assert!(growth < 16 * 1024 * 1024, "memory grew by {growth} bytes");
}

#[tokio::test]
async fn a_reader_that_stops_holds_only_its_own_stream() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
        CHUNK * CHUNKS
    );
    let mut steps = vec![Step::Send(head.into())];
    steps.extend(vec![Step::Send(Bytes::from(vec![7; CHUNK])); CHUNKS]);
    upstream.next(Reply::raw(steps));
    let stopped = aurora.get("/v1/files/big/content").send().await.unwrap();

    for _ in 0..20 {
        assert_eq!(aurora.chat("hi").await.status(), 200);
    }

    assert_eq!(aurora.status().await["in_flight"], 1);
    drop(stopped);
}
