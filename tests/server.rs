//! Listeners and connections: what a client may do on one.

use aurora_testkit::{FakeUpstream, Reply, Step, eventually};

use crate::support::{aurora, config, in_front_of, refusal};

/// A config with `settings` in its `[server]`.
fn with_server(upstream: &FakeUpstream, settings: &str) -> String {
    format!("[server]\n{settings}\n{}", config(upstream, ""))
}

#[tokio::test]
async fn several_listeners_serve_the_same_routes() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream)
        .arg("--listen=localhost:0")
        .start()
        .await;

    assert_eq!(aurora.urls().len(), 2);
    for url in aurora.urls() {
        let response = aurora
            .client()
            .get(format!("{url}/v1/ping"))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200, "{url}");
    }
}

#[tokio::test]
async fn two_free_ports_are_two_listeners() {
    let upstream = FakeUpstream::start().await;
    let mut aurora = in_front_of(&upstream)
        .arg("--listen=127.0.0.1:0")
        .start()
        .await;

    assert_eq!(aurora.urls().len(), 2);
    aurora.signal("TERM").await;
    assert_eq!(aurora.wait_for_exit().await, Some(0));
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let mut client = aurora.raw().await;

    for number in 1..=3 {
        client
            .post("/v1/embeddings", &format!("{{\"n\":{number}}}"))
            .await;
        let answer = client.read_until("}").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(upstream.last().json()["n"], number);
    }

    assert_eq!(upstream.connections(), 1, "the upstream's side is kept too");
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_order() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let mut client = aurora.raw().await;

    let one = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    client
        .send([one("/ping"), one("/v1/a"), one("/v1/b")].concat())
        .await;

    let answer = client.read_until("\"/v1/b\"").await;
    let at = |text: &str| {
        answer
            .find(text)
            .unwrap_or_else(|| panic!("{text}: {answer}"))
    };
    assert!(at("pong") < at("\"/v1/a\"") && at("\"/v1/a\"") < at("\"/v1/b\""));
}

#[tokio::test]
async fn an_old_client_is_answered_and_its_connection_closed() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let mut client = aurora.raw().await;

    client.send("GET /v1/x HTTP/1.0\r\n\r\n").await;

    let answer = client.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    assert!(answer.contains("\"target\":\"/v1/x\""), "{answer}");
}

#[tokio::test]
async fn http2_without_tls_carries_requests_side_by_side() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .no_proxy()
        .build()
        .unwrap();
    let (url, body) = (aurora.url(), r#"{"stream":true,"model":"m"}"#);
    let chat = || {
        let url = format!("{url}/v1/chat/completions");
        client.post(url).body(body).send()
    };
    upstream.next(Reply::open_events(&["data: {\"a\":1}\n\n"]).then(Step::Hang));
    let mut hanging = chat().await.unwrap();
    hanging.chunk().await.unwrap().unwrap();

    let other = chat().await.unwrap();

    assert_eq!(other.version(), reqwest::Version::HTTP_2);
    assert!(other.headers().contains_key("x-request-id"));
    assert!(other.text().await.unwrap().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_client_that_waits_for_continue_is_told_to_go_on() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let mut client = aurora.raw().await;

    client
        .send(
            "POST /v1/files HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\
             content-type: multipart/form-data; boundary=b\r\nconnection: close\r\n\r\n",
        )
        .await;
    let go_on = client.read_until("\r\n\r\n").await;
    client.send("abc").await;

    assert!(go_on.starts_with("HTTP/1.1 100"), "{go_on}");
    let answer = client.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(upstream.last().body, "abc");
}

#[tokio::test]
async fn requests_beyond_the_limit_are_told_to_come_back() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&with_server(&upstream, "max_in_flight = 1"))
        .start()
        .await;
    upstream.next(Reply::open_events(&["data: {\"a\":1}\n\n"]).then(Step::Hang));
    let mut first = aurora.chat_stream("hi").await;
    first.chunk().await.unwrap().unwrap();

    let refused = refusal(aurora.chat("hi").await).await;

    assert_eq!((refused.status, refused.retry_after), (503, Some(1)));
    assert_eq!(refused.code, "gateway_overloaded");
    assert!(
        refused.message.contains("max_in_flight"),
        "{}",
        refused.message
    );
    drop(first);
    eventually("there is room again", async || {
        aurora.chat("hi").await.status() == 200
    })
    .await;
}

#[tokio::test]
async fn an_oversized_head_is_refused_and_nobody_else_notices() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let mut client = aurora.raw().await;

    let huge = format!(
        "GET /v1/models HTTP/1.1\r\nhost: x\r\na: {}\r\n",
        "x".repeat(70_000)
    );
    client.send(huge).await;

    let answer = client.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(aurora.chat("hi").await.status(), 200);
}

#[tokio::test]
async fn what_is_no_http_is_refused_and_nobody_else_notices() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let mut client = aurora.raw().await;

    client.send("\u{16}\u{3}\u{1} hello there\r\n\r\n").await;

    let answer = client.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(aurora.chat("hi").await.status(), 200);
}

#[tokio::test]
async fn a_head_with_two_lengths_is_refused() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let mut client = aurora.raw().await;

    client
        .send("POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 40\r\n\r\n{}")
        .await;

    let answer = client.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_fit_request_id_is_kept_and_any_other_is_made_anew() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let sent = |id: &'static str| aurora.get("/v1/models").header("x-request-id", id).send();
    let id = |response: reqwest::Response| {
        let value = &response.headers()["x-request-id"];
        value.to_str().unwrap().to_owned()
    };

    assert_eq!(id(sent("trace-42").await.unwrap()), "trace-42");
    assert!(id(sent("not fit").await.unwrap()).starts_with("req_"));
    let one = id(aurora.get("/v1/models").send().await.unwrap());
    let two = id(aurora.get("/v1/models").send().await.unwrap());
    assert_ne!(one, two);
    aurora.wait_for_output("request_id=\"trace-42\"").await;
}

#[tokio::test]
async fn every_answer_has_the_request_id() {
    let upstream = FakeUpstream::start().await;
    let text = config(&upstream, "");
    let aurora = aurora(&format!("[auth]\nkeys = [\"sk-1\"]\n{text}"))
        .start()
        .await;
    upstream.next(Reply::json(400, &serde_json::json!({"error": {}})));
    let chat = "/v1/chat/completions";
    let cases = [
        ("POST", chat, "", 401),
        ("POST", chat, "sk-1", 400),
        ("POST", chat, "sk-1", 200),
        ("GET", chat, "sk-1", 405),
        ("OPTIONS", chat, "", 204),
        ("GET", "/nowhere", "sk-1", 404),
        ("GET", "/v1/../x%2f", "sk-1", 400),
        ("GET", "/ping", "", 200),
        ("HEAD", "/ping", "sk-1", 200),
    ];

    for (method, path, key, status) in cases {
        let mut client = aurora.raw().await;
        client
            .send(format!(
                "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\nx-request-id: id-7\r\n\
                 content-length: 2\r\nconnection: close\r\n\r\n{{}}"
            ))
            .await;
        let answer = client.read_to_end().await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{method} {path}: {answer}"
        );
        assert!(
            answer.contains("\r\nx-request-id: id-7\r\n"),
            "{method} {path}: {answer}"
        );
    }
}
