//! The Responses API over an upstream that has only chat completions.

use aurora_testkit::{FakeUpstream, Reply, Step};
use serde_json::{Value, json};

use crate::support::{aurora, config};

async fn emulating(upstream: &FakeUpstream) -> aurora_testkit::Aurora {
    let text = config(upstream, "responses = \"emulate\"");
    aurora(&format!("[server]\nkeep_alive_comment = \"100ms\"\n{text}"))
        .start()
        .await
}

/// The events of a Responses stream, as far as they came.
async fn events(mut response: reqwest::Response) -> (String, Vec<Value>, bool) {
    let mut text = String::new();
    let whole = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => text.push_str(std::str::from_utf8(&chunk).unwrap()),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = data
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    (text, events, whole)
}

#[tokio::test]
async fn a_response_is_made_of_a_chat() {
    let upstream = FakeUpstream::start().await;
    let aurora = emulating(&upstream).await;

    let body =
        json!({"model": "m", "instructions": "be brief", "input": "hi", "max_output_tokens": 50});
    let response = aurora.post("/v1/responses", &body).send().await.unwrap();

    let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(answer["status"], "completed");
    assert_eq!(answer["output"][0]["content"][0]["text"], "pong");
    assert_eq!(answer["usage"]["total_tokens"], 3);
    let sent = upstream.last();
    assert_eq!(sent.target, "/v1/chat/completions");
    assert_eq!(
        sent.json()["messages"][0],
        json!({"role": "system", "content": "be brief"})
    );
    assert_eq!(sent.json()["max_completion_tokens"], 50);
}

#[tokio::test]
async fn a_streamed_response_ends_with_its_own_marker() {
    let upstream = FakeUpstream::start().await;
    let aurora = emulating(&upstream).await;

    let body = json!({"model": "m", "stream": true, "input": "hi"});
    let response = aurora.post("/v1/responses", &body).send().await.unwrap();

    assert_eq!(
        response.headers()["content-type"],
        "text/event-stream; charset=utf-8"
    );
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    let (text, events, whole) = events(response).await;
    assert!(whole && !text.contains("[DONE]"), "{text}");
    let numbers: Vec<_> = events
        .iter()
        .map(|event| event["sequence_number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    assert_eq!(events[0]["type"], "response.created");
    assert_eq!(events.last().unwrap()["type"], "response.completed");
}

#[tokio::test]
async fn a_chat_that_breaks_off_is_a_failed_response_over_http1_and_http2() {
    let upstream = FakeUpstream::start().await;
    let aurora = emulating(&upstream).await;
    let http2 = reqwest::Client::builder()
        .http2_prior_knowledge()
        .no_proxy()
        .build()
        .unwrap();
    let url = format!("{}/v1/responses", aurora.url());
    for client in [aurora.client(), &http2] {
        let chat = FakeUpstream::chat_events("m", &["one", "two"]);
        upstream.next(Reply::open_events(&chat[..2]).then(Step::Close));

        let body = json!({"model": "m", "stream": true, "input": "hi"}).to_string();
        let (text, events, whole) =
            events(client.post(&url).body(body).send().await.unwrap()).await;

        let last = events.last().unwrap();
        assert_eq!(last["type"], "response.failed", "{text}");
        assert_eq!(last["response"]["error"]["code"], "stream_truncated");
        assert!(!whole);
    }
}

#[tokio::test]
async fn a_silent_chat_is_covered_by_comments() {
    let upstream = FakeUpstream::start().await;
    let aurora = emulating(&upstream).await;
    let chat = FakeUpstream::chat_events("m", &["one"]);
    upstream.next(
        Reply::open_events(&chat[..1])
            .then(Step::Wait(std::time::Duration::from_millis(500)))
            .then(Reply::chunk(chat[1..].concat().as_bytes()))
            .then(Step::Send("0\r\n\r\n".into())),
    );

    let body = json!({"model": "m", "stream": true, "input": "hi"});
    let (text, events, whole) =
        events(aurora.post("/v1/responses", &body).send().await.unwrap()).await;

    assert!(text.matches(": keep-alive\n\n").count() >= 2, "{text}");
    assert_eq!(events.last().unwrap()["type"], "response.completed");
    assert!(whole);
}

#[tokio::test]
async fn an_upstreams_refusal_keeps_its_status_and_words() {
    let upstream = FakeUpstream::start().await;
    let aurora = emulating(&upstream).await;
    upstream.next(Reply::json(
        400,
        &json!({"error": {"message": "too long", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}}),
    ));

    let body = json!({"model": "m", "stream": true, "input": "hi"});
    let response = aurora.post("/v1/responses", &body).send().await.unwrap();

    assert_eq!(response.status(), 400);
    let error: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(error["error"]["code"], "context_length_exceeded");
    assert_eq!(error["error"]["message"], "too long");
}

#[tokio::test]
async fn stored_responses_survive_a_restart() {
    let upstream = FakeUpstream::start().await;
    let text = config(&upstream, "responses = \"emulate\"");
    let state = tempfile::tempdir().unwrap();
    let start = async || {
        let builder = aurora(&text)
            .arg("--data-dir")
            .arg(state.path().to_str().unwrap());
        builder.start().await
    };
    let mut first = start().await;
    let answer = first
        .post("/v1/responses", &json!({"model": "m", "input": "hi"}))
        .send()
        .await
        .unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    first.signal("TERM").await;
    assert_eq!(first.wait_for_exit().await, Some(0));

    let second = start().await;
    let body = json!({"model": "m", "input": "and now?", "previous_response_id": answer["id"]});
    assert_eq!(
        second
            .post("/v1/responses", &body)
            .send()
            .await
            .unwrap()
            .status(),
        200
    );

    let messages = upstream.last().json()["messages"].clone();
    let contents: Vec<_> = messages
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["content"].clone())
        .collect();
    assert_eq!(contents, ["hi", "pong", "and now?"]);
}
