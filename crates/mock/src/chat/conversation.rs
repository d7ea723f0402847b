//! What a chat request says so far.

use std::fmt::Write as _;

use aurora_sdk::Error;
use serde_json::Value;

use crate::fields::Fields;
use crate::refusal::{missing, wrong_type, wrong_value};
use crate::words;

const ROLES: [&str; 6] = [
    "system",
    "developer",
    "user",
    "assistant",
    "tool",
    "function",
];

/// Tokens that a message costs beside its text, and that a picture, file or sound costs.
const MESSAGE_TOKENS: u64 = 4;
const PART_TOKENS: u64 = 85;

/// The conversation as far as the answer depends on it.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// How many messages there are.
    pub(super) messages: usize,
    /// The text of the last user message.
    pub(super) last_user: Option<String>,
    /// What the tool messages at the end say.
    pub(super) tool_results: Vec<String>,
    /// The estimate for `prompt_tokens`.
    pub(super) tokens: u64,
    received: Received,
}

/// Parts that are not text.
#[derive(Debug, Default)]
struct Received {
    pictures: u64,
    files: u64,
    sounds: u64,
    others: u64,
}

impl Conversation {
    pub(super) fn of(fields: &Fields) -> Result<Self, Error> {
        let messages = fields.get("messages").ok_or_else(|| missing("messages"))?;
        let messages = messages
            .as_array()
            .ok_or_else(|| wrong_type("messages", "an array of messages"))?;
        if messages.is_empty() {
            return Err(wrong_value("messages", "at least one message"));
        }
        let mut conversation = Self {
            messages: messages.len(),
            ..Self::default()
        };
        for (index, message) in messages.iter().enumerate() {
            conversation.take(&format!("messages[{index}]"), message)?;
        }
        Ok(conversation)
    }

    fn take(&mut self, place: &str, message: &Value) -> Result<(), Error> {
        let message = message
            .as_object()
            .ok_or_else(|| wrong_type(place, "an object"))?;
        let place_of = |member: &str| format!("{place}.{member}");
        let role = match message.get("role") {
            None | Some(Value::Null) => return Err(missing(&place_of("role"))),
            Some(Value::String(role)) if ROLES.contains(&role.as_str()) => role.as_str(),
            Some(Value::String(_)) => {
                let expected = format!("one of {}", ROLES.join(", "));
                return Err(wrong_value(&place_of("role"), &expected));
            }
            Some(_) => return Err(wrong_type(&place_of("role"), "a string")),
        };
        let mut text = String::new();
        let content = message.get("content").unwrap_or(&Value::Null);
        self.take_content(&place_of("content"), content, &mut text)?;
        self.tokens += MESSAGE_TOKENS + words::count(&text);
        if let Some(calls) = message.get("tool_calls") {
            self.tokens += words::count(&calls.to_string());
        }
        if !matches!(role, "tool" | "function") {
            self.tool_results.clear();
        }
        match role {
            "user" => self.last_user = Some(text),
            "tool" | "function" => self.tool_results.push(text),
            _ => {}
        }
        Ok(())
    }

    fn take_content(
        &mut self,
        place: &str,
        content: &Value,
        text: &mut String,
    ) -> Result<(), Error> {
        match content {
            Value::Null => {}
            Value::String(said) => text.push_str(said),
            Value::Array(parts) => {
                for (index, part) in parts.iter().enumerate() {
                    self.take_part(&format!("{place}[{index}]"), part, text)?;
                }
            }
            Value::Object(_) => self.take_part(place, content, text)?,
            _ => return Err(wrong_type(place, "a string or an array of parts")),
        }
        Ok(())
    }

    fn take_part(&mut self, place: &str, part: &Value, text: &mut String) -> Result<(), Error> {
        if let Value::String(said) = part {
            text.push_str(said);
            return Ok(());
        }
        if !part.is_object() {
            return Err(wrong_type(place, "a part: an object with a type"));
        }
        let count = match part.get("type").and_then(Value::as_str).unwrap_or("text") {
            "text" | "input_text" | "output_text" | "refusal" => {
                let said = part.get("text").or_else(|| part.get("refusal"));
                let said = said
                    .and_then(Value::as_str)
                    .ok_or_else(|| missing(&format!("{place}.text")))?;
                text.push_str(said);
                return Ok(());
            }
            "image_url" | "input_image" | "image" => &mut self.received.pictures,
            "file" | "input_file" => &mut self.received.files,
            "input_audio" | "audio_url" => &mut self.received.sounds,
            _ => &mut self.received.others,
        };
        *count += 1;
        self.tokens += PART_TOKENS;
        Ok(())
    }

    /// A sentence on the parts that are not text, after a space; empty where there are none.
    pub(super) fn received(&self) -> String {
        let counts = [
            (self.received.pictures, "picture"),
            (self.received.files, "file"),
            (self.received.sounds, "audio clip"),
            (self.received.others, "other part"),
        ];
        let mut sentence = String::new();
        for (count, name) in counts.into_iter().filter(|(count, _)| *count > 0) {
            let before = if sentence.is_empty() {
                " Received: "
            } else {
                ", "
            };
            let plural = if count == 1 { "" } else { "s" };
            // Writing to a string cannot fail.
            write!(sentence, "{before}{count} {name}{plural}").unwrap_or_default();
        }
        if !sentence.is_empty() {
            sentence.push('.');
        }
        sentence
    }
}
