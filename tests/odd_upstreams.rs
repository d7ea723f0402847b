//! Upstreams that answer in ways that no API should.

use std::time::{Duration, Instant};

use aurora_testkit::{FakeUpstream, Reply, Step};

use serde_json::json;

use crate::support::{aurora, config, in_front_of, refusal};

#[tokio::test]
async fn an_error_body_that_drips_for_ever_is_cut() {
    let upstream = FakeUpstream::start().await;
    let settings = "timeouts = { idle = \"60s\" }";
    let aurora = aurora(&config(&upstream, settings)).start().await;
    let head =
        "HTTP/1.1 400 Bad\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut drip = Reply::raw(vec![Step::Send(head.into())]);
    for _ in 0..300 {
        drip = drip
            .then(Reply::chunk(b" "))
            .then(Step::Wait(Duration::from_millis(100)));
    }
    upstream.next(drip);

    let asked = Instant::now();
    let refused = refusal(aurora.chat("hi").await).await;

    assert_eq!(refused.status, 400);
    assert!(
        asked.elapsed() < Duration::from_secs(20),
        "{:?}",
        asked.elapsed()
    );
}

#[tokio::test]
async fn statuses_between_the_gateway_and_its_upstream_are_not_the_clients() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&config(&upstream, "")).start().await;

    for head in [
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n",
    ] {
        for _ in 0..4 {
            upstream.next(Reply::raw(vec![Step::Send(head.into())]));
        }
        let refused = refusal(aurora.chat("hi").await).await;
        assert_eq!(
            (refused.status, refused.code.as_str()),
            (502, "upstream_error"),
            "{head}"
        );
    }
}

#[tokio::test]
async fn a_length_beside_chunks_means_nothing() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;

    for length in ["50", "1"] {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             transfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
        );
        upstream.next(Reply::raw(vec![Step::Send(head.into())]));
        let answer = aurora.chat("hi").await;
        assert!(!answer.headers().contains_key("content-length"));
        assert_eq!(answer.text().await.unwrap(), "{}", "{length}");
    }
}

#[tokio::test]
async fn an_event_stream_without_a_coding_is_followed_even_where_that_is_said() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: identity\r\n\
                connection: close\r\n\r\n";
    let event = FakeUpstream::chat_events("m", &["half"]).remove(1);
    upstream.next(Reply::raw(vec![
        Step::Send(head.into()),
        Step::Send(event.into()),
    ]));

    let mut answer = aurora.chat_stream("hi").await;
    let mut text = String::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        text.push_str(&String::from_utf8_lossy(&chunk));
    }

    assert!(text.contains("stream_truncated"), "{text}");
}

#[tokio::test]
async fn events_that_say_nothing_do_not_break_a_response() {
    let upstream = FakeUpstream::start().await;
    let text = config(&upstream, "responses = \"emulate\"");
    let aurora = aurora(&text).start().await;
    let mut events = FakeUpstream::chat_events("m", &["pong"]);
    let nothing = json!({"object": "chat.completion.chunk", "choices": null, "usage": null});
    events.insert(1, "data:\n\n".to_owned());
    events.insert(2, format!("data: {nothing}\n\n"));
    // vLLM and OpenRouter say the same twice.
    let both =
        json!({"content": "", "tool_calls": null, "reasoning": "so", "reasoning_content": "so"});
    let twice =
        json!({"id": null, "choices": [{"index": 0, "delta": both}, {"index": 0, "delta": null}]});
    events.insert(3, format!("data: {twice}\n\n"));
    upstream.next(Reply::events(&events));

    let body = json!({"model": "m", "input": "hi"});
    let answer = aurora.post("/v1/responses", &body).send().await.unwrap();

    let text = answer.text().await.unwrap();
    assert!(text.contains("pong"), "{text}");
}
