//! The messages of a turn.

use serde_json::{Value, json};
use uuid::Uuid;

use super::world::now;

/// What all messages of one turn share.
#[derive(Debug, Clone)]
pub(super) struct Cast {
    pub(super) conversation: String,
    pub(super) exchange: String,
    pub(super) request: String,
    /// The message that is answered.
    pub(super) parent: String,
    /// The model that answers, and the one that was asked for.
    pub(super) model: String,
    pub(super) asked: String,
    pub(super) effort: String,
    pub(super) is_continuation: bool,
}

/// The hidden message at the beginning.
pub(super) fn scaffold() -> Value {
    let mut message = bare(&Uuid::new_v4().to_string(), "system", &text(""));
    message["end_turn"] = true.into();
    message["weight"] = 0.0.into();
    message["metadata"] = json!({"is_visually_hidden_from_conversation": true});
    message
}

/// A message of the request as the service repeats it.
pub(super) fn echo(sent: &Value, cast: &Cast) -> Value {
    let id = sent["id"].as_str().unwrap_or_default();
    let role = sent["author"]["role"].as_str().unwrap_or_default();
    let mut message = bare(id, role, &sent["content"]);
    message["create_time"] = sent["create_time"].clone();
    message["metadata"] = json!({"message_type": null, "timestamp_": "absolute"});
    if role == "user" {
        message["metadata"] = sent["metadata"].clone();
        if !message["metadata"].is_object() {
            message["metadata"] = json!({});
        }
        message["metadata"]["request_id"] = cast.request.as_str().into();
        message["metadata"]["message_source"] = Value::Null;
        message["metadata"]["turn_exchange_id"] = cast.exchange.as_str().into();
        message["metadata"]["timestamp_"] = "absolute".into();
    }
    message
}

/// A message of the assistant, finished, to everybody.
pub(super) fn assistant(cast: &Cast, content: &Value) -> Value {
    let mut message = bare(&Uuid::new_v4().to_string(), "assistant", content);
    let kind = if cast.is_continuation {
        "continue"
    } else {
        "next"
    };
    message["metadata"] = json!({
        "citations": [], "content_references": [], "message_type": kind,
        "model_slug": cast.model, "default_model_slug": cast.asked, "parent_id": cast.parent,
        "request_id": cast.request, "timestamp_": "absolute", "turn_exchange_id": cast.exchange,
    });
    if cast.effort != "standard" {
        message["metadata"]["thinking_effort"] = cast.effort.as_str().into();
    }
    message
}

/// A message of a tool.
pub(super) fn tool(name: &str, parent: &str, content: &Value) -> Value {
    let mut message = bare(&Uuid::new_v4().to_string(), "tool", content);
    message["author"]["name"] = name.into();
    message["metadata"] = json!({ "parent_id": parent });
    message
}

/// The assistant's call of a tool.
pub(super) fn call(cast: &Cast, recipient: &str, arguments: &Value) -> Value {
    let content = json!({"content_type": "code", "language": "json", "response_format_name": null, "text": arguments.to_string()});
    let mut message = assistant(cast, &content);
    message["recipient"] = recipient.into();
    message["channel"] = "commentary".into();
    message["end_turn"] = false.into();
    message
}

pub(super) fn text(text: &str) -> Value {
    json!({"content_type": "text", "parts": [text]})
}

/// The same message while it is being made.
pub(super) fn unfinished(finished: &Value) -> Value {
    let mut message = finished.clone();
    message["status"] = "in_progress".into();
    message["end_turn"] = Value::Null;
    if let Some(metadata) = message["metadata"].as_object_mut() {
        metadata.remove("finish_details");
        metadata.remove("is_complete");
    }
    message
}

/// The states of a text message as it grows in `pieces` steps to `finished`; `from` bytes are there at once.
pub(super) fn growth(
    finished: &Value,
    pieces: Option<usize>,
    from: usize,
    repeats: bool,
) -> Vec<Value> {
    let whole = finished["content"]["parts"][0].as_str().unwrap_or_default();
    let at = |end: usize| {
        let mut state = unfinished(finished);
        state["content"]["parts"][0] = whole.get(..end).unwrap_or_default().into();
        state
    };
    let mut states = vec![at(from)];
    states.extend(
        cuts(whole, pieces)
            .into_iter()
            .filter(|end| *end > from)
            .map(&at),
    );
    if repeats && whole.len() > from {
        states.push(at(whole.len()));
    }
    states.push(finished.clone());
    states
}

/// Where a text is cut: in equal parts, or at blanks into a dozen at the most. The end is no cut.
fn cuts(text: &str, pieces: Option<usize>) -> Vec<usize> {
    let places: Vec<usize> = match pieces {
        Some(_) => text.char_indices().map(|(at, _)| at).skip(1).collect(),
        None => text.match_indices(' ').map(|(at, _)| at).collect(),
    };
    let count = (places.len() + 1).min(pieces.unwrap_or(12)).max(1);
    (1..count)
        .filter_map(|part| places.get((part * (places.len() + 1) / count).saturating_sub(1)))
        .copied()
        .collect()
}

fn bare(id: &str, role: &str, content: &Value) -> Value {
    json!({
        "id": id,
        "author": {"role": role, "name": null, "metadata": {}},
        "create_time": now(),
        "update_time": null,
        "content": content,
        "status": "finished_successfully",
        "end_turn": null,
        "weight": 1.0,
        "metadata": {},
        "recipient": "all",
        "channel": null,
    })
}
