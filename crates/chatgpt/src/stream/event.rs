//! What a turn tells, in the words of this project.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::picture::Picture;

/// One thing that a turn's stream told.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The conversation has this id.
    Conversation(String),
    /// A visible answer begins, in the message with this id.
    Message(String),
    /// More of the answer.
    Text(String),
    /// More of the reasoning.
    Reasoning(String),
    /// The service's own tool is at work in this message; nothing of it is answer text.
    ToolUse {
        /// The tool, as the service addresses it: `python`, `web.run`, `dalle.text2im`, ...
        recipient: String,
        /// The message that calls it.
        message_id: String,
    },
    /// A tool of the service failed, for instance on a quota.
    ToolFault(ToolFault),
    /// A picture that this turn made.
    Image(Picture),
    /// The model that answers; compare it with the one asked for.
    Model(String),
    /// The conversation's title.
    Title(String),
    /// Token for `POST /f/conversation/resume`.
    ResumeToken(String),
    /// What is left of the account's quotas.
    Limits(Limits),
    /// State of the conversation's background task; 4 is done.
    AsyncStatus(Option<i64>),
    /// The service judged the message; `blocked` ends the turn.
    Moderation {
        /// Whether the answer was stopped.
        blocked: bool,
    },
    /// Last event: the turn is over.
    Finish(FinishReason),
    /// Last event: the answer goes on elsewhere.
    Handoff(Handoff),
    /// Last event: a picture is still being made.
    Pending(ImageTask),
    /// Last event: the turn failed.
    Failed(StreamError),
}

/// Why an answer ended, in the words of chat completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model was done, or was interrupted.
    Stop,
    /// The answer was cut; see [`super::Turn::continuation`].
    Length,
    /// Moderation blocked it.
    ContentFilter,
}

impl FinishReason {
    /// The word for `finish_reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ContentFilter => "content_filter",
        }
    }
}

/// A failed tool of the service (`system_error`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolFault {
    /// The tool.
    pub tool: String,
    /// The error's name, such as `RateLimitException`.
    pub name: String,
    /// The error's text.
    pub text: String,
}

/// Where the rest of an answer is to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handoff {
    /// The conversation.
    pub conversation_id: String,
    /// Topic on the websocket; `None` when neither the stream nor its metadata named a turn.
    pub topic_id: Option<String>,
    /// Token for the resume call.
    pub resume_token: Option<String>,
}

/// A picture in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageTask {
    /// The conversation in which it will appear.
    pub conversation_id: String,
    /// The task's id, for logs.
    pub task_id: Option<String>,
}

/// How a stream fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamError {
    /// The body ended before the turn did.
    Truncated,
    /// The turn ended without text, picture or reason.
    Empty,
    /// A frame or the turn is beyond its bound.
    TooLarge,
    /// The service said so in the stream.
    Upstream {
        /// Its words, unshortened.
        message: String,
        /// Its code.
        code: Option<String>,
    },
}

/// Quotas of an account (`conversation_detail_metadata`; also the answer to init).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Features that are out for now.
    pub blocked: Vec<BlockedFeature>,
    /// Models whose cap is reached.
    pub models: Vec<ModelLimit>,
    /// What is left.
    pub progress: Vec<FeatureProgress>,
    /// The account's usual model.
    pub default_model: Option<String>,
}

impl Limits {
    /// Reads the event or the answer; what is missing or odd is left out.
    pub fn read(object: &Map<String, Value>) -> Self {
        let model = object.get("default_model_slug").and_then(Value::as_str);
        Self {
            blocked: list(object, "blocked_features"),
            models: list(object, "model_limits"),
            progress: list(object, "limits_progress"),
            default_model: model.map(str::to_owned),
        }
    }
}

fn list<'a, T: Deserialize<'a>>(object: &'a Map<String, Value>, key: &str) -> Vec<T> {
    let elements = object.get(key).and_then(Value::as_array);
    let elements = elements.map(Vec::as_slice).unwrap_or_default().iter();
    elements
        .filter_map(|element| T::deserialize(element).ok())
        .collect()
}

/// A feature that the account cannot use for now.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BlockedFeature {
    /// `image_gen`, `file_upload`, ...
    pub name: String,
    /// When it comes back (ISO 8601).
    #[serde(default)]
    pub resets_after: Option<String>,
}

/// A model whose cap is reached.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ModelLimit {
    /// The model.
    pub model_slug: String,
    /// The model that answers in its place.
    #[serde(default)]
    pub using_default_model_slug: Option<String>,
    /// When it comes back (ISO 8601).
    #[serde(default)]
    pub resets_after: Option<String>,
}

/// What is left of a feature.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FeatureProgress {
    /// `image_gen`, `file_upload`, `deep_research`, ...
    pub feature_name: String,
    /// Uses left.
    #[serde(default)]
    pub remaining: Option<u64>,
    /// When the count starts over (ISO 8601).
    #[serde(default)]
    pub reset_after: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_are_read_and_odd_entries_left_out() {
        let object = json!({
            "blocked_features": [{"name": "image_gen", "resets_after": "2026-02-25", "limit": 0}, 7],
            "model_limits": [{"model_slug": "gpt-5-6", "using_default_model_slug": "mini"}],
            "limits_progress": [{"feature_name": "image_gen", "remaining": 42}, {"remaining": 1}],
            "default_model_slug": "auto"});

        let limits = Limits::read(object.as_object().unwrap());

        assert_eq!(limits.blocked.len(), 1);
        assert_eq!(
            limits.models[0].using_default_model_slug.as_deref(),
            Some("mini")
        );
        assert_eq!(limits.progress[0].remaining, Some(42));
        assert_eq!(limits.progress.len(), 1);
        assert_eq!(limits.default_model.as_deref(), Some("auto"));
        assert_eq!(Limits::read(&Map::new()), Limits::default());
    }
}
