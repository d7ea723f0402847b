//! What a fake upstream answers, step by step.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Notify;

/// One step of an answer.
#[derive(Debug, Clone)]
pub enum Step {
    /// Writes bytes.
    Send(Bytes),
    /// Waits.
    Wait(Duration),
    /// Waits until the test says so.
    Until(Arc<Notify>),
    /// Says nothing more and keeps the connection open until the peer closes it.
    Hang,
    /// Closes the connection with a reset.
    Reset,
    /// Closes the connection.
    Close,
}

/// What to answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub(super) steps: Vec<Step>,
    pub(super) reuse: bool,
}

impl Reply {
    /// Raw steps, and then the connection closes.
    pub fn raw(steps: Vec<Step>) -> Self {
        Self {
            steps,
            reuse: false,
        }
    }

    /// A whole answer with a known length.
    pub fn new(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut head = format!(
            "HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head = head
                + name
                + ": "
                + value
                + "
";
        }
        head.push_str("\r\n");
        let steps = vec![Step::Send([head.as_bytes(), body].concat().into())];
        Self { steps, reuse: true }
    }

    /// A whole JSON answer.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(
            status,
            &[("content-type", "application/json")],
            body.to_string(),
        )
    }

    /// An event stream, one step a piece, ended as HTTP wants it.
    pub fn events<P: AsRef<[u8]>>(pieces: &[P]) -> Self {
        let mut reply = Self::open_events(pieces);
        reply
            .steps
            .push(Step::Send(Bytes::from_static(b"0\r\n\r\n")));
        reply.reuse = true;
        reply
    }

    /// An event stream whose HTTP message is not ended; further steps can follow.
    pub fn open_events<P: AsRef<[u8]>>(pieces: &[P]) -> Self {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut steps = vec![Step::Send(Bytes::from_static(head.as_bytes()))];
        steps.extend(pieces.iter().map(|piece| Self::chunk(piece.as_ref())));
        Self {
            steps,
            reuse: false,
        }
    }

    /// One chunk of the chunked coding.
    pub fn chunk(bytes: &[u8]) -> Step {
        let framed = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        Step::Send(framed.into())
    }

    /// Adds a step.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Puts a step before the whole answer.
    #[must_use]
    pub fn after(mut self, step: Step) -> Self {
        self.steps.insert(0, step);
        self
    }
}
