//! Bytes to frames: the framing as the service and the proxies before it write it.

use std::collections::VecDeque;

use aurora_openai::sse::{Decoder, TooLarge};
use serde_json::{Deserializer, Value};

/// How large one event may grow: snapshots repeat the whole text, tool results reach several MiB.
pub const MAX_EVENT_BYTES: usize = 32 << 20;

const DONE: &str = "[DONE]";

/// One payload of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// The `event:` field; empty when there is none.
    pub name: String,
    /// What stands in `data:`.
    pub payload: Payload,
    /// The bytes of the event that it came in, for bounds.
    pub bytes: usize,
}

/// The data of a frame.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// A JSON value.
    Json(Value),
    /// `[DONE]`.
    Done,
    /// Neither; nothing after it in the same event can be read.
    Unreadable,
}

/// Reads frames from pieces of any size.
///
/// Comments, ids and retry hints are dropped; `data: {..}data: {..}` on one line is two frames, as some proxies glue them;
/// a frame that no blank line ends is discarded, except `[DONE]`.
#[derive(Debug)]
pub struct Frames {
    decoder: Decoder,
    ready: VecDeque<Frame>,
}

impl Default for Frames {
    fn default() -> Self {
        Self::new()
    }
}

impl Frames {
    /// A reader at the start of a body.
    pub fn new() -> Self {
        Self {
            decoder: Decoder::new(MAX_EVENT_BYTES),
            ready: VecDeque::new(),
        }
    }

    /// Takes the next piece; [`Frames::next_frame`] then gives what it completes.
    ///
    /// # Errors
    /// [`TooLarge`]: one event is beyond [`MAX_EVENT_BYTES`]. Frames before it can still be read.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        let fed = self.decoder.feed(bytes);
        self.drain();
        fed
    }

    /// The next complete frame.
    pub fn next_frame(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }

    /// The body is over: only a `[DONE]` that lacks its blank line still counts.
    pub fn finish(&mut self) {
        if self.decoder.is_mid_event() && self.decoder.feed(b"\n\n").is_ok() {
            let last = std::iter::from_fn(|| self.decoder.next_event()).last();
            if last.is_some_and(|event| event.data.trim() == DONE) {
                self.ready.push_back(Frame {
                    name: String::new(),
                    payload: Payload::Done,
                    bytes: DONE.len(),
                });
            }
        }
    }

    fn drain(&mut self) {
        while let Some(event) = self.decoder.next_event() {
            for payload in payloads(&event.data) {
                self.ready.push_back(Frame {
                    name: event.name.clone(),
                    payload,
                    bytes: event.data.len(),
                });
            }
        }
    }
}

fn payloads(data: &str) -> Vec<Payload> {
    let mut found = Vec::new();
    let mut rest = data.trim();
    while !rest.is_empty() {
        if let Some(glued) = rest.strip_prefix("data:") {
            rest = glued.trim_start();
        } else if let Some(after) = rest.strip_prefix(DONE) {
            found.push(Payload::Done);
            rest = after.trim_start();
        } else {
            let mut values = Deserializer::from_str(rest).into_iter::<Value>();
            let Some(Ok(value)) = values.next() else {
                found.push(Payload::Unreadable);
                break;
            };
            found.push(Payload::Json(value));
            let after = rest.get(values.byte_offset()..).unwrap_or_default();
            rest = after.trim_start();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(stream: &str) -> Vec<(String, Payload)> {
        let mut frames = Frames::new();
        frames.feed(stream.as_bytes()).unwrap();
        frames.finish();
        std::iter::from_fn(|| frames.next_frame())
            .map(|frame| (frame.name, frame.payload))
            .collect()
    }

    #[test]
    fn glued_payloads_are_two_frames() {
        let read = read("data: {\"a\":1}data: {\"b\":\"data: \"} \r\n\r\ndata:[DONE]\n\n");

        let payloads: Vec<_> = read.into_iter().map(|(_, payload)| payload).collect();
        assert_eq!(
            payloads,
            [
                Payload::Json(json!({"a": 1})),
                Payload::Json(json!({"b": "data: "})),
                Payload::Done
            ]
        );
    }

    #[test]
    fn an_unfinished_frame_is_discarded_but_for_done() {
        assert_eq!(read("data: {\"a\":1}\n"), []);
        assert_eq!(read("data: [DON"), []);
        assert_eq!(read("data: [DONE]"), [(String::new(), Payload::Done)]);
    }

    #[test]
    fn what_is_no_json_is_named_unreadable() {
        assert_eq!(
            read("event: x\ndata: <html>\n\n"),
            [("x".to_owned(), Payload::Unreadable)]
        );
    }

    #[test]
    fn an_event_of_eight_mebibytes_is_read_and_one_of_forty_refused() {
        let mut frames = Frames::new();
        let text = "x".repeat(8 << 20);
        frames
            .feed(format!("data: \"{text}\"\n\n").as_bytes())
            .unwrap();
        assert!(frames.next_frame().is_some());

        let block = vec![b'x'; 1 << 20];
        frames.feed(b"data: \"").unwrap();
        let fed: Result<Vec<()>, TooLarge> = (0..40).map(|_| frames.feed(&block)).collect();
        assert_eq!(fed, Err(TooLarge));
    }
}
