//! Chat chunks in, a message out: whole, or as events.
//!
//! Blocks of a message come one after the other. Calls of a chat may interleave: then the one that comes later waits until the
//! one before it is whole.

use aurora_openai::chat::{ChatChunk, ChunkChoice, ToolCallDelta, Usage};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

/// A message in the making.
#[derive(Debug)]
pub(crate) struct Answer {
    id: String,
    model: String,
    stop_sequences: Vec<String>,
    blocks: Vec<Block>,
    /// The first block that has not ended on the wire.
    open: usize,
    finish_reason: Option<String>,
    is_refused: bool,
    usage: Option<Usage>,
    bytes: usize,
}

/// An event: its name, which is its type, and its data.
#[derive(Debug, PartialEq)]
pub(crate) struct Event(pub(crate) &'static str, pub(crate) Value);

#[derive(Debug)]
struct Block {
    kind: Kind,
    /// The text, or the arguments of the call.
    text: String,
    /// How many bytes of it have been sent.
    sent: usize,
    is_begun: bool,
}

#[derive(Debug)]
enum Kind {
    Text,
    Call {
        index: u32,
        id: String,
        name: String,
    },
}

impl Answer {
    pub(crate) fn new(id: String, model: String, stop_sequences: Vec<String>) -> Self {
        Self {
            id,
            model,
            stop_sequences,
            blocks: Vec::new(),
            open: 0,
            finish_reason: None,
            is_refused: false,
            usage: None,
            bytes: 0,
        }
    }

    /// Token counts, where the upstream has told them.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Bytes of text so far. They are held until the end, so a bound is in order.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the next chunk.
    pub(crate) fn push(&mut self, chunk: ChatChunk) {
        self.usage = chunk.usage.or(self.usage);
        // Only one choice is ever asked for.
        if let Some(choice) = chunk.choices.into_iter().find(|choice| choice.index == 0) {
            self.choice(choice);
        }
    }

    fn choice(&mut self, choice: ChunkChoice) {
        if let Some(text) = choice.delta.content {
            self.say(&text);
        }
        if let Some(text) = choice.delta.refusal {
            self.is_refused |= !text.is_empty();
            self.say(&text);
        }
        for piece in choice.delta.tool_calls.unwrap_or_default() {
            self.call(piece);
        }
        if choice.finish_reason.is_some() {
            self.finish_reason = choice.finish_reason;
        }
    }

    fn say(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.bytes += text.len();
        match self.blocks.last_mut() {
            Some(block) if block.is_text() => block.text.push_str(text),
            _ => self.blocks.push(Block::new(Kind::Text, text)),
        }
    }

    fn call(&mut self, piece: ToolCallDelta) {
        let function = piece.function.unwrap_or_default();
        let arguments = function.arguments.unwrap_or_default();
        self.bytes += arguments.len();
        let mut calls = self.blocks.iter_mut();
        if let Some(block) = calls.find(|block| block.is_call(piece.index)) {
            block.text.push_str(&arguments);
            return;
        }
        let kind = Kind::Call {
            index: piece.index,
            id: piece
                .id
                .filter(|id| !id.is_empty())
                .unwrap_or_else(|| format!("toolu_{}_{}", self.id, piece.index)),
            name: function.name.unwrap_or_default(),
        };
        self.blocks.push(Block::new(kind, &arguments));
    }

    /// The first event.
    pub(crate) fn begin(&self) -> Event {
        let nothing = (Value::Null, Value::Null);
        let message = self.message_of(Vec::new(), nothing, None);
        Event(
            "message_start",
            json!({ "type": "message_start", "message": message }),
        )
    }

    /// What is new since the last call.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.advance(false, &mut events);
        events
    }

    /// The chat is over: all that is left.
    pub(crate) fn last_events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.advance(true, &mut events);
        let (stop_reason, stop_sequence) = self.stop();
        events.push(Event(
            "message_delta",
            json!({
                "type": "message_delta",
                "delta": { "stop_reason": stop_reason, "stop_sequence": stop_sequence },
                "usage": counts(self.usage),
            }),
        ));
        events.push(Event("message_stop", json!({ "type": "message_stop" })));
        events
    }

    fn advance(&mut self, is_over: bool, events: &mut Vec<Event>) {
        while let Some(block) = self.blocks.get_mut(self.open) {
            block.write(self.open, events);
            let has_next = self.open + 1 < self.blocks.len();
            let block = self.blocks.get(self.open);
            let has_ended = is_over || (has_next && block.is_some_and(Block::is_whole));
            if !has_ended {
                return;
            }
            let index = self.open;
            events.push(Event(
                "content_block_stop",
                json!({ "type": "content_block_stop", "index": index }),
            ));
            self.open += 1;
        }
    }

    /// All of it, once the chat is over.
    pub(crate) fn message(&self) -> Value {
        let content = self.blocks.iter().map(Block::to_json).collect();
        self.message_of(content, self.stop(), self.usage)
    }

    fn message_of(&self, content: Vec<Value>, stop: (Value, Value), usage: Option<Usage>) -> Value {
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": stop.0,
            "stop_sequence": stop.1,
            "usage": counts(usage),
        })
    }

    /// `stop_reason` and `stop_sequence`.
    fn stop(&self) -> (Value, Value) {
        let has_calls = self.blocks.iter().any(|block| !block.is_text());
        let reason = match self.finish_reason.as_deref() {
            Some("length") => "max_tokens",
            Some("content_filter") => "refusal",
            _ if self.is_refused => "refusal",
            // Some servers say `stop` here.
            _ if has_calls => "tool_use",
            _ => "end_turn",
        };
        // Chats do not say which sequence it was, and mostly leave it out of the text. Where it is there, it is known.
        let text = self.blocks.last().map(|block| block.text.as_str());
        let mut sequences = self.stop_sequences.iter();
        match text.and_then(|text| sequences.find(|sequence| text.ends_with(sequence.as_str()))) {
            Some(sequence) if reason == "end_turn" => {
                ("stop_sequence".into(), sequence.as_str().into())
            }
            _ => (reason.into(), Value::Null),
        }
    }
}

impl Block {
    fn new(kind: Kind, text: &str) -> Self {
        Self {
            kind,
            text: text.to_owned(),
            sent: 0,
            is_begun: false,
        }
    }

    fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Text)
    }

    fn is_call(&self, wanted: u32) -> bool {
        matches!(self.kind, Kind::Call { index, .. } if index == wanted)
    }

    /// Whether nothing more can come, now that another block has begun.
    fn is_whole(&self) -> bool {
        // The first question is the cheap one.
        let is_object = || serde_json::from_str::<IgnoredAny>(&self.text).is_ok();
        self.is_text() || (self.text.trim_end().ends_with('}') && is_object())
    }

    /// Its beginning, and what has not been sent of it.
    fn write(&mut self, index: usize, events: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.is_begun, true) {
            let block = match &self.kind {
                Kind::Text => json!({ "type": "text", "text": "" }),
                Kind::Call { id, name, .. } => {
                    json!({ "type": "tool_use", "id": id, "name": name, "input": {} })
                }
            };
            events.push(Event(
                "content_block_start",
                json!({ "type": "content_block_start", "index": index, "content_block": block }),
            ));
        }
        let new = self.text.get(self.sent..).unwrap_or_default();
        if new.is_empty() {
            return;
        }
        let delta = match self.kind {
            Kind::Text => json!({ "type": "text_delta", "text": new }),
            Kind::Call { .. } => json!({ "type": "input_json_delta", "partial_json": new }),
        };
        self.sent = self.text.len();
        events.push(Event(
            "content_block_delta",
            json!({ "type": "content_block_delta", "index": index, "delta": delta }),
        ));
    }

    fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Text => json!({ "type": "text", "text": self.text }),
            Kind::Call { id, name, .. } => {
                json!({ "type": "tool_use", "id": id, "name": name, "input": self.input() })
            }
        }
    }

    /// The arguments; as text where they are cut off or broken, so that no tool runs without them.
    fn input(&self) -> Value {
        if self.text.trim().is_empty() {
            return json!({});
        }
        serde_json::from_str(&self.text).unwrap_or_else(|_| self.text.as_str().into())
    }
}

/// This API counts what came from a cache apart; chats count it in.
fn counts(usage: Option<Usage>) -> Value {
    let usage = usage.unwrap_or_default();
    let cached = usage.prompt_tokens_details;
    let cached = cached
        .and_then(|details| details.cached_tokens)
        .unwrap_or(0);
    json!({
        "input_tokens": usage.prompt_tokens.saturating_sub(cached),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.completion_tokens,
    })
}
