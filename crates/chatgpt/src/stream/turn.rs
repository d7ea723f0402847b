//! One turn: all bodies that belong to it, reduced to events.

mod ending;
mod messages;

use serde_json::{Map, Value};

use super::document::{Content, Document, Touched};
use super::event::{Event, StreamError, ToolFault};
use super::frames::{Frame, Frames, Payload};
use super::message::{Origin, Record, text};
use super::typed::{self, Meaning};
use crate::citations::Citations;

/// How many bytes of text one turn may hold in memory.
pub const MAX_TURN_BYTES: usize = 64 << 20;

/// What is known of a turn before its first byte.
#[derive(Debug, Clone, Default)]
pub struct TurnOptions {
    /// The conversation that goes on; frames of others are ignored.
    pub conversation_id: Option<String>,
    /// The ids of the messages in the request: the service repeats them, and they are no answer.
    pub sent_ids: Vec<String>,
    /// What becomes of citations.
    pub citations: Citations,
}

/// What a continuation of a cut answer must name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continuation {
    /// The conversation.
    pub conversation_id: String,
    /// The message that was cut.
    pub parent_message_id: String,
}

/// Reduces the event streams of one turn.
///
/// Feed each body with [`Turn::feed`], end it with [`Turn::finish`], and put [`Turn::next_body`] before the stream of a
/// continuation or a resume call: what was said before is then not repeated.
#[derive(Debug)]
pub struct Turn {
    frames: Frames,
    document: Document,
    records: Vec<Record>,
    sent_ids: Vec<String>,
    citations: Citations,
    held_bytes: usize,
    /// The root belongs to another conversation.
    foreign: bool,
    conversation_id: Option<String>,
    model: Option<String>,
    exchange_id: Option<String>,
    resume_token: Option<String>,
    /// A handoff without an answer after it.
    handoff: Option<Elsewhere>,
    /// A picture in the making.
    task: Option<Elsewhere>,
    told: Told,
    /// The last failure of a tool.
    fault: Option<ToolFault>,
    /// Several answers are in the stream.
    many: bool,
    /// Moderation ended the turn.
    blocked: bool,
    phase: Phase,
    unreadable: u64,
}

/// How far the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    Complete,
    Done,
    Failed,
}

/// Something that goes on outside this stream, with its topic or task id if that was told.
#[derive(Debug, Clone)]
struct Elsewhere {
    id: Option<String>,
}

/// Whether anything of its kind was told, so that the next message stands apart.
#[derive(Debug, Default)]
struct Told {
    text: bool,
    reasoning: bool,
}

impl Turn {
    /// A turn before its first byte.
    pub fn new(options: TurnOptions) -> Self {
        Self {
            frames: Frames::new(),
            document: Document::new(),
            records: Vec::new(),
            sent_ids: options.sent_ids,
            citations: options.citations,
            held_bytes: 0,
            foreign: false,
            conversation_id: options.conversation_id,
            model: None,
            exchange_id: None,
            resume_token: None,
            handoff: None,
            task: None,
            told: Told::default(),
            fault: None,
            many: false,
            blocked: false,
            phase: Phase::Open,
            unreadable: 0,
        }
    }

    /// Takes the next piece of the body, of any size, and tells what it brought.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut out = Vec::new();
        if self.phase == Phase::Failed {
            return out;
        }
        let fed = self.frames.feed(bytes);
        self.drain(&mut out);
        if fed.is_err() {
            self.fail(StreamError::TooLarge, &mut out);
        }
        out
    }

    /// The stream of a continuation or a resume call follows.
    pub fn next_body(&mut self) {
        self.frames = Frames::new();
        self.document.rewind();
        for record in &mut self.records {
            record.end_turn = false;
        }
        self.handoff = None;
        self.phase = Phase::Open;
    }

    /// `[DONE]` was read: nothing of interest follows in this body.
    pub fn is_done(&self) -> bool {
        self.phase >= Phase::Done
    }

    /// The service called the stream complete or blocked it; only metadata may follow, so wait for `[DONE]` briefly.
    pub fn is_complete(&self) -> bool {
        self.phase >= Phase::Complete || self.blocked
    }

    /// The conversation's id, once a frame told it.
    pub fn conversation_id(&self) -> Option<&str> {
        self.conversation_id.as_deref()
    }

    /// The model that answers, once a frame told it.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// The last failure of one of the service's tools.
    pub fn tool_fault(&self) -> Option<&ToolFault> {
        self.fault.as_ref()
    }

    /// The assistant's message of the request that the service repeated: what speech is made from.
    pub fn repeated_answer_id(&self) -> Option<&str> {
        let mut records = self.records.iter();
        let found = records.find(|record| record.origin == Origin::RequestAnswer)?;
        Some(&found.id)
    }

    /// Frames and operations that could not be read or applied, for logs.
    pub fn ignored(&self) -> u64 {
        self.unreadable + self.document.ignored()
    }

    fn drain(&mut self, out: &mut Vec<Event>) {
        while let Some(frame) = self.frames.next_frame() {
            if !self.is_done() {
                self.frame(frame, out);
            }
        }
    }

    fn frame(&mut self, frame: Frame, out: &mut Vec<Event>) {
        let object = match frame.payload {
            Payload::Done => {
                self.phase = Phase::Done;
                return;
            }
            Payload::Json(Value::Object(object)) => object,
            Payload::Json(_) => return,
            Payload::Unreadable => {
                self.unreadable += 1;
                return;
            }
        };
        let kind = text(&object, "type").map(str::to_owned);
        if frame.name == "error" || kind.as_deref() == Some("error") {
            if let Some(Meaning::Failed(error)) = typed::read("error", &object) {
                self.fail(error, out);
            }
        } else if object.contains_key("v") {
            let touched = self.document.apply(object, frame.bytes);
            self.reduce(&touched, out);
        } else if object
            .get("message")
            .is_some_and(|m| m.is_object() || m.is_null())
        {
            self.document.replace(Value::Object(object), frame.bytes);
            let touched = Touched {
                root: true,
                content: Content::Rewritten,
                other: true,
            };
            self.reduce(&touched, out);
        } else if let Some(kind) = kind {
            self.typed(&kind, &object, out);
        } else if let Some(choices) = object.get("choices") {
            self.chunk(choices, out);
        } else if let Some(error) = typed::failure(&object) {
            self.fail(error, out);
        }
    }

    /// The conversation of a frame; `false` when it is not ours.
    fn is_ours(&mut self, frame: Option<&str>, out: &mut Vec<Event>) -> bool {
        match (&self.conversation_id, frame) {
            (Some(ours), Some(theirs)) => ours == theirs,
            (None, Some(new)) => {
                self.conversation_id = Some(new.to_owned());
                out.push(Event::Conversation(new.to_owned()));
                true
            }
            (_, None) => true,
        }
    }

    fn typed(&mut self, kind: &str, object: &Map<String, Value>, out: &mut Vec<Event>) {
        if !self.is_ours(text(object, "conversation_id"), out) {
            return;
        }
        match typed::read(kind, object) {
            Some(Meaning::Tell(event)) => {
                if let Event::ResumeToken(token) = &event {
                    self.resume_token = Some(token.clone());
                }
                out.push(event);
            }
            Some(Meaning::Complete) => self.phase = Phase::Complete,
            Some(Meaning::Handoff(topic)) => self.handoff = Some(Elsewhere { id: topic }),
            Some(Meaning::Exchange { id, model }) => {
                self.exchange_id = id.or(self.exchange_id.take());
                if let Some(model) = model {
                    self.serve(&model, out);
                }
            }
            Some(Meaning::Moderation { message, blocked }) => {
                let known = |id: String| self.records.iter().any(|record| record.id == id);
                if message.is_none_or(known) {
                    self.blocked |= blocked;
                    out.push(Event::Moderation { blocked });
                }
            }
            Some(Meaning::Variants) => self.many = true,
            Some(Meaning::Failed(error)) => self.fail(error, out),
            None => {}
        }
    }

    fn serve(&mut self, model: &str, out: &mut Vec<Event>) {
        if self.model.as_deref() != Some(model) {
            self.model = Some(model.to_owned());
            out.push(Event::Model(model.to_owned()));
        }
    }

    fn fail(&mut self, error: StreamError, out: &mut Vec<Event>) {
        if self.phase != Phase::Failed {
            self.phase = Phase::Failed;
            out.push(Event::Failed(error));
        }
    }
}

#[cfg(test)]
mod tests;
