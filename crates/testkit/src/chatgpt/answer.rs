//! Answers on their way to the wire.

use bytes::Bytes;
use serde_json::{Value, json};

use super::perform::Performance;

/// An answer with a known length.
#[derive(Debug, Clone)]
pub(super) struct Plain {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Plain {
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let mut headers = Vec::new();
        if !content_type.is_empty() {
            headers.push(("content-type".to_owned(), content_type.to_owned()));
        }
        Self {
            status,
            headers,
            body: body.into(),
        }
    }

    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    pub(super) fn ok(body: &Value) -> Self {
        Self::json(200, body)
    }

    /// An error as most calls give it: a message and a code under `detail`.
    pub(super) fn detail(status: u16, code: &str, message: &str) -> Self {
        Self::json(
            status,
            &json!({"detail": {"message": message, "code": code}}),
        )
    }

    /// An error that is a sentence.
    pub(super) fn sentence(status: u16, text: &str) -> Self {
        Self::json(status, &json!({ "detail": text }))
    }

    /// The error of calls that know no such thing.
    pub(super) fn not_found() -> Self {
        Self::sentence(404, "Not Found")
    }

    #[must_use]
    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The head and the body as HTTP/1.1.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut head = format!(
            "HTTP/1.1 {} Status\r\ncontent-length: {}\r\n",
            self.status,
            self.body.len()
        );
        for (name, value) in &self.headers {
            head = head + name + ": " + value + "\r\n";
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// Written at once.
    Plain(Plain),
    /// An event stream, played piece by piece.
    Stream(Box<Performance>),
    /// The connection becomes a websocket of this account.
    Websocket(String),
}

impl From<Plain> for Answer {
    fn from(plain: Plain) -> Self {
        Self::Plain(plain)
    }
}

/// An answer, or the refusal that stands in its place.
pub(super) type Outcome = Result<Plain, Plain>;
