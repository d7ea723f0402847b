//! Calls of functions and custom tools, which may come interleaved.

use std::collections::BTreeSet;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::super::event::{EventLog, Payload};
use super::super::object::Status;
use super::super::output::OutputItem;
use super::Answer;
use crate::chat::ToolCallDelta;

/// The calls of an answer so far.
#[derive(Debug)]
pub(super) struct Calls {
    custom_tools: BTreeSet<String>,
    all: Vec<Call>,
}

#[derive(Debug)]
struct Call {
    /// The upstream's index; not unique, since some servers give every call index 0.
    index: u32,
    given_id: String,
    name: String,
    arguments: String,
    /// Where it stands in the output, once its name is known.
    place: Option<Place>,
}

#[derive(Debug)]
struct Place {
    output_index: usize,
    item_id: String,
    is_custom: bool,
}

impl Calls {
    pub(super) fn new(custom_tools: BTreeSet<String>) -> Self {
        Self {
            custom_tools,
            all: Vec::new(),
        }
    }

    /// The call that `piece` is of, added where it is the first piece; returns its position.
    fn position(&mut self, piece: &ToolCallDelta) -> usize {
        let id = piece.id.as_deref().unwrap_or_default();
        let is_named = piece
            .function
            .as_ref()
            .and_then(|function| function.name.as_deref())
            .is_some_and(|name| !name.is_empty());
        let known = self
            .all
            .iter()
            .rposition(|call| call.index == piece.index)
            // Another id together with a name is another call, whatever the index says.
            .filter(|&at| {
                self.all.get(at).is_some_and(|call| {
                    !is_named || id.is_empty() || call.given_id.is_empty() || call.given_id == id
                })
            });
        known.unwrap_or_else(|| {
            self.all.push(Call {
                index: piece.index,
                given_id: String::new(),
                name: String::new(),
                arguments: String::new(),
                place: None,
            });
            self.all.len() - 1
        })
    }
}

impl Answer {
    /// Takes a piece of a call.
    pub(super) fn call_piece(&mut self, piece: ToolCallDelta) {
        let at = self.calls.position(&piece);
        let function = piece.function.unwrap_or_default();
        let arguments = function.arguments.unwrap_or_default();
        self.bytes += arguments.len();
        let Some(call) = self.calls.all.get_mut(at) else {
            return;
        };
        if let Some(id) = piece.id.filter(|_| call.given_id.is_empty()) {
            call.given_id = id;
        }
        if let Some(name) = function.name.filter(|_| call.name.is_empty()) {
            call.name = name;
        }
        call.arguments.push_str(&arguments);
        if let Some(place) = &call.place {
            place.emit_delta(&arguments, &mut self.log);
        } else if !call.name.is_empty() {
            self.open_call(at);
        }
    }

    /// Closes all calls. Of an answer that was cut off, those are complete whose arguments are.
    pub(super) fn close_calls(&mut self, status: Status) {
        for at in 0..self.calls.all.len() {
            self.open_call(at);
            self.close_call(at, status);
        }
    }

    /// Keeps the arguments that have come, without events.
    pub(super) fn keep_open_calls(&mut self) {
        for call in &self.calls.all {
            call.settle(&mut self.response.output);
        }
    }

    /// Adds the call to the output, if it is not there yet.
    fn open_call(&mut self, at: usize) {
        let Some(call) = self
            .calls
            .all
            .get_mut(at)
            .filter(|call| call.place.is_none())
        else {
            return;
        };
        let is_custom = self.calls.custom_tools.contains(&call.name);
        if call.given_id.is_empty() {
            call.given_id = self.ids.item("call");
        }
        let item_id = self.ids.item(if is_custom { "ctc" } else { "fc" });
        let item = call.item(item_id.clone(), is_custom);
        self.close_item(Status::Completed);
        let place = Place {
            output_index: self.add_item(item),
            item_id,
            is_custom,
        };
        if let Some(call) = self.calls.all.get_mut(at) {
            place.emit_delta(&call.arguments, &mut self.log);
            call.place = Some(place);
        }
    }

    fn close_call(&mut self, at: usize, status: Status) {
        let Some(call) = self.calls.all.get_mut(at) else {
            return;
        };
        let Some(place) = &call.place else {
            return;
        };
        if call.arguments.is_empty() && status == Status::Completed {
            // No arguments are an empty object; some servers leave even that out, and clients parse the text.
            call.arguments.push_str("{}");
            place.emit_delta(&call.arguments, &mut self.log);
        }
        let is_whole = serde_json::from_str::<IgnoredAny>(&call.arguments).is_ok();
        let settled = call.settle(&mut self.response.output);
        if place.is_custom {
            let delta = Payload {
                delta: Some(&settled),
                ..place.payload()
            };
            self.log
                .emit("response.custom_tool_call_input.delta", delta);
            let done = Payload {
                input: Some(&settled),
                ..place.payload()
            };
            self.log.emit("response.custom_tool_call_input.done", done);
        } else {
            let done = Payload {
                name: Some(&call.name),
                arguments: Some(&settled),
                ..place.payload()
            };
            self.log.emit("response.function_call_arguments.done", done);
        }
        let index = place.output_index;
        self.end_item(index, if is_whole { Status::Completed } else { status });
    }
}

impl Call {
    /// The call as an item that has just begun.
    fn item(&self, id: String, is_custom: bool) -> OutputItem {
        let (status, call_id, name) =
            (Status::InProgress, self.given_id.clone(), self.name.clone());
        if is_custom {
            OutputItem::CustomToolCall {
                id,
                status,
                call_id,
                name,
                input: String::new(),
            }
        } else {
            OutputItem::FunctionCall {
                id,
                status,
                call_id,
                name,
                arguments: String::new(),
            }
        }
    }

    /// Puts what has come into the call's item; returns it.
    fn settle(&self, output: &mut [OutputItem]) -> String {
        let index = self.place.as_ref().map(|place| place.output_index);
        match index.and_then(|index| output.get_mut(index)) {
            Some(OutputItem::FunctionCall { arguments, .. }) => {
                arguments.clone_from(&self.arguments);
                arguments.clone()
            }
            Some(OutputItem::CustomToolCall { input, .. }) => {
                *input = custom_input(&self.arguments);
                input.clone()
            }
            _ => String::new(),
        }
    }
}

impl Place {
    fn payload(&self) -> Payload<'_> {
        Payload {
            item_id: Some(&self.item_id),
            output_index: Some(self.output_index),
            ..Payload::default()
        }
    }

    /// Custom input stands inside the arguments, so it can be given only at the end.
    fn emit_delta(&self, arguments: &str, log: &mut EventLog) {
        if !self.is_custom && !arguments.is_empty() {
            let payload = Payload {
                delta: Some(arguments),
                ..self.payload()
            };
            log.emit("response.function_call_arguments.delta", payload);
        }
    }
}

/// The `input` of an emulated custom tool; models that do not keep to the schema mean their text as it is.
fn custom_input(arguments: &str) -> String {
    match serde_json::from_str::<Value>(arguments) {
        Ok(Value::Object(members)) => match members.get("input") {
            Some(Value::String(input)) => input.clone(),
            _ => arguments.to_owned(),
        },
        Ok(Value::String(input)) => input,
        _ => arguments.to_owned(),
    }
}
