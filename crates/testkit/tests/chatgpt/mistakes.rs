//! Bodies that the service would refuse.

use serde_json::{Value, json};

use crate::client::{Client, ask, message, said, with};

/// Bodies with one mistake each, and the field that is to be named.
fn mistakes() -> Vec<(Value, &'static str)> {
    let twice = message("user", "hi");
    vec![
        (
            with(ask("hi"), "thinking_effort", json!("low")),
            "thinking_effort",
        ),
        (with(ask("hi"), "messages", json!([])), "messages"),
        (with(ask("hi"), "messages", Value::Null), "messages"),
        (
            with(ask("hi"), "parent_message_id", Value::Null),
            "parent_message_id",
        ),
        (
            with(ask("hi"), "conversation_id", Value::Null),
            "conversation_id",
        ),
        (with(ask("hi"), "action", json!("stop")), "action"),
        (with(ask("hi"), "model", Value::Null), "model"),
        (
            with(ask("hi"), "timezone_offset_min", json!("420")),
            "timezone_offset_min",
        ),
        (
            with(ask("hi"), "system_hints", json!("reason")),
            "system_hints",
        ),
        (
            with(
                ask("hi"),
                "conversation_mode",
                json!({"kind": "gizmo_interaction"}),
            ),
            "conversation_mode",
        ),
        (with(ask("hi"), "action", json!("continue")), "messages"),
        (
            with(ask("hi"), "messages", json!([twice, twice])),
            "messages",
        ),
    ]
}

/// Messages with one mistake each.
fn wrong_messages() -> Vec<Value> {
    let one = |field: &str, value: Value| {
        let mut message = message("user", "hi");
        message[field] = value;
        with(ask("hi"), "messages", json!([message]))
    };
    vec![
        one("id", json!("msg-1")),
        one("author", json!({"role": "developer"})),
        one("content", json!({"content_type": "text", "parts": [7]})),
        one("content", json!({"content_type": "text", "parts": []})),
        one(
            "content",
            json!({"content_type": "multimodal_text", "parts": [{"content_type": "image_asset_pointer",
            "asset_pointer": "file-service://file_1", "size_bytes": 3}, "x"]}),
        ),
    ]
}

#[tokio::test]
async fn bodies_that_the_service_would_refuse_are_refused() {
    let client = Client::start().await;
    let messages = wrong_messages().into_iter().map(|body| (body, "messages"));
    for (body, field) in mistakes().into_iter().chain(messages) {
        let (status, answer) = said(client.turn(&body).await).await;
        assert_eq!(status, 422, "{body}");
        assert_eq!(answer["detail"][0]["loc"][1], field, "{body}");
    }
    let (status, answer) = client.post("/conversation", &json!("no object")).await;
    assert_eq!((status, answer["detail"].is_array()), (422, true));
    assert_eq!(client.web.running("alice"), 0);
}
