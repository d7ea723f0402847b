//! Bodies on their way up: streamed, bounded, never held.

use std::time::Duration;

use aurora_testkit::{FakeUpstream, Reply, eventually};
use tokio::io::AsyncWriteExt;

use crate::support::{aurora, config, in_front_of};

/// Head of a multipart upload of `length` bytes in all.
fn upload_head(length: u64) -> String {
    format!(
        "POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n"
    )
}

#[tokio::test]
async fn a_gibibyte_is_uploaded_without_landing_in_memory() {
    let upstream = FakeUpstream::start().await;
    upstream.keep_bodies(false);
    let aurora = in_front_of(&upstream).start().await;
    aurora.chat("warm up").await.bytes().await.unwrap();
    let before = aurora.resident();
    let (length, block) = (1024 * 1024 * 1024_u64, vec![b'x'; 1024 * 1024]);
    let mut client = aurora.raw().await;

    client.send(upload_head(length)).await;
    let mut most = 0_u64;
    for sent in 0..1024 {
        client.socket().write_all(&block).await.unwrap();
        if sent % 64 == 0 {
            most = most.max(aurora.resident());
        }
    }

    let answer = client.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(upstream.last().body_length as u64, length);
    assert_eq!(upstream.last().header("content-length"), Some("1073741824"));
    let growth = most.saturating_sub(before);
    assert!(growth < 16 * 1024 * 1024, "memory grew by {growth} bytes");
}

#[tokio::test]
async fn an_upload_reaches_the_upstream_while_the_client_still_sends() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let mut client = aurora.raw().await;

    client.send(upload_head(10)).await;
    client.send("12345").await;

    eventually("the upstream connection", async || {
        upstream.connections() == 1
    })
    .await;
    client.send("67890").await;
    let answer = client.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(upstream.last().body, "1234567890");
}

#[tokio::test]
async fn a_json_body_beyond_its_limit_is_refused_with_the_limits_name() {
    let upstream = FakeUpstream::start().await;
    let text = format!("[server]\nmax_body = \"1KiB\"\n{}", config(&upstream, ""));
    let aurora = aurora(&text).start().await;

    let response = aurora.chat(&"x".repeat(2000)).await;

    assert_eq!(response.status(), 413);
    let body = response.text().await.unwrap();
    assert!(
        body.contains("request_too_large") && body.contains("max_body"),
        "{body}"
    );
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_route_sets_its_own_limit() {
    let upstream = FakeUpstream::start().await;
    let text = config(&upstream, "").replacen(
        "plugin = \"chat\"",
        "plugin = \"chat\"\nmax_body = \"1KiB\"",
        1,
    );
    let aurora = aurora(&text).start().await;

    let refused = aurora.chat(&"x".repeat(2000)).await;
    let body = serde_json::json!({"model": "m", "input": "x".repeat(2000)});
    let taken = aurora.post("/v1/embeddings", &body).send().await.unwrap();

    assert_eq!(refused.status(), 413);
    assert_eq!(taken.status(), 200);
}

#[tokio::test]
async fn an_upload_that_lies_about_its_length_is_cut_at_the_limit() {
    let upstream = FakeUpstream::start().await;
    let text = format!(
        "[server]\nmax_upload = \"64KiB\"\n{}",
        config(&upstream, "")
    );
    let aurora = aurora(&text).start().await;
    let mut client = aurora.raw().await;

    client
        .send(
            "POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b\r\n\
             transfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        )
        .await;
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    client.send(chunk.repeat(3)).await;

    let answer = client.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_client_that_stops_sending_is_told_so() {
    let upstream = FakeUpstream::start().await;
    let text = format!(
        "[server]\nbody_read_gap = \"200ms\"\n{}",
        config(&upstream, "")
    );
    let aurora = aurora(&text).start().await;
    let mut client = aurora.raw().await;

    client.send(upload_head(10)).await;
    client.send("123").await;

    let answer = client.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("request_body_timeout"), "{answer}");
}

#[tokio::test]
async fn uploads_do_not_share_connections_that_may_be_closing() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    assert_eq!(aurora.chat("hi").await.status(), 200);
    assert_eq!(aurora.chat("hi").await.status(), 200);
    assert_eq!(upstream.connections(), 1);

    let mut client = aurora.raw().await;
    client.send(upload_head(3)).await;
    client.send("123").await;
    client.read_to_end().await;

    assert_eq!(upstream.last().target, "/v1/files");
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn a_long_upload_is_not_a_slow_upstream() {
    let upstream = FakeUpstream::start().await;
    let text = config(&upstream, "timeouts = { first_byte = \"300ms\" }");
    let aurora = aurora(&text).start().await;
    let mut client = aurora.raw().await;

    client.send(upload_head(10)).await;
    for byte in ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0"] {
        client.send(byte).await;
        tokio::time::sleep(Duration::from_millis(60)).await;
    }

    let answer = client.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_download_is_streamed_with_its_length_and_type() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let content = vec![7_u8; 3 * 1024 * 1024];
    let headers = [
        ("content-type", "application/pdf"),
        ("content-disposition", "attachment; filename=\"a.pdf\""),
    ];
    upstream.next(Reply::new(200, &headers, &content));

    let response = aurora.get("/v1/files/file-1/content").send().await.unwrap();

    assert_eq!(upstream.last().target, "/v1/files/file-1/content");
    assert_eq!(
        response.headers()["content-length"],
        content.len().to_string().as_str()
    );
    assert_eq!(response.headers()["content-type"], "application/pdf");
    assert_eq!(
        response.headers()["content-disposition"],
        "attachment; filename=\"a.pdf\""
    );
    assert_eq!(response.bytes().await.unwrap(), content);
}
