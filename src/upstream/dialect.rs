//! What each client dialect needs at the end of an event stream: its end marker and its error event.

use aurora_config::DoneMarker;
use aurora_openai::sse::{self, End};
use aurora_sdk::{Error, Operation};
use bytes::Bytes;
use memchr::memmem;
use serde_json::{Value, json};

/// The most of a Responses stream's first event that is remembered.
const MAX_FIRST: usize = 256 * 1024;

/// What makes an event stream of `operation` complete.
pub(crate) fn end_of(operation: Operation, done: DoneMarker) -> End {
    match operation {
        Operation::Chat => match done {
            DoneMarker::Required => End::Done,
            DoneMarker::Optional => End::DoneOrFinishReason,
        },
        Operation::Responses => End::Named(&[
            "response.completed",
            "response.incomplete",
            "response.failed",
            "error",
        ]),
        Operation::Images => End::Named(&[
            "image_generation.completed",
            "image_edit.completed",
            "image.generation.completed",
        ]),
        Operation::Speech => End::Named(&["speech.audio.done"]),
        Operation::Transcribe => End::Named(&["transcript.text.done"]),
        Operation::Models | Operation::Files | Operation::Auth | Operation::Other => End::Message,
    }
}

/// The last event of a stream that failed.
pub(crate) fn error_event(operation: Operation, error: &Error, trace: &ResponsesTrace) -> Bytes {
    match operation {
        Operation::Responses => {
            let failed = trace.failed(error);
            sse::event(Some("response.failed"), &failed.to_string())
        }
        Operation::Chat
        | Operation::Models
        | Operation::Files
        | Operation::Images
        | Operation::Speech
        | Operation::Transcribe
        | Operation::Auth
        | Operation::Other => sse::event(None, &error.envelope().to_json()),
    }
}

/// What a relayed Responses stream has said of itself, so that its `response.failed` can speak of the same response.
#[derive(Debug, Default)]
pub(crate) struct ResponsesTrace {
    first: Option<Bytes>,
    last: Bytes,
}

impl ResponsesTrace {
    /// Remembers whole events on their way to the client. Shares the bytes, copies none.
    pub(crate) fn note(&mut self, events: &Bytes) {
        if self.first.is_none() && events.len() <= MAX_FIRST {
            self.first = Some(events.clone());
        }
        self.last = events.clone();
    }

    fn failed(&self, error: &Error) -> Value {
        let mut response = self
            .created()
            .unwrap_or_else(|| json!({"object": "response", "output": []}));
        if let Some(members) = response.as_object_mut() {
            members.insert("status".to_owned(), "failed".into());
            members.insert(
                "error".to_owned(),
                json!({"code": error.code(), "message": error.message()}),
            );
        }
        json!({
            "type": "response.failed",
            "sequence_number": self.sequence_number().map_or(0, |last| last + 1),
            "response": response,
        })
    }

    /// The `response` of the first event.
    fn created(&self) -> Option<Value> {
        let mut decoder = sse::Decoder::new(MAX_FIRST);
        decoder.feed(self.first.as_ref()?).ok()?;
        let mut event: Value = serde_json::from_str(&decoder.next_event()?.data).ok()?;
        event
            .get_mut("response")
            .map(Value::take)
            .filter(Value::is_object)
    }

    fn sequence_number(&self) -> Option<u64> {
        const KEY: &[u8] = br#""sequence_number":"#;
        let at = memmem::rfind(&self.last, KEY)? + KEY.len();
        let digits: Vec<u8> = self
            .last
            .get(at..)?
            .trim_ascii_start()
            .iter()
            .copied()
            .take_while(u8::is_ascii_digit)
            .collect();
        std::str::from_utf8(&digits).ok()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use aurora_sdk::{ErrorKind, Origin};

    use super::*;

    fn error() -> Error {
        Error::new(
            ErrorKind::BadGateway,
            Origin::Upstream,
            "stream_truncated",
            "cut",
        )
    }

    #[test]
    fn a_chat_error_event_is_the_envelope() {
        let event = error_event(Operation::Chat, &error(), &ResponsesTrace::default());

        assert_eq!(
            event,
            "data: {\"error\":{\"message\":\"cut\",\"type\":\"api_error\",\"param\":null,\"code\":\"stream_truncated\"}}\n\n"
        );
    }

    #[test]
    fn a_responses_error_event_speaks_of_the_same_response() {
        let mut trace = ResponsesTrace::default();
        trace.note(&sse::event(
            Some("response.created"),
            r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","model":"m"}}"#,
        ));
        trace.note(&sse::event(None, r#"{"type":"x","sequence_number": 41}"#));

        let event = error_event(Operation::Responses, &error(), &trace);

        let text = std::str::from_utf8(&event).unwrap();
        let data = text.strip_prefix("event: response.failed\ndata: ").unwrap();
        let value: Value = serde_json::from_str(data).unwrap();
        assert_eq!(value["sequence_number"], 42);
        assert_eq!(value["response"]["id"], "resp_1");
        assert_eq!(value["response"]["status"], "failed");
        assert_eq!(value["response"]["error"]["code"], "stream_truncated");
    }
}
