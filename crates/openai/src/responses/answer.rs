//! Chat chunks in, Responses events out.
//!
//! Text and reasoning come one after the other: each item is closed when another begins. Calls may interleave, so they
//! stay open until the end. Events of one item all have its id and index.

mod calls;
mod texts;

use std::collections::BTreeSet;

use serde_json::Value;

use self::calls::Calls;
use self::texts::{Kind, Open};
use super::create::CreateResponse;
use super::event::{Event, EventLog, Payload};
use super::id::Ids;
use super::object::{Failure, Incomplete, Response, Status};
use super::output::OutputItem;
use crate::chat::{ChatChunk, ChunkChoice};

/// An answer in the making. Begin with [`Answer::begin`], end with [`Answer::finish`] or [`Answer::fail`].
#[derive(Debug)]
pub struct Answer {
    ids: Ids,
    response: Response,
    log: EventLog,
    open: Option<Open>,
    calls: Calls,
    finish_reason: Option<String>,
    bytes: usize,
}

impl Answer {
    /// An answer to `create`; `custom_tools` as [`super::Turn`] says, `now` in seconds since 1970.
    pub fn new(
        create: &CreateResponse,
        custom_tools: BTreeSet<String>,
        ids: Ids,
        now: u64,
    ) -> Self {
        Self {
            response: Response::new(ids.response(), create, now),
            ids,
            log: EventLog::default(),
            open: None,
            calls: Calls::new(custom_tools),
            finish_reason: None,
            bytes: 0,
        }
    }

    /// The response as far as it is.
    pub fn response(&self) -> &Response {
        &self.response
    }

    /// Bytes of text that have come so far; they are held until the end, so a bound is in order.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The first events.
    pub fn begin(&mut self) -> Vec<Event> {
        for name in ["response.created", "response.in_progress"] {
            self.emit_response(name);
        }
        self.log.take()
    }

    /// Takes the next chunk.
    pub fn push(&mut self, chunk: ChatChunk) -> Vec<Event> {
        if let Some(usage) = chunk.usage {
            self.response.usage = Some(usage.into());
        }
        // Only one choice is ever asked for.
        if let Some(choice) = chunk.choices.into_iter().find(|choice| choice.index == 0) {
            self.choice(choice);
        }
        self.log.take()
    }

    /// The chat answer is whole: the last events.
    pub fn finish(&mut self, now: u64) -> Vec<Event> {
        let reason = match self.finish_reason.as_deref() {
            Some("length") => Some("max_output_tokens"),
            Some("content_filter") => Some("content_filter"),
            Some(_) | None => None,
        };
        let status = if reason.is_some() {
            Status::Incomplete
        } else {
            Status::Completed
        };
        self.close_item(status);
        self.close_calls(status);
        self.response.status = status;
        if let Some(reason) = reason {
            self.response.incomplete_details = Some(Incomplete { reason });
            self.emit_response("response.incomplete");
        } else {
            self.response.completed_at = Some(now);
            self.emit_response("response.completed");
        }
        self.log.take()
    }

    /// The chat answer broke off: the last event. Items that were open stay as they are.
    pub fn fail(&mut self, code: &str, message: &str) -> Vec<Event> {
        self.keep_open_part();
        self.keep_open_calls();
        for item in self
            .response
            .output
            .iter_mut()
            .filter(|item| item.is_open())
        {
            item.set_status(Status::Incomplete);
        }
        self.response.status = Status::Failed;
        self.response.error = Some(Failure {
            code: code.to_owned(),
            message: message.to_owned(),
        });
        self.emit_response("response.failed");
        self.log.take()
    }

    fn choice(&mut self, choice: ChunkChoice) {
        let delta = choice.delta;
        if let Some(reasoning) = delta.reasoning_content.or(delta.reasoning) {
            self.write(Kind::Reasoning, &reasoning, &[]);
        }
        if let Some(content) = delta.content {
            let logprobs = choice
                .logprobs
                .as_ref()
                .and_then(|logprobs| logprobs.get("content"))
                .and_then(Value::as_array)
                .map_or(&[][..], Vec::as_slice);
            self.write(Kind::Text, &content, logprobs);
        }
        if let Some(refusal) = delta.refusal {
            self.write(Kind::Refusal, &refusal, &[]);
        }
        for piece in delta.tool_calls.unwrap_or_default() {
            self.call_piece(piece);
        }
        if choice.finish_reason.is_some() {
            self.finish_reason = choice.finish_reason;
        }
    }

    fn emit_response(&mut self, name: &'static str) {
        let payload = Payload {
            response: Some(&self.response),
            ..Payload::default()
        };
        self.log.emit(name, payload);
    }

    /// Adds `item`; returns its index.
    fn add_item(&mut self, item: OutputItem) -> usize {
        let index = self.response.output.len();
        let payload = Payload {
            output_index: Some(index),
            item: Some(&item),
            ..Payload::default()
        };
        self.log.emit("response.output_item.added", payload);
        self.response.output.push(item);
        index
    }

    /// Closes the item at `index`.
    fn end_item(&mut self, index: usize, status: Status) {
        if let Some(item) = self.response.output.get_mut(index) {
            item.set_status(status);
            let payload = Payload {
                output_index: Some(index),
                item: Some(item),
                ..Payload::default()
            };
            self.log.emit("response.output_item.done", payload);
        }
    }
}

#[cfg(test)]
mod tests;
