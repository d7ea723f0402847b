//! What a message is, and what of it a client sees.

use serde_json::{Map, Value};

use super::event::ToolFault;
use super::growth::Growth;
use super::picture::Picture;
use crate::citations::{Renderer, Sources};

/// The kinds of messages, as far as clients see them differently.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// Answer text.
    Answer,
    /// Reasoning as text (channels `analysis` and `commentary`).
    Analysis,
    /// Reasoning as a list of thoughts.
    Thoughts,
    /// A call to one of the service's tools.
    ToolUse,
    /// A tool's pictures.
    Pictures,
    /// A tool's failure.
    ToolFault,
    /// "Your picture is being made".
    Placeholder,
    /// Nothing that a client sees.
    #[default]
    Hidden,
}

/// What is remembered of a message.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) growth: Growth,
    pub(super) pictures: Vec<Picture>,
    pub(super) renderer: Renderer,
    pub(super) said: Said,
    pub(super) finished: bool,
    /// The service's `end_turn`; only together with `finished` does it end the turn.
    pub(super) end_turn: bool,
    /// `metadata.finish_details.type`.
    pub(super) details: Option<String>,
    /// `metadata.message_type`: `next` or `continue`.
    pub(super) message_type: Option<String>,
    pub(super) parent: Option<String>,
    pub(super) origin: Origin,
}

/// How much of a message was given out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Said {
    #[default]
    Nothing,
    /// That it begins.
    Start,
    /// Some of its text.
    Text,
}

/// Whose message it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Origin {
    /// New in this turn.
    #[default]
    Turn,
    /// Of the request; the service repeats it.
    Request,
    /// Of the request too, said by the assistant there.
    RequestAnswer,
}

type Message = Map<String, Value>;

pub(super) fn text<'a>(object: &'a Message, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

pub(super) fn role(message: &Message) -> &str {
    author(message, "role")
}

pub(super) fn author<'a>(message: &'a Message, key: &str) -> &'a str {
    let author = message.get("author").and_then(Value::as_object);
    author.and_then(|author| text(author, key)).unwrap_or("")
}

pub(super) fn metadata<'a>(message: &'a Message, key: &str) -> Option<&'a Value> {
    message.get("metadata")?.get(key)
}

fn is_set(message: &Message, key: &str) -> bool {
    metadata(message, key).and_then(Value::as_bool) == Some(true)
}

pub(super) fn content_type(message: &Message) -> &str {
    let content = message.get("content").and_then(Value::as_object);
    content
        .and_then(|content| text(content, "content_type"))
        .unwrap_or("")
}

/// Whether the message looks like a repeated message of the request: complete at once, part of no answer.
///
/// The service marks its own messages with `message_type`; repeated ones lack it.
pub(super) fn looks_repeated(message: &Message) -> bool {
    role(message) == "assistant"
        && metadata(message, "message_type").is_none_or(Value::is_null)
        && text(message, "status") == Some("finished_successfully")
        && message.get("end_turn").is_none_or(Value::is_null)
        && metadata(message, "finish_details").is_none_or(Value::is_null)
        && text(message, "channel").is_none()
}

impl Kind {
    /// Tells the kind from author, content type, recipient and channel.
    pub(super) fn of(message: &Message) -> Self {
        let is_hidden = is_set(message, "is_visually_hidden_from_conversation");
        let recipient = text(message, "recipient").unwrap_or("all");
        let channel = text(message, "channel").unwrap_or("final");
        match (role(message), content_type(message)) {
            ("assistant", "text" | "multimodal_text") if recipient == "all" && !is_hidden => {
                match channel {
                    "final" => Self::Answer,
                    "analysis" | "commentary" => Self::Analysis,
                    _ => Self::Hidden,
                }
            }
            ("assistant", "thoughts") if !is_hidden => Self::Thoughts,
            ("assistant", "text" | "code") if recipient != "all" => Self::ToolUse,
            ("tool", "multimodal_text") => Self::Pictures,
            ("tool", "system_error") => Self::ToolFault,
            ("tool", "text") if is_set(message, "image_gen_async") => Self::Placeholder,
            _ => Self::Hidden,
        }
    }
}

impl Record {
    /// Reads everything but the content.
    pub(super) fn read_envelope(&mut self, message: &Message) {
        self.kind = match self.origin {
            Origin::Turn => Kind::of(message),
            Origin::Request | Origin::RequestAnswer => Kind::Hidden,
        };
        self.finished = text(message, "status").is_some_and(|s| s.starts_with("finished"));
        self.end_turn = message.get("end_turn").and_then(Value::as_bool) == Some(true);
        let details = metadata(message, "finish_details").and_then(|details| details.get("type"));
        self.details = details.and_then(Value::as_str).map(str::to_owned);
        let kind = metadata(message, "message_type").and_then(Value::as_str);
        self.message_type = kind.map(str::to_owned);
        let parent = metadata(message, "parent_id").and_then(Value::as_str);
        self.parent = parent.map(str::to_owned);
    }

    /// Reads what citations point to; gives text that waited for it.
    pub(super) fn read_sources(&mut self, message: &Message) -> String {
        let metadata = message.get("metadata").and_then(Value::as_object);
        let known = metadata.map(Sources::read).unwrap_or_default();
        self.renderer.learn(known)
    }

    /// Reads the pictures that the message shows; a preview that was replaced is gone.
    pub(super) fn read_pictures(&mut self, message: &Message) {
        if self.origin == Origin::Turn {
            self.pictures = pictures(message, &self.id);
        }
    }

    /// Whether it goes on with an answer that was cut.
    pub(super) fn continues(&self) -> bool {
        self.message_type.as_deref() == Some("continue")
    }

    /// A visible answer that is complete and ends the turn.
    pub(super) fn ends_turn(&self) -> bool {
        self.kind == Kind::Answer && self.finished && self.end_turn
    }
}

/// The pictures that a message shows: those of tools that make pictures, and those of answers. Uploads are no results.
pub(super) fn pictures(message: &Message, id: &str) -> Vec<Picture> {
    let from_tool = role(message) == "tool";
    if !(from_tool || role(message) == "assistant") {
        return Vec::new();
    }
    let by_image_tool = matches!(author(message, "name"), "dalle.text2im" | "t2uay3k.sj1i4kz");
    let hidden = is_set(message, "is_visually_hidden_from_conversation");
    parts(message)
        .filter_map(|part| Picture::read(part, id))
        .filter(|picture| !from_tool || by_image_tool || picture.gen_id.is_some())
        .map(|picture| Picture { hidden, ..picture })
        .collect()
}

/// What a failed tool says.
pub(super) fn tool_fault(message: &Message) -> ToolFault {
    let content = message.get("content").and_then(Value::as_object);
    let of = |key: &str| content.and_then(|content| text(content, key)).unwrap_or("");
    ToolFault {
        tool: author(message, "name").to_owned(),
        name: of("name").to_owned(),
        text: of("text").to_owned(),
    }
}

fn parts(message: &Message) -> impl Iterator<Item = &Value> {
    let parts = message
        .get("content")
        .and_then(|content| content.get("parts"));
    let parts = parts.and_then(Value::as_array);
    parts.map(Vec::as_slice).unwrap_or_default().iter()
}

/// The text of an answer: all its strings, whatever stands between them.
pub(super) fn answer_text(message: &Message) -> String {
    parts(message).filter_map(Value::as_str).collect()
}

/// The thoughts as text: a bold line for each summary, a blank line between thoughts.
pub(super) fn thoughts_text(message: &Message) -> String {
    let thoughts = message
        .get("content")
        .and_then(|content| content.get("thoughts"));
    let thoughts = thoughts.and_then(Value::as_array);
    let mut out = String::new();
    let thoughts = thoughts.map(Vec::as_slice).unwrap_or_default().iter();
    for thought in thoughts.filter(|thought| thought.is_object()) {
        let summary = thought.get("summary").and_then(Value::as_str);
        let content = thought.get("content").and_then(Value::as_str).unwrap_or("");
        if !out.is_empty() {
            out.push_str("\n\n");
        }
        if let Some(summary) = summary.filter(|summary| !summary.is_empty()) {
            out.push_str("**");
            out.push_str(summary);
            out.push_str("**\n");
        }
        out.push_str(content);
    }
    out
}

/// The path at which an appended string is the end of [`answer_text`] or [`thoughts_text`].
pub(super) fn tail_path(message: &Message, kind: Kind) -> Option<String> {
    let content = message.get("content")?;
    if kind == Kind::Thoughts {
        let last = content.get("thoughts")?.as_array()?.len().checked_sub(1)?;
        return Some(format!("/message/content/thoughts/{last}/content"));
    }
    let last = content.get("parts")?.as_array()?.len().checked_sub(1)?;
    Some(format!("/message/content/parts/{last}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(value: &Value) -> &Message {
        value.as_object().unwrap()
    }

    #[test]
    fn kinds_follow_author_content_recipient_and_channel() {
        let table = [
            (
                json!({"author": {"role": "assistant"}, "content": {"content_type": "text"}, "recipient": "all", "channel": "final"}),
                Kind::Answer,
            ),
            (
                json!({"author": {"role": "assistant"}, "content": {"content_type": "multimodal_text"}}),
                Kind::Answer,
            ),
            (
                json!({"author": {"role": "assistant"}, "content": {"content_type": "text"}, "channel": "analysis"}),
                Kind::Analysis,
            ),
            (
                json!({"author": {"role": "assistant"}, "content": {"content_type": "text"}, "recipient": "bio"}),
                Kind::ToolUse,
            ),
            (
                json!({"author": {"role": "assistant"}, "content": {"content_type": "code"}, "recipient": "python"}),
                Kind::ToolUse,
            ),
            (
                json!({"author": {"role": "assistant"}, "content": {"content_type": "thoughts"}}),
                Kind::Thoughts,
            ),
            (
                json!({"author": {"role": "assistant"}, "content": {"content_type": "reasoning_recap"}}),
                Kind::Hidden,
            ),
            (
                json!({"author": {"role": "assistant"}, "content": {"content_type": "text"}, "metadata": {"is_visually_hidden_from_conversation": true}}),
                Kind::Hidden,
            ),
            (
                json!({"author": {"role": "tool"}, "content": {"content_type": "system_error"}}),
                Kind::ToolFault,
            ),
            (
                json!({"author": {"role": "tool"}, "content": {"content_type": "execution_output"}}),
                Kind::Hidden,
            ),
            (
                json!({"author": {"role": "user"}, "content": {"content_type": "text"}}),
                Kind::Hidden,
            ),
            (
                json!({"author": {"role": "assistant"}, "content": {"content_type": "hologram"}}),
                Kind::Hidden,
            ),
            (
                json!({"author": null, "content": 7, "metadata": null}),
                Kind::Hidden,
            ),
            (json!({}), Kind::Hidden),
        ];

        for (value, kind) in table {
            assert_eq!(Kind::of(message(&value)), kind, "{value}");
        }
    }

    #[test]
    fn texts_are_joined_and_pictures_between_them_skipped() {
        let value = json!({"content": {"parts": ["a", {"content_type": "image_asset_pointer"}, "b", null]}});

        assert_eq!(answer_text(message(&value)), "ab");
        assert_eq!(answer_text(message(&json!({"content": {"parts": []}}))), "");
        assert_eq!(answer_text(message(&json!({"content": null}))), "");
    }

    #[test]
    fn thoughts_have_a_bold_line_each() {
        let value = json!({"content": {"thoughts": [
            {"summary": "One", "content": "first"}, {"summary": "", "content": "second"}, 7]}});

        assert_eq!(thoughts_text(message(&value)), "**One**\nfirst\n\nsecond");
    }
}
