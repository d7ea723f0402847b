//! A saved conversation (`GET /conversation/{id}`): what its last turn came to.

use serde_json::{Map, Value};

use super::event::ToolFault;
use super::message::{self, Kind, text};
use super::picture::Picture;

/// How many messages back a turn may reach.
const MAX_STEPS: usize = 1024;

/// State 4 of the background task: done.
const DONE: i64 = 4;

/// The last turn of a saved conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saved {
    /// The pictures that it made.
    pub pictures: Vec<Picture>,
    /// The answer's texts, with blank lines between them; marks of citations are still in them.
    pub text: String,
    /// Whether the newest message is an answer that is complete and ends the turn.
    pub is_answered: bool,
    /// The last failure of a tool.
    pub fault: Option<ToolFault>,
    /// State of the background task.
    pub async_status: Option<i64>,
}

impl Saved {
    /// Reads the active branch from `current_node` up to the user's last message; what is odd is left out.
    pub fn read(conversation: &Value) -> Self {
        let status = ["async_status", "conversation_async_status"];
        let status = status
            .iter()
            .find_map(|key| conversation.get(*key)?.as_i64());
        let mut saved = Self {
            async_status: status,
            ..Self::default()
        };
        let turn = last_turn(conversation);
        let mut pictures = Vec::new();
        for message in turn.iter().rev() {
            let id = text(message, "id").unwrap_or("");
            pictures.extend(message::pictures(message, id));
            match Kind::of(message) {
                Kind::Answer => {
                    let answer = message::answer_text(message);
                    if !saved.text.is_empty() && !answer.is_empty() {
                        saved.text.push_str("\n\n");
                    }
                    saved.text.push_str(&answer);
                }
                Kind::ToolFault => saved.fault = Some(message::tool_fault(message)),
                _ => {}
            }
        }
        saved.pictures = Picture::results(pictures);
        saved.is_answered = turn.first().is_some_and(|newest| {
            Kind::of(newest) == Kind::Answer
                && text(newest, "status").is_some_and(|status| status.starts_with("finished"))
                && newest.get("end_turn").and_then(Value::as_bool) == Some(true)
        });
        saved
    }

    /// Whether nothing more will come.
    pub fn is_over(&self) -> bool {
        self.is_answered || self.async_status == Some(DONE)
    }
}

/// The messages after the user's last one, newest first.
fn last_turn(conversation: &Value) -> Vec<&Map<String, Value>> {
    let mut messages = Vec::new();
    let mapping = conversation.get("mapping").and_then(Value::as_object);
    let mut next = conversation.get("current_node").and_then(Value::as_str);
    for _ in 0..MAX_STEPS {
        let Some(node) = mapping.zip(next).and_then(|(mapping, id)| mapping.get(id)) else {
            break;
        };
        if let Some(message) = node.get("message").and_then(Value::as_object) {
            if message::role(message) == "user" {
                break;
            }
            messages.push(message);
        }
        next = node.get("parent").and_then(Value::as_str);
    }
    messages
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_last_turn_of_the_active_branch_counts() {
        let said = |role: &str, text: &str| {
            json!({"id": text, "author": {"role": role}, "status": "finished_successfully", "end_turn": true,
                "content": {"content_type": "text", "parts": [text]}})
        };
        let conversation = json!({"current_node": "d", "mapping": {
            "a": {"message": said("assistant", "old"), "parent": null},
            "b": {"message": said("user", "ask"), "parent": "a"},
            "c": {"message": said("assistant", "one"), "parent": "b"},
            "d": {"message": said("assistant", "two"), "parent": "c"},
            "e": {"message": said("assistant", "other branch"), "parent": "b"}}});

        let saved = Saved::read(&conversation);

        assert_eq!(saved.text, "one\n\ntwo");
        assert!(saved.is_answered && saved.is_over());
    }

    #[test]
    fn a_circle_or_odd_nodes_end_the_walk() {
        let circle =
            json!({"current_node": "a", "mapping": {"a": {"message": null, "parent": "a"}}});

        for conversation in [
            circle,
            json!({}),
            json!({"current_node": "x", "mapping": 7}),
            json!(null),
        ] {
            assert_eq!(Saved::read(&conversation), Saved::default());
        }
    }
}
