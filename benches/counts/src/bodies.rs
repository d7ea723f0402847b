//! What the cases work on, the same at every run.

use std::fmt::Write as _;

/// How much the answer grows from one snapshot to the next, as the service does it.
const STEP: &str = "some more words of an answer, \\\"so\\\": ";

/// One frame that repeats the whole message.
fn snapshot(text: &str) -> String {
    format!(
        r#"data: {{"message": {{"id": "5d0a1c11-0a01-4b6e-8d6a-0d6a00000003", "author": {{"role": "assistant", "name": null, "metadata": {{}}}}, "create_time": 1771950000.125, "update_time": null, "content": {{"content_type": "text", "parts": ["{text}"]}}, "status": "in_progress", "end_turn": null, "weight": 1.0, "metadata": {{"citations": [], "content_references": [], "message_type": "next", "model_slug": "auto", "parent_id": "5d0a1c11-0a01-4b6e-8d6a-0d6a00000002"}}, "recipient": "all", "channel": "final"}}, "conversation_id": "67a1f0c2-3b44-8006-9d1e-5c0a7b21e4f0", "error": null}}"#
    ) + "\n\n"
}

/// The form that repeats the whole answer in every frame, as many frames as fit into `bytes`.
pub(crate) fn snapshots(bytes: usize) -> String {
    let (mut body, mut text) = (String::with_capacity(bytes), String::new());
    loop {
        text.push_str(STEP);
        let frame = snapshot(&text);
        if body.len() + frame.len() > bytes {
            return body + "data: [DONE]\n\n";
        }
        body.push_str(&frame);
    }
}

/// The form that sends what is new, as many frames as fit into `bytes`.
pub(crate) fn deltas(bytes: usize) -> String {
    const FRAME: &str = "event: delta\ndata: {\"v\": \" word\"}\n\n";
    let mut body = snapshot("");
    body.push_str("event: delta\ndata: {\"p\": \"/message/content/parts/0\", \"o\": \"append\", \"v\": \"A\"}\n\n");
    let frames = bytes.saturating_sub(body.len()) / FRAME.len();
    body.push_str(&FRAME.repeat(frames));
    body + "data: [DONE]\n\n"
}

/// The path of route `n`, as it is configured.
pub(crate) fn route_path(n: usize) -> String {
    match n % 4 {
        0 => format!("/teams/{n}/v1/{{model}}/completions"),
        _ => format!("/teams/{n}/v1/chat/completions"),
    }
}

/// A path that route `n` serves.
pub(crate) fn asked_path(n: usize) -> String {
    route_path(n).replace("{model}", "some-model")
}

/// A config with `routes` routes.
pub(crate) fn config(routes: usize) -> String {
    let mut text = "[upstreams.mock]\nprotocol = \"mock\"\n".to_owned();
    for n in 0..routes {
        let path = route_path(n);
        // Writing to a string cannot fail.
        write!(
            text,
            "\n[[routes]]\npath = \"{path}\"\nplugin = \"chat\"\nupstream = \"mock\"\n"
        )
        .unwrap_or_default();
    }
    text
}
