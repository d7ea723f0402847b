//! Events of a Responses stream.

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::object::Response;
use super::output::{OutputItem, Part};
use crate::sse;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The name, such as `response.created`.
    pub name: &'static str,
    /// The JSON text.
    pub data: String,
}

impl Event {
    /// The event as it goes over the wire.
    pub fn to_bytes(&self) -> Bytes {
        sse::event(Some(self.name), &self.data)
    }
}

/// What an event says beside its name; every kind of event has some of these.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Payload<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response: Option<&'a Response>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item: Option<&'a OutputItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<&'a Part>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delta: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<&'a [Value]>,
}

/// Numbers events and holds them until they are taken.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    next: u64,
    events: Vec<Event>,
}

impl EventLog {
    pub(super) fn emit(&mut self, name: &'static str, payload: Payload<'_>) {
        #[derive(Serialize)]
        struct Numbered<'a> {
            r#type: &'static str,
            sequence_number: u64,
            #[serde(flatten)]
            payload: Payload<'a>,
        }
        let event = Numbered {
            r#type: name,
            sequence_number: self.next,
            payload,
        };
        self.next += 1;
        // Strings, numbers and JSON values always have a JSON form.
        let data = serde_json::to_string(&event).unwrap_or_default();
        self.events.push(Event { name, data });
    }

    pub(super) fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}
