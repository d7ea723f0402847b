//! The bodies of conversation, continuation, init and prepare.

use serde_json::{Map, Value, json};

use crate::model::{Effort, Model};
use crate::stream::Continuation;

/// The parent of a conversation's first message.
const ROOT: &str = "client-created-root";

/// How many characters of the user's text prepare tells.
const PARTIAL_CHARS: usize = 5;

/// In which form the answer is asked for; what arrives may be the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// Every frame repeats the text.
    #[default]
    Snapshot,
    /// Patches (`delta encoding v1`).
    Delta,
}

/// How far the preparation is, in the service's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrepareState {
    /// Nothing was sent yet.
    None,
    /// Sent; also what picture requests say.
    Sent,
    /// Done; what text requests say.
    Success,
}

impl PrepareState {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Sent => "sent",
            Self::Success => "success",
        }
    }
}

/// What all requests of one turn say.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The model with its hints.
    pub model: Model,
    /// How long it thinks.
    pub effort: Effort,
    /// Whether the chat is kept out of the history. Pictures and speech need one that is kept.
    pub temporary: bool,
    /// The form that is asked for.
    pub form: Form,
    /// IANA name of the time zone.
    pub timezone: String,
    /// UTC minus local time, in minutes, as browsers count.
    pub timezone_offset_min: i32,
    /// The conversation that goes on, and the message that is answered.
    pub thread: Option<Continuation>,
}

impl Settings {
    fn is_picture(&self) -> bool {
        self.model.hints.contains(&"picture_v2")
    }

    fn parent(&self) -> &str {
        let thread = self.thread.as_ref();
        thread.map_or(ROOT, |thread| &thread.parent_message_id)
    }

    fn mode(&self) -> Value {
        match &self.model.gizmo_id {
            Some(id) => json!({"kind": "gizmo_interaction", "gizmo_id": id}),
            None => json!({"kind": "primary_assistant"}),
        }
    }

    fn common(&self, action: &str, state: PrepareState) -> Map<String, Value> {
        let mut body = object(json!({
            "action": action,
            "parent_message_id": self.parent(),
            "model": self.model.slug,
            "client_prepare_state": state.as_str(),
            "timezone_offset_min": self.timezone_offset_min,
            "timezone": self.timezone,
            "conversation_mode": self.mode(),
        }));
        if let Some(thread) = &self.thread {
            let id = thread.conversation_id.as_str();
            body.insert("conversation_id".to_owned(), id.into());
        }
        body
    }

    fn asking(&self, action: &str) -> Map<String, Value> {
        let state = if self.is_picture() {
            PrepareState::Sent
        } else {
            PrepareState::Success
        };
        let mut body = self.common(action, state);
        body.extend(object(json!({
            "paragen_cot_summary_display_override": "allow",
            "force_parallel_switch": "auto",
            "thinking_effort": self.effort.as_str(),
        })));
        if !self.is_picture() {
            body.insert(
                "history_and_training_disabled".to_owned(),
                self.temporary.into(),
            );
        }
        if self.form == Form::Delta {
            body.extend(encodings());
        }
        body
    }
}

/// Body of `POST /f/conversation` with new messages.
pub fn conversation(settings: &Settings, messages: Vec<Value>) -> Value {
    let mut body = settings.asking("next");
    body.insert(
        "system_hints".to_owned(),
        settings.model.hints.clone().into(),
    );
    body.insert("messages".to_owned(), messages.into());
    body.into()
}

/// Body of `POST /f/conversation` that goes on with a cut answer: the same settings, no messages.
pub fn continuation(settings: &Settings, cut: &Continuation) -> Value {
    let thread = Some(cut.clone());
    let settings = Settings {
        thread,
        ..settings.clone()
    };
    settings.asking("continue").into()
}

/// Body of `POST /conversation/init`.
pub fn init(settings: &Settings) -> Value {
    let thread = settings.thread.as_ref();
    let conversation = thread.map(|thread| thread.conversation_id.as_str());
    let mut body = object(json!({
        "requested_default_model": null,
        "conversation_id": conversation,
        "timezone_offset_min": settings.timezone_offset_min,
        "conversation_origin": null,
    }));
    if let Some(id) = &settings.model.gizmo_id {
        body.insert("gizmo_id".to_owned(), id.as_str().into());
    }
    body.into()
}

/// Body of `POST /f/conversation/prepare`; `query` is the id and text of the user's message, of which a beginning is told.
pub fn prepare(settings: &Settings, state: PrepareState, query: Option<(&str, &str)>) -> Value {
    let mut body = settings.common("next", state);
    body.extend(object(json!({
        "client_prepare_dispatch": "debounced",
        "client_prepare_source": "composer_editor_state",
        "system_hints": settings.model.hints,
    })));
    body.extend(encodings());
    if let Some((id, text)) = query.filter(|_| state != PrepareState::None) {
        let part: String = text.chars().take(PARTIAL_CHARS).collect();
        let query = json!({"id": id, "author": {"role": "user"},
            "content": {"content_type": "text", "parts": [part]}});
        body.insert("partial_query".to_owned(), query);
    }
    body.into()
}

fn encodings() -> Map<String, Value> {
    object(json!({"supports_buffering": true, "supported_encodings": ["v1"]}))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests;
