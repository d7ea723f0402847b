//! What upstreams of the matrix answer.

use std::time::Duration;

use aurora_testkit::{FakeUpstream, Recorded, Reply, Step};
use bytes::Bytes;
use serde_json::{Value, json};

/// How an answer that has begun goes on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Then {
    Reset,
    /// It just ends.
    End,
    Hang,
    /// It never does.
    Forever,
}

fn is_stream(request: &Recorded) -> bool {
    let json: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    json["stream"] == true
}

fn events(request: &Recorded) -> Vec<String> {
    if !request.target.ends_with("/responses") {
        return FakeUpstream::chat_events("m", &["po", "ng"]);
    }
    let response =
        json!({"id": "resp_1", "object": "response", "status": "completed", "output": []});
    let event = |kind: &str| {
        let data = json!({"type": kind, "response": response});
        format!("event: {kind}\ndata: {data}\n\n")
    };
    [
        "response.created",
        "response.in_progress",
        "response.completed",
    ]
    .map(event)
    .to_vec()
}

/// The JSON document that answers `request`.
fn document(request: &Recorded) -> Value {
    let message = json!({"role": "assistant", "content": "pong"});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    match request.target.as_str() {
        "/v1/chat/completions" => {
            json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})
        }
        "/v1/responses" => {
            json!({"id": "resp_1", "object": "response", "status": "completed", "output": []})
        }
        "/v1/models" => {
            json!({"object": "list", "data": [{"id": "m", "object": "model", "created": 1, "owned_by": "x"}]})
        }
        _ => json!({"ok": true}),
    }
}

/// An answer as it should be.
pub(super) fn good(request: &Recorded) -> Reply {
    if is_stream(request) {
        return Reply::events(&events(request));
    }
    if request.target.ends_with("/speech") {
        return Reply::new(200, &[("content-type", "audio/mpeg")], [1; 512]);
    }
    Reply::json(200, &document(request))
}

/// An answer that begins well.
pub(super) fn begun(request: &Recorded, then: Then) -> Reply {
    let reply = if is_stream(request) {
        Reply::open_events(&events(request)[..2])
    } else if matches!(then, Then::Forever) {
        let kind = if request.target.ends_with("/speech") {
            "audio/mpeg"
        } else {
            "application/json"
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        Reply::raw(vec![Step::Send(head.into())])
    } else {
        let kind = if request.target.ends_with("/speech") {
            "audio/mpeg"
        } else {
            "application/json"
        };
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: 512\r\n\r\n{{");
        Reply::raw(vec![Step::Send(head.into())])
    };
    match then {
        Then::Reset => reply.then(Step::Reset),
        Then::Hang => reply.then(Step::Hang),
        Then::End if is_stream(request) => reply.then(Step::Send(Bytes::from_static(b"0\r\n\r\n"))),
        Then::End => reply.then(Step::Close),
        Then::Forever => (0..1000).fold(reply, |reply, _| {
            let piece: &[u8] = if is_stream(request) {
                b": still here\n\n"
            } else {
                b" "
            };
            reply
                .then(Reply::chunk(piece))
                .then(Step::Wait(Duration::from_millis(20)))
        }),
    }
}

/// An error as OpenAI writes it.
pub(super) fn status(status: u16, headers: &[(&str, &str)], code: &str) -> Reply {
    let all = [&[("content-type", "application/json")], headers].concat();
    let error = json!({"error": {"message": "the upstream's words", "type": "t", "param": null, "code": code}});
    Reply::new(status, &all, error.to_string())
}

pub(super) fn page(status: u16) -> Reply {
    Reply::new(
        status,
        &[("content-type", "text/html; charset=utf-8")],
        "<html>Just a moment</html>",
    )
}

pub(super) fn raw(bytes: impl Into<Bytes>) -> Reply {
    Reply::raw(vec![Step::Send(bytes.into())])
}
