//! What one request costs, in tokens.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use aurora_openai::usage::{Form, Scanner};
use aurora_sdk::{Body, BodyStream, Error, Request, Response};
use bytes::Bytes;
use futures_core::Stream;
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};

/// What a token is taken for where nobody counted, bytes of text.
const BYTES_PER_TOKEN: u64 = 4;

/// What an answer is expected to cost, tokens.
const ANSWER: u64 = 256;

/// The most that a question is expected to cost, tokens: a longer body has pictures in it more often than words.
const MAX_QUESTION: u64 = 8 * 1024;

/// What `request` may cost. Its body is still to come, and is not waited for: what it says of `max_tokens` is not known here.
pub(super) fn estimate(request: &Request) -> u64 {
    let length = request.body.length().unwrap_or_default();
    (length / BYTES_PER_TOKEN).min(MAX_QUESTION) + ANSWER
}

/// See the module.
#[derive(Debug)]
pub(super) struct Meter {
    /// Bytes of text in the question, as far as it was read.
    asked: Arc<AtomicU64>,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    /// There is none yet.
    Awaited,
    /// An error, which costs nothing.
    Failed,
    /// JSON.
    Read(Box<Scanner>),
    /// Other text, or what cannot be read; its length so far.
    Text(u64),
    /// No text.
    Silent,
}

impl Meter {
    /// Follows `request`, whose handler is about to read it.
    pub(super) fn follow(request: &mut Request) -> Self {
        // A compressed answer would not say what it cost.
        if request.headers.value(ACCEPT_ENCODING.as_str()).is_some() {
            request.headers.remove(ACCEPT_ENCODING);
        }
        let asked = Arc::<AtomicU64>::default();
        if request.body.is_stream() {
            let body = std::mem::take(&mut request.body);
            let length = body.length();
            let read = Read {
                body: body.into_stream(),
                scanner: Some(Scanner::new(Form::Json)),
                has_begun: false,
                text: Arc::clone(&asked),
            };
            request.body = Body::stream(Box::pin(read), length);
        }
        Self {
            asked,
            answer: Answer::Awaited,
        }
    }

    /// The answer begins.
    pub(super) fn answer(&mut self, response: &Response) {
        self.answer = Answer::of(response);
    }

    /// The next bytes of the answer.
    pub(super) fn note(&mut self, bytes: &[u8]) {
        match &mut self.answer {
            Answer::Read(scanner) => scanner.push(bytes),
            Answer::Text(length) => *length = length.saturating_add(bytes.len() as u64),
            Answer::Awaited | Answer::Failed | Answer::Silent => {}
        }
    }

    /// What was counted at the upstream, or else what the text comes to.
    pub(super) fn cost(&self) -> u64 {
        let asked = self.asked.load(Ordering::Relaxed);
        let said = match &self.answer {
            Answer::Failed => return 0,
            Answer::Read(scanner) => match scanner.reported() {
                Some(counted) => return counted,
                None => scanner.said(),
            },
            Answer::Text(length) => *length,
            Answer::Awaited | Answer::Silent => 0,
        };
        asked.saturating_add(said).div_ceil(BYTES_PER_TOKEN)
    }
}

impl Answer {
    fn of(response: &Response) -> Self {
        if !response.status.is_success() {
            return Self::Failed;
        }
        let is_events = begins(&response.headers, "text/event-stream");
        let is_json = begins(&response.headers, "application/json");
        if !is_json && !begins(&response.headers, "text/") {
            return Self::Silent;
        }
        if !(is_json || is_events) || response.headers.contains_key(CONTENT_ENCODING) {
            return Self::Text(0);
        }
        let form = if is_events { Form::Events } else { Form::Json };
        Self::Read(Box::new(Scanner::new(form)))
    }
}

/// A question that is read while its handler reads it.
struct Read {
    body: BodyStream,
    /// `None` for forms and files, whatever their content type says.
    scanner: Option<Scanner>,
    has_begun: bool,
    text: Arc<AtomicU64>,
}

impl Stream for Read {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.body.as_mut().poll_next(cx));
        if let Some(Ok(bytes)) = &next {
            self.note(bytes);
        }
        Poll::Ready(next)
    }
}

impl Read {
    fn note(&mut self, bytes: &[u8]) {
        if !self.has_begun
            && let Some(first) = bytes.trim_ascii_start().first()
        {
            self.has_begun = true;
            if !matches!(first, b'{' | b'[') {
                self.scanner = None;
            }
        }
        if let Some(scanner) = &mut self.scanner {
            scanner.push(bytes);
            self.text.store(scanner.strings(), Ordering::Relaxed);
        }
    }
}

fn begins(headers: &HeaderMap, media: &str) -> bool {
    let start = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.as_bytes().get(..media.len()));
    start.is_some_and(|start| start.eq_ignore_ascii_case(media.as_bytes()))
}
