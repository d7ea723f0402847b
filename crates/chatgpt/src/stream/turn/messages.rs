//! From a changed root to text, reasoning and pictures.

use serde_json::{Map, Value};

use super::super::document::{Content, Touched};
use super::super::event::{Event, StreamError};
use super::super::message::{self, Kind, Origin, Record, Said, text};
use super::super::typed;
use super::{Elsewhere, MAX_TURN_BYTES, Turn};
use crate::citations::Renderer;

/// How many messages one turn may hold; real ones have dozens.
const MAX_MESSAGES: usize = 4096;

/// The id of the answer in a stream of chat chunks.
const CHUNKS: &str = "";

impl Turn {
    pub(super) fn reduce(&mut self, touched: &Touched, out: &mut Vec<Event>) {
        if touched.root {
            let root = self.document.root();
            let theirs = root.get("conversation_id").and_then(Value::as_str);
            let theirs = theirs.map(str::to_owned);
            self.foreign = !self.is_ours(theirs.as_deref(), out);
        }
        if self.foreign || self.blocked {
            return;
        }
        if self.document.bytes() + self.held_bytes > MAX_TURN_BYTES {
            return self.fail(StreamError::TooLarge, out);
        }
        if touched.root || touched.other || touched.content != Content::Same {
            self.update(touched, out);
        }
        if touched.root {
            let root = self.document.root().as_object();
            if let Some(error) = root
                .filter(|root| root.get("error").is_some_and(|error| !error.is_null()))
                .and_then(typed::failure)
            {
                self.fail(error, out);
            }
        }
    }

    fn update(&mut self, touched: &Touched, out: &mut Vec<Event>) {
        let Some((index, is_known)) = self.place() else {
            return self.fail(StreamError::TooLarge, out);
        };
        if !is_known {
            self.flush(index, out);
        }
        let (Some(message), Some(record)) = (self.document.message(), self.records.get_mut(index))
        else {
            return;
        };
        let before = record.kind;
        let is_read = touched.root || touched.other;
        let mut freed = String::new();
        if is_read {
            record.read_envelope(message);
            if record.kind == Kind::Answer {
                freed = record.read_sources(message);
            }
        }
        let is_new = touched.root || before != record.kind;
        let held = record.growth.text().len();
        let more = match record.kind {
            Kind::Answer | Kind::Analysis | Kind::Thoughts => {
                grow(record, message, &touched.content, is_new)
            }
            _ => String::new(),
        };
        self.held_bytes = self.held_bytes.saturating_sub(held) + record.growth.text().len();
        if is_new || touched.content != Content::Same {
            record.read_pictures(message);
        }
        let model = message::metadata(message, "model_slug").and_then(Value::as_str);
        let model = model.filter(|_| is_read).map(str::to_owned);
        let kind = record.kind;
        let changed = !is_known || before != kind;
        let aside = changed.then(|| aside(kind, &record.id, message)).flatten();
        if kind == Kind::Placeholder {
            let id = message::metadata(message, "image_gen_task_id").and_then(Value::as_str);
            self.task = Some(Elsewhere {
                id: id.map(str::to_owned),
            });
        }
        if let Some(model) = model {
            self.serve(&model, out);
        }
        if let Some(Event::ToolFault(fault)) = &aside {
            self.fault = Some(fault.clone());
        }
        out.extend(aside);
        self.show(index, freed, out);
        match kind {
            Kind::Answer => self.tell_text(index, &more, out),
            Kind::Analysis | Kind::Thoughts => self.tell_reasoning(index, &more, out),
            _ => {}
        }
    }

    /// The record of the current message, and whether it was there before; `None` when there are too many.
    fn place(&mut self) -> Option<(usize, bool)> {
        let Some(message) = self.document.message() else {
            return Some((usize::MAX, true));
        };
        let id = text(message, "id").unwrap_or("");
        if let Some(index) = self.records.iter().rposition(|record| record.id == id) {
            return Some((index, true));
        }
        let id = id.to_owned();
        let is_sent = self.sent_ids.contains(&id) || message::looks_repeated(message);
        let origin = match (is_sent, message::role(message)) {
            (false, _) => Origin::Turn,
            (true, "assistant") => Origin::RequestAnswer,
            (true, _) => Origin::Request,
        };
        self.records.push(Record {
            id,
            origin,
            renderer: Renderer::new(self.citations),
            ..Record::default()
        });
        (self.records.len() <= MAX_MESSAGES).then_some((self.records.len() - 1, false))
    }

    /// Tells text of an answer, marks and all.
    fn tell_text(&mut self, index: usize, more: &str, out: &mut Vec<Event>) {
        let is_variant = self.is_variant(index);
        let Some(record) = self.records.get_mut(index).filter(|_| !is_variant) else {
            return;
        };
        if record.ends_turn() {
            self.handoff = None;
        }
        if record.said == Said::Nothing {
            record.said = Said::Start;
            out.push(Event::Message(record.id.clone()));
        }
        let mut shown = record.renderer.push(more);
        if record.finished {
            shown.push_str(&record.renderer.flush());
        }
        self.show(index, shown, out);
    }

    fn tell_reasoning(&mut self, index: usize, more: &str, out: &mut Vec<Event>) {
        let Some(record) = self.records.get_mut(index) else {
            return;
        };
        let mut shown = record.renderer.push(more);
        if record.finished {
            shown.push_str(&record.renderer.flush());
        }
        self.show(index, shown, out);
    }

    /// Gives out text that is free of marks; the first of a message stands apart from what was said before.
    fn show(&mut self, index: usize, shown: String, out: &mut Vec<Event>) {
        let Some(record) = self.records.get_mut(index).filter(|_| !shown.is_empty()) else {
            return;
        };
        let is_answer = record.kind == Kind::Answer;
        let told = if is_answer {
            &mut self.told.text
        } else {
            &mut self.told.reasoning
        };
        let apart = *told && record.said < Said::Text && !record.continues();
        *told = true;
        record.said = Said::Text;
        let shown = if apart { format!("\n\n{shown}") } else { shown };
        out.push(if is_answer {
            Event::Text(shown)
        } else {
            Event::Reasoning(shown)
        });
    }

    /// Gives out what the first `count` messages hold back.
    pub(super) fn flush(&mut self, count: usize, out: &mut Vec<Event>) {
        for index in 0..count {
            let held = self
                .records
                .get_mut(index)
                .map(|record| record.renderer.flush());
            self.show(index, held.unwrap_or_default(), out);
        }
    }

    /// With several answers in the stream, only the first of those with the same parent is told.
    fn is_variant(&self, index: usize) -> bool {
        let Some(record) = self.records.get(index).filter(|_| self.many) else {
            return false;
        };
        let mut earlier = self.records.iter().take(index);
        earlier.any(|other| other.kind == Kind::Answer && other.parent == record.parent)
    }

    /// Some reverse proxies give chunks of the chat API in place of messages.
    pub(super) fn chunk(&mut self, choices: &Value, out: &mut Vec<Event>) {
        let Some(choice) = choices.get(0).filter(|_| !self.blocked) else {
            return;
        };
        let of = |key: &str| choice.get("delta")?.get(key)?.as_str();
        let (answer, thought) = (of("content"), of("reasoning_content"));
        let known = self.records.iter().position(|record| record.id == CHUNKS);
        let index = known.unwrap_or(self.records.len());
        if known.is_none() {
            self.records.push(Record {
                kind: Kind::Answer,
                renderer: Renderer::new(self.citations),
                ..Record::default()
            });
        }
        if let Some(thought) = thought.filter(|thought| !thought.is_empty()) {
            self.told.reasoning = true;
            out.push(Event::Reasoning(thought.to_owned()));
        }
        let Some(record) = self.records.get_mut(index) else {
            return;
        };
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            (record.finished, record.end_turn) = (true, true);
            record.details = Some(match reason {
                "length" => "max_tokens".to_owned(),
                other => other.to_owned(),
            });
        }
        let more = record.growth.push(answer.unwrap_or(""));
        self.held_bytes += more.len();
        if self.held_bytes > MAX_TURN_BYTES {
            return self.fail(StreamError::TooLarge, out);
        }
        self.tell_text(index, &more, out);
    }
}

/// Brings the record's text up to date; appended pieces cost their own length, not that of the text.
fn grow(
    record: &mut Record,
    message: &Map<String, Value>,
    content: &Content,
    is_new: bool,
) -> String {
    match content {
        Content::Same if !is_new => return String::new(),
        Content::Appended(path, text)
            if !is_new && message::tail_path(message, record.kind).as_ref() == Some(path) =>
        {
            return record.growth.push(text);
        }
        _ => {}
    }
    let whole = match record.kind {
        Kind::Thoughts => message::thoughts_text(message),
        _ => message::answer_text(message),
    };
    record.growth.set(&whole)
}

/// What a message says beside text and reasoning.
fn aside(kind: Kind, id: &str, message: &Map<String, Value>) -> Option<Event> {
    match kind {
        Kind::ToolUse => Some(Event::ToolUse {
            recipient: text(message, "recipient").unwrap_or("").to_owned(),
            message_id: id.to_owned(),
        }),
        Kind::ToolFault => Some(Event::ToolFault(message::tool_fault(message))),
        _ => None,
    }
}
