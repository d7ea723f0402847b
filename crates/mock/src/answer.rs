//! What the mock answers.

use std::fmt;

use aurora_openai::sse;
use aurora_sdk::Error;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

const UPSTREAM: HeaderName = HeaderName::from_static("x-aurora-upstream");

/// A whole answer, cut where a server would have flushed it.
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers: `content-type`, `x-aurora-upstream: mock` and what the endpoint adds.
    pub headers: HeaderMap,
    /// The body: one piece for a plain one, one per event for a stream.
    pub pieces: Vec<Bytes>,
    /// Whether the body is a stream of server-sent events.
    pub streamed: bool,
}

impl Answer {
    /// 200 with `body` of `content_type`.
    pub(crate) fn new(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(UPSTREAM, HeaderValue::from_static("mock"));
        Self {
            status: StatusCode::OK,
            headers,
            pieces: vec![body.into()],
            streamed: false,
        }
    }

    /// 200 with `value` as JSON.
    pub(crate) fn json(value: &Value) -> Self {
        Self::new("application/json", value.to_string())
    }

    /// 200 with a stream of `events`.
    pub(crate) fn events(events: Vec<Bytes>) -> Self {
        let mut answer = Self::new("text/event-stream; charset=utf-8", Bytes::new());
        answer
            .headers
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        answer.pieces = events;
        answer.streamed = true;
        answer
    }

    /// The OpenAI error envelope of `error`, with its status.
    pub(crate) fn refused(error: &Error) -> Self {
        let mut answer = Self::new("application/json", error.envelope().to_json());
        answer.status = error.status();
        answer
    }
}

/// Shows the number of pieces, never the bytes: bodies are private.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("pieces", &self.pieces.len())
            .field("streamed", &self.streamed)
            .finish()
    }
}

/// An event without a name, as chat streams have them.
pub(crate) fn data(value: &Value) -> Bytes {
    sse::event(None, &value.to_string())
}

/// An event named after its own `type`.
pub(crate) fn named(value: &Value) -> Bytes {
    sse::event(
        value.get("type").and_then(Value::as_str),
        &value.to_string(),
    )
}

/// `data: [DONE]`.
pub(crate) fn done() -> Bytes {
    sse::event(None, sse::DONE)
}
