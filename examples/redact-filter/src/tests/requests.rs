//! What clients send.

use aurora_sdk::testing::{self, FakeHost, Passed};
use aurora_sdk::{Body, Request, Response};

use super::*;
use crate::Redact;

fn send(request: impl Into<Request>) -> (Passed, FakeHost) {
    let host = FakeHost::new();
    let options = json!({ "words": ["Project X"], "replacement": "#" });
    let answer = Response::json(&json!({})).unwrap();
    (
        host.filter(&Redact, options, request, answer).unwrap(),
        host,
    )
}

fn post() -> testing::TestRequest {
    testing::request("POST", "/v1/chat/completions")
}

/// The body that the handler reads.
fn body(passed: Passed) -> Vec<u8> {
    let body = passed.request.unwrap().body;
    testing::wait(body.read_all(u64::MAX)).unwrap().to_vec()
}

fn masked(body_: &Value) -> Value {
    let (passed, _) = send(post().json(body_));
    serde_json::from_slice(&body(passed)).unwrap()
}

#[test]
fn all_texts_of_a_request_are_masked() {
    let user = |content: Value| json!({ "messages": [{ "role": "user", "content": content }] });
    let call = |arguments: &str| {
        let function = json!({ "name": "f", "arguments": arguments });
        json!({ "messages": [{ "role": "assistant", "content": null, "tool_calls": [{ "function": function }] }] })
    };
    let table = [
        (user(json!("I am ann@example.com")), user(json!("I am #"))),
        (
            user(json!([{ "type": "text", "text": "Project X" }])),
            user(json!([{ "type": "text", "text": "#" }])),
        ),
        (
            json!({ "instructions": "a@b.cc", "input": ["c@d.ee", "ok"], "user": "e@f.gg" }),
            json!({ "instructions": "#", "input": ["#", "ok"], "user": "#" }),
        ),
        (
            json!({ "input": [{ "type": "function_call_output", "output": "+49 30 1234567" }] }),
            json!({ "input": [{ "type": "function_call_output", "output": "#" }] }),
        ),
        (
            call(r#"{"to":"a@b.cc","card":4111111111111111,"n":5}"#),
            call(r##"{"card":"#","n":5,"to":"#"}"##),
        ),
        (call("a@b.cc"), call("#")),
        (
            json!({ "system": "a@b.cc", "messages": [{ "content": [{ "type": "tool_use", "input": { "x": "a@b.cc" } }] }] }),
            json!({ "system": "#", "messages": [{ "content": [{ "type": "tool_use", "input": { "x": "#" } }] }] }),
        ),
        (
            json!({ "metadata": { "who": "a@b.cc" } }),
            json!({ "metadata": { "who": "#" } }),
        ),
        (json!({ "prompt": "a@b.cc" }), json!({ "prompt": "#" })),
    ];
    for (sent, expected) in table {
        assert_eq!(masked(&sent), expected);
    }
}

#[test]
fn what_is_no_text_stays() {
    let image =
        json!({ "type": "image_url", "image_url": { "url": "https://x.example/ann@example.com" } });
    let file = json!({ "type": "file", "file": { "file_data": "4111111111111111" } });
    let sent = json!({
        "model": "a@b.cc", "seed": 4_111_111_111_111_111_u64, "logprobs": true,
        "messages": [{ "role": "user", "content": [image, file] }],
    });

    assert_eq!(masked(&sent), sent);
}

#[test]
fn a_request_with_nothing_to_mask_keeps_every_byte() {
    let text = r#" {"b": 1.50, "a":"ok",  "messages":[]} "#;

    let (passed, host) = send(post().body(text.to_owned()));

    assert_eq!(body(passed), text.as_bytes());
    assert!(host.recorded().is_empty());
}

#[test]
fn json_is_masked_whatever_it_is_called_and_however_it_comes() {
    let text = "  \n{\"prompt\": \"ann@example.com\"}";
    let pieces: Vec<_> = text.bytes().map(|byte| Ok(vec![byte].into())).collect();
    let stream = Body::stream(Box::pin(Pieces(pieces.into())), None);
    let request = post()
        .header("content-type", "application/x-www-form-urlencoded")
        .body(stream);

    let (passed, host) = send(request);

    assert_eq!(body(passed), br##"{"prompt":"#"}"##);
    let recorded = host.recorded();
    assert_eq!(recorded.len(), 1);
    assert_eq!(
        (recorded[0].metric.as_str(), recorded[0].value),
        ("masked_total", 1.0)
    );
    assert_eq!(recorded[0].labels["way"], "request");
}

#[test]
fn what_is_no_json_goes_on_as_it_comes() {
    let form = "--x\r\n\r\nann@example.com\r\n--x--";
    let pieces: Vec<_> = form
        .as_bytes()
        .chunks(5)
        .map(|piece| Ok(piece.to_vec().into()))
        .collect();
    let stream = Body::stream(Box::pin(Pieces(pieces.into())), Some(form.len() as u64));
    let request = post()
        .header("content-type", "multipart/form-data; boundary=x")
        .body(stream)
        .max_body(6);

    let (passed, _) = send(request);

    assert_eq!(
        passed.request.as_ref().unwrap().body.length(),
        Some(form.len() as u64)
    );
    assert_eq!(body(passed), form.as_bytes());
    let (broken, _) = send(post().body("{\"a".to_owned()));
    assert_eq!(body(broken), b"{\"a");
    let (none, _) = send(testing::request("GET", "/v1/models"));
    assert_eq!(body(none), b"");
}

#[test]
fn a_long_request_is_masked_as_a_short_one() {
    let text = "word ".repeat(20_000);
    let sent = json!({ "prompt": format!("{text}ann@example.com") });

    assert_eq!(masked(&sent), json!({ "prompt": format!("{text}#") }));
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let host = FakeHost::new();
    let request = post()
        .json(&json!({ "prompt": "x".repeat(100) }))
        .max_body(50);
    let answer = Response::json(&json!({})).unwrap();

    let error = host
        .filter(&Redact, json!({}), request, answer)
        .unwrap_err();

    assert_eq!(error.status(), 413);
}

#[test]
fn options_that_cannot_be_used_are_named() {
    for (options, place) in [
        (json!({ "kinds": ["email", "shoe"] }), "kinds/1"),
        (json!({ "words": ["ok", ""] }), "words/1"),
        (json!({ "words": ["x".repeat(241)] }), "words/0"),
    ] {
        let answer = Response::json(&json!({})).unwrap();
        let error = FakeHost::new()
            .filter(&Redact, options, post(), answer)
            .unwrap_err();
        assert_eq!((error.code(), error.param()), ("build_failed", Some(place)));
    }
}

/// A body in pieces.
pub(super) struct Pieces(
    pub(super) std::collections::VecDeque<Result<bytes::Bytes, aurora_sdk::Error>>,
);

impl futures_core::Stream for Pieces {
    type Item = Result<bytes::Bytes, aurora_sdk::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.pop_front())
    }
}
