//! Thousands of connections, and none left to give.

use std::process::Command;
use std::time::Duration;

use aurora_testkit::{Aurora, FakeUpstream, eventually};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{MIB, connect, impatient, others_are_served};

/// Sets how many descriptors the gateway may have from now on.
fn limit(aurora: &Aurora, descriptors: usize) {
    let set = Command::new("prlimit")
        .arg(format!("--pid={}", aurora.pid()))
        .arg(format!("--nofile={descriptors}:"))
        .status()
        .unwrap();
    assert!(set.success());
}

/// As many connections as this process may have, thousands at the most.
async fn many(aurora: &Aurora, most: usize) -> Vec<TcpStream> {
    let address = aurora.url().trim_start_matches("http://").to_owned();
    let mut all = Vec::new();
    for _ in 0..most {
        match TcpStream::connect(&address).await {
            Ok(socket) => all.push(socket),
            Err(_) => break,
        }
    }
    // Some of ours are needed for the rest of the test.
    all.truncate(all.len().saturating_sub(64));
    all
}

#[tokio::test]
async fn thousands_of_idle_connections_are_closed_and_nobody_else_notices() {
    let upstream = FakeUpstream::start().await;
    let aurora = impatient(&upstream, "header_read = \"3s\"").await;
    limit(&aurora, 16_384);
    others_are_served(&aurora).await;
    let (before, memory) = (aurora.descriptors(), aurora.resident());

    let held = many(&aurora, 4000).await;

    assert!(held.len() > 500, "{}", held.len());
    for _ in 0..5 {
        others_are_served(&aurora).await;
    }
    let growth = aurora.memory_peak().saturating_sub(memory);
    assert!(growth < 64 * MIB, "memory grew by {growth}");
    eventually("they are closed", async || {
        aurora.descriptors() <= before + 8
    })
    .await;
    drop(held);
}

#[tokio::test]
async fn a_process_without_descriptors_serves_who_is_there_and_recovers() {
    let upstream = FakeUpstream::start().await;
    let aurora = impatient(&upstream, "idle = \"60s\"").await;
    let mut kept = aurora.raw().await;
    let ask = "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}";
    kept.send(ask).await;
    assert!(kept.read_until("}").await.starts_with("HTTP/1.1 200"));

    limit(&aurora, aurora.descriptors());
    let mut waiting = Vec::new();
    for _ in 0..20 {
        waiting.push(connect(&aurora).await);
    }
    aurora.wait_for_output("accept failed").await;
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        kept.send(ask).await;
        assert!(kept.read_until("}").await.starts_with("HTTP/1.1 200"));
    }

    let lines = aurora.output().matches("accept failed").count();
    assert!(lines <= 2, "{lines} lines");
    limit(&aurora, 4096);
    let last = waiting.last_mut().unwrap();
    last.write_all(b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    eventually("it accepts again", async || {
        last.try_read(&mut [0; 16]).is_ok()
    })
    .await;
    others_are_served(&aurora).await;
}
