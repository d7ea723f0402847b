//! Who speaks first: early answers, late closes, clients that leave in the middle of an upload.

use std::time::{Duration, Instant};

use aurora_testkit::{FakeUpstream, Reply, Step, eventually};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{aurora, config, in_front_of, pool, routes};

const UPLOAD: &str = "POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b\r\n\
                      content-length: 1000\r\n\r\n";

#[tokio::test]
async fn a_client_that_leaves_in_an_upload_takes_the_upstream_request_with_it() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let mut client = aurora.raw().await;
    client.send(UPLOAD).await;
    client.send("half").await;
    eventually("the upload has begun", async || upstream.connections() == 1).await;

    let left = Instant::now();
    drop(client);

    eventually("the upstream sees the close", async || {
        !upstream.closed().is_empty()
    })
    .await;
    assert!(
        left.elapsed() < Duration::from_secs(1),
        "{:?}",
        left.elapsed()
    );
    assert!(upstream.requests().is_empty(), "half a request is none");
    eventually("nothing is left", async || {
        aurora.status().await["in_flight"] == 0
    })
    .await;
}

/// A server that answers with `answer` as soon as it has seen a request's head, and reads no body.
async fn hasty(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.windows(4).any(|four| four == b"\r\n\r\n") {
                socket.read_buf(&mut head).await.unwrap();
            }
            socket.write_all(answer.as_bytes()).await.unwrap();
            tokio::spawn(async move {
                // Open, so that the answer is not overtaken by a reset.
                let mut void = [0; 1024];
                while socket.read(&mut void).await.is_ok_and(|length| length > 0) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        }
    });
    format!("http://{address}/v1")
}

#[tokio::test]
async fn an_answer_that_comes_before_the_upload_is_over_is_passed_on_at_once() {
    let url = hasty(
        "HTTP/1.1 413 Too Large\r\ncontent-type: application/json\r\ncontent-length: 22\r\n\r\n{\"error\":{\"code\":\"x\"}}",
    )
    .await;
    let routes = routes("\"fake\"");
    let text = format!("[upstreams.fake]\nprotocol = \"openai\"\nbase_url = \"{url}\"\n{routes}");
    let aurora = aurora(&text).start().await;
    let mut client = aurora.raw().await;

    client.send(UPLOAD).await;
    client.send("half").await;

    let answer = client.read_until("\"x\"").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn upstreams_that_hang_up_after_each_answer_cost_no_request() {
    let upstream = FakeUpstream::with(|_| {
        let answer =
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        Reply::raw(vec![Step::Send(answer.into())])
    })
    .await;
    let aurora = in_front_of(&upstream).start().await;

    for _ in 0..50 {
        assert_eq!(aurora.chat("hi").await.status(), 200);
    }

    assert_eq!(upstream.requests().len(), 50, "and none is sent twice");
}

#[tokio::test]
async fn a_restarted_upstream_is_found_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let routes = routes("\"fake\"");
    let text = format!(
        "[upstreams.fake]\nprotocol = \"openai\"\nbase_url = \"http://{address}\"\n{routes}"
    );
    let aurora = aurora(&text).start().await;
    assert_eq!(aurora.chat("hi").await.status(), 502);

    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
            let mut head = [0; 4096];
            socket.read(&mut head).await.map(drop).unwrap_or_default();
            socket.write_all(answer).await.unwrap_or_default();
        }
    });

    assert_eq!(aurora.chat("hi").await.status(), 200);
}

#[tokio::test]
async fn many_requests_at_once_each_get_their_own_answer() {
    let upstream = FakeUpstream::with(|request| {
        let number = request.json()["n"].clone();
        Reply::json(200, &json!({ "n": number })).after(Step::Wait(Duration::from_millis(20)))
    })
    .await;
    let aurora = aurora(&config(&upstream, &pool(&["sk-a", "sk-b", "sk-c"])))
        .start()
        .await;

    let turns: Vec<_> = (0..200)
        .map(|n| {
            let request = aurora.post("/v1/chat/completions", &json!({"model": "m", "n": n}));
            tokio::spawn(async move { request.send().await.unwrap().text().await.unwrap() })
        })
        .collect();

    for (n, turn) in turns.into_iter().enumerate() {
        assert_eq!(turn.await.unwrap(), format!("{{\"n\":{n}}}"));
    }
}

#[tokio::test]
async fn a_token_with_odd_letters_is_masked_in_every_spelling() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&config(&upstream, &pool(&["sk/a+b\"c"])))
        .start()
        .await;
    // What some servers write for the same text.
    for spelling in [r#"sk/a+b\"c"#, r#"sk\/a+b\"c"#] {
        let said = format!("{{\"error\":{{\"message\":\"bad key {spelling}.\"}}}}");
        upstream.next(Reply::new(
            400,
            &[("content-type", "application/json")],
            said,
        ));

        let text = aurora.chat("hi").await.text().await.unwrap();

        assert_eq!(text, "{\"error\":{\"message\":\"bad key [redacted].\"}}");
    }
}
