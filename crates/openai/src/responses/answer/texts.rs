//! Items made of text: messages and reasoning.

use serde_json::Value;

use super::super::event::Payload;
use super::super::object::Status;
use super::super::output::{OutputItem, Part};
use super::Answer;

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Reasoning,
    Text,
    Refusal,
}

/// The part that is being written, of the item that is being written.
#[derive(Debug)]
pub(super) struct Open {
    kind: Kind,
    item_id: String,
    output_index: usize,
    content_index: usize,
    text: String,
    logprobs: Vec<Value>,
}

impl Kind {
    fn is_of_message(self) -> bool {
        self != Self::Reasoning
    }

    fn delta_event(self) -> &'static str {
        match self {
            Self::Reasoning => "response.reasoning_text.delta",
            Self::Text => "response.output_text.delta",
            Self::Refusal => "response.refusal.delta",
        }
    }

    fn done_event(self) -> &'static str {
        match self {
            Self::Reasoning => "response.reasoning_text.done",
            Self::Text => "response.output_text.done",
            Self::Refusal => "response.refusal.done",
        }
    }

    fn part(self, text: String, logprobs: Vec<Value>) -> Part {
        match self {
            Self::Reasoning => Part::ReasoningText { text },
            Self::Text => Part::OutputText {
                text,
                annotations: [],
                logprobs,
            },
            Self::Refusal => Part::Refusal { refusal: text },
        }
    }
}

impl Open {
    fn place(&self) -> Payload<'_> {
        Payload {
            item_id: Some(&self.item_id),
            output_index: Some(self.output_index),
            content_index: Some(self.content_index),
            ..Payload::default()
        }
    }
}

impl Answer {
    /// Writes `delta` to the open part where it is of `kind`, else to a new one.
    pub(super) fn write(&mut self, kind: Kind, delta: &str, logprobs: &[Value]) {
        if delta.is_empty() {
            return;
        }
        self.bytes += delta.len();
        let mut open = match self.open.take() {
            Some(open) if open.kind == kind => open,
            Some(open) if open.kind.is_of_message() && kind.is_of_message() => {
                let (item_id, index) = (open.item_id.clone(), open.output_index);
                let content_index = open.content_index + 1;
                self.open = Some(open);
                self.close_part();
                self.open_part(kind, item_id, index, content_index)
            }
            open => {
                self.open = open;
                self.close_item(Status::Completed);
                self.open_item(kind)
            }
        };
        open.text.push_str(delta);
        open.logprobs.extend_from_slice(logprobs);
        let payload = Payload {
            delta: Some(delta),
            logprobs: (kind == Kind::Text).then_some(logprobs),
            ..open.place()
        };
        self.log.emit(kind.delta_event(), payload);
        self.open = Some(open);
    }

    /// Closes the open item of text, if there is one.
    pub(super) fn close_item(&mut self, status: Status) {
        if let Some(index) = self.close_part() {
            self.end_item(index, status);
        }
    }

    /// Keeps what has been written of the open part, without an event.
    pub(super) fn keep_open_part(&mut self) -> Option<(usize, usize)> {
        let open = self.open.take()?;
        let item = self.response.output.get_mut(open.output_index)?;
        let part = open.kind.part(open.text, open.logprobs);
        item.content_mut()?.push(part);
        Some((open.output_index, open.content_index))
    }

    fn open_item(&mut self, kind: Kind) -> Open {
        let (status, content) = (Status::InProgress, Vec::new());
        let item = if kind.is_of_message() {
            OutputItem::Message {
                id: self.ids.item("msg"),
                status,
                role: "assistant",
                content,
            }
        } else {
            OutputItem::Reasoning {
                id: self.ids.item("rs"),
                status,
                summary: [],
                content,
            }
        };
        let id = item.id().to_owned();
        let index = self.add_item(item);
        self.open_part(kind, id, index, 0)
    }

    fn open_part(
        &mut self,
        kind: Kind,
        item_id: String,
        output_index: usize,
        content_index: usize,
    ) -> Open {
        let open = Open {
            kind,
            item_id,
            output_index,
            content_index,
            text: String::new(),
            logprobs: Vec::new(),
        };
        let payload = Payload {
            part: Some(&kind.part(String::new(), Vec::new())),
            ..open.place()
        };
        self.log.emit("response.content_part.added", payload);
        open
    }

    /// Closes the open part; returns its item's index.
    fn close_part(&mut self) -> Option<usize> {
        let open = self.open.as_ref()?;
        let text = Some(open.text.as_str());
        let payload = Payload {
            text: text.filter(|_| open.kind != Kind::Refusal),
            refusal: text.filter(|_| open.kind == Kind::Refusal),
            logprobs: (open.kind == Kind::Text).then_some(&open.logprobs),
            ..open.place()
        };
        self.log.emit(open.kind.done_event(), payload);
        let (index, content_index) = self.keep_open_part()?;
        let item = self.response.output.get_mut(index)?;
        let id = item.id().to_owned();
        let payload = Payload {
            item_id: Some(&id),
            output_index: Some(index),
            content_index: Some(content_index),
            part: item.content_mut()?.last(),
            ..Payload::default()
        };
        self.log.emit("response.content_part.done", payload);
        Some(index)
    }
}
