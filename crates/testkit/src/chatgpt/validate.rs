//! Bodies of the conversation call, as strict as the service.

use std::collections::HashSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::Plain;
use super::auth::Caller;
use super::conversations::text_of;
use super::record::Recorded;
use super::script::Form;

/// A request for a turn.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) is_continuation: bool,
    pub(super) messages: Vec<Value>,
    pub(super) conversation: Option<String>,
    pub(super) parent: String,
    pub(super) model: String,
    pub(super) effort: String,
    pub(super) wants_picture: bool,
    pub(super) form: Form,
    pub(super) is_temporary: bool,
}

impl Ask {
    /// The text that a user says last; empty where none speaks.
    pub(super) fn last_user_text(&self) -> String {
        let mut messages = self.messages.iter().rev();
        messages
            .find(|message| message["author"]["role"] == "user")
            .map(text_of)
            .unwrap_or_default()
    }

    /// The ids of all files that the messages name.
    pub(super) fn files(&self) -> HashSet<String> {
        self.messages.iter().flat_map(files_of).collect()
    }
}

/// The ids of the files that a message names.
pub(super) fn files_of(message: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let pointers = list(&message["content"]["parts"]);
    let pointers = pointers
        .iter()
        .filter_map(|part| part["asset_pointer"].as_str())
        .filter_map(|pointer| pointer.split_once("://"))
        .map(|(_, id)| id.to_owned());
    let attachments = list(&message["metadata"]["attachments"]);
    let attachments = attachments
        .iter()
        .filter_map(|attachment| attachment["id"].as_str())
        .map(str::to_owned);
    pointers.chain(attachments).collect()
}

type Check = fn(&Value) -> bool;

/// One thing that is wrong with a body.
pub(super) fn item(field: &str, text: &str) -> Value {
    json!({"loc": ["body", field], "msg": text, "type": "value_error"})
}

pub(super) fn refuse(items: &[Value]) -> Plain {
    Plain::json(422, &json!({ "detail": items }))
}

/// Reads the body, or refuses it with one item per mistake.
pub(super) fn read(request: &Recorded, caller: &Caller) -> Result<Ask, Plain> {
    let kind = request.header("content-type").unwrap_or_default();
    if !kind.starts_with("application/json") {
        return Err(Plain::sentence(415, "The body must be JSON."));
    }
    let body: Value = serde_json::from_slice(&request.body)
        .map_err(|_malformed| Plain::sentence(422, "Invalid conversation body"))?;
    let mut items = Vec::new();
    top_level(&body, &mut items);
    let is_continuation = body["action"] == "continue";
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let has_messages = !messages.is_empty();
    if is_continuation {
        if has_messages || !(body["messages"].is_null() || body["messages"].is_array()) {
            items.push(item("messages", "continue takes no messages"));
        }
        if !body["conversation_id"].is_string() {
            items.push(item("conversation_id", "field required"));
        }
    } else if !has_messages {
        items.push(item("messages", "field required"));
    }
    let mut ids = HashSet::new();
    for message in &messages {
        check_message(message, &mut items);
        if !ids.insert(message["id"].as_str()) {
            items.push(item("messages", "two messages have one id"));
        }
    }
    if !items.is_empty() {
        return Err(refuse(&items));
    }
    let hints = body["system_hints"].as_array().cloned().unwrap_or_default();
    let encodings = body["supported_encodings"].as_array();
    let is_delta = encodings.is_some_and(|list| list.contains(&"v1".into()));
    let word = |name: &str| body[name].as_str().map(str::to_owned);
    let ask = Ask {
        is_continuation,
        messages,
        conversation: word("conversation_id"),
        parent: word("parent_message_id").unwrap_or_default(),
        model: word("model").unwrap_or_default(),
        effort: word("thinking_effort").unwrap_or_else(|| "standard".to_owned()),
        wants_picture: hints.contains(&"picture_v2".into()),
        form: if is_delta {
            Form::Delta
        } else {
            Form::Snapshot
        },
        is_temporary: body["history_and_training_disabled"] == true,
    };
    if ask.wants_picture || !ask.files().is_empty() {
        caller.with_account()?;
    }
    Ok(ask)
}

fn top_level(body: &Value, items: &mut Vec<Value>) {
    let one_of = |field: &str, words: &[&str]| {
        let value = &body[field];
        value.as_str().is_some_and(|word| words.contains(&word))
    };
    let enumeration = "value is not a valid enumeration member";
    if !one_of("action", &["next", "continue", "variant"]) {
        items.push(item("action", enumeration));
    }
    for field in ["parent_message_id", "model"] {
        if body[field].as_str().is_none_or(str::is_empty) {
            items.push(item(field, "field required"));
        }
    }
    let optional: [(&str, &[&str]); 2] = [
        ("thinking_effort", &["standard", "extended", "max"]),
        ("client_prepare_state", &["none", "sent", "success"]),
    ];
    for (field, words) in optional {
        if body.get(field).is_some() && !one_of(field, words) {
            items.push(item(field, enumeration));
        }
    }
    let is_wrong = |field: &str, is_right: fn(&Value) -> bool| {
        body.get(field).is_some_and(|value| !is_right(value))
    };
    let kinds: [(&str, Check); 7] = [
        ("conversation_id", Value::is_string),
        ("timezone_offset_min", Value::is_i64),
        ("timezone", Value::is_string),
        ("system_hints", Value::is_array),
        ("supported_encodings", Value::is_array),
        ("supports_buffering", Value::is_boolean),
        ("history_and_training_disabled", Value::is_boolean),
    ];
    for (field, is_right) in kinds {
        if is_wrong(field, is_right) {
            items.push(item(field, "value has the wrong type"));
        }
    }
    if let Some(mode) = body.get("conversation_mode") {
        let is_known = match mode["kind"].as_str() {
            Some("primary_assistant") => true,
            Some("gizmo_interaction") => mode["gizmo_id"].is_string(),
            _ => false,
        };
        if !is_known {
            items.push(item("conversation_mode", enumeration));
        }
    }
}

fn check_message(message: &Value, items: &mut Vec<Value>) {
    let mut wrong = |text: &str| items.push(item("messages", text));
    if message["id"]
        .as_str()
        .is_none_or(|id| Uuid::try_parse(id).is_err())
    {
        wrong("id is not a valid uuid");
    }
    let role = message["author"]["role"].as_str().unwrap_or_default();
    if !["system", "user", "assistant", "tool"].contains(&role) {
        wrong("author.role is not a valid enumeration member");
    }
    if message
        .get("create_time")
        .is_some_and(|time| !time.is_number() && !time.is_null())
    {
        wrong("create_time is not a number");
    }
    if message
        .get("metadata")
        .is_some_and(|value| !value.is_object())
    {
        wrong("metadata is not an object");
    }
    let content = &message["content"];
    let parts = content["parts"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let is_right = match content["content_type"].as_str() {
        Some("text") => parts.iter().all(Value::is_string),
        Some("multimodal_text") => parts
            .iter()
            .all(|part| part.is_string() || is_pointer(part)),
        _ => false,
    };
    if !is_right || parts.is_empty() {
        wrong("content is not valid");
    }
    let attachments = message["metadata"]["attachments"].as_array();
    for attachment in attachments.map(Vec::as_slice).unwrap_or_default() {
        if !attachment["id"].is_string() || !attachment["name"].is_string() {
            wrong("an attachment needs an id and a name");
        }
    }
}

/// Pictures need their sizes.
fn is_pointer(part: &Value) -> bool {
    let pointer = part["asset_pointer"].as_str().unwrap_or_default();
    part["content_type"] == "image_asset_pointer"
        && (pointer.starts_with("file-service://") || pointer.starts_with("sediment://"))
        && ["size_bytes", "width", "height"]
            .iter()
            .all(|field| part[*field].as_u64().is_some_and(|number| number > 0))
}
