//! A chat on its way to the client as a message.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{self, Poll, ready};

use aurora_openai::chat::ChatChunk;
use aurora_openai::sse;
use aurora_sdk::{ChatStream, Context, Error, ErrorKind, Origin, Response};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http::HeaderValue;
use serde_json::Value;

use crate::answer::{Answer, Event};
use crate::failure;

/// The most text of one answer, bytes: all of it is held until the end.
const MAX_ANSWER: usize = 64 << 20;

/// A chat, and the message that it becomes.
pub(crate) struct Events {
    cx: Context,
    chat: ChatStream,
    answer: Answer,
    next: Next,
}

enum Next {
    Begin,
    Chunk,
    /// The client has been told; the HTTP message must break off as well.
    Break(Error),
    End,
}

impl Events {
    pub(crate) fn new(cx: Context, chat: ChatStream, answer: Answer) -> Self {
        let next = Next::Begin;
        Self {
            cx,
            chat,
            answer,
            next,
        }
    }

    pub(crate) fn into_response(self) -> Response {
        let mut response = Response::events(Box::pin(self));
        // Tells reverse proxies not to collect it.
        let no = HeaderValue::from_static("no");
        response.headers.insert("x-accel-buffering", no);
        response
    }

    /// The message as one object.
    pub(crate) async fn into_message(mut self) -> Result<Value, Error> {
        while let Some(chunk) = poll_fn(|cx| self.chat.as_mut().poll_next(cx)).await {
            self.take(chunk)?;
        }
        self.report();
        Ok(self.answer.message())
    }

    fn take(&mut self, chunk: Result<ChatChunk, Error>) -> Result<(), Error> {
        self.answer.push(chunk?);
        if self.answer.bytes() > MAX_ANSWER {
            return Err(endless());
        }
        Ok(())
    }

    /// For the access log.
    fn report(&self) {
        if let Some(usage) = self.answer.usage() {
            let host = self.cx.host();
            host.usage("input_tokens", usage.prompt_tokens);
            host.usage("output_tokens", usage.completion_tokens);
        }
    }

    /// The events of the next chunk, of which there may be none.
    fn step(&mut self, chunk: Option<Result<ChatChunk, Error>>) -> Vec<Event> {
        let Some(chunk) = chunk else {
            self.next = Next::End;
            self.report();
            return self.answer.last_events();
        };
        match self.take(chunk) {
            Ok(()) => self.answer.events(),
            Err(error) => {
                let event = Event("error", failure::body(&self.cx, &error));
                self.next = Next::Break(error.told());
                vec![event]
            }
        }
    }
}

impl Stream for Events {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let events = match std::mem::replace(&mut this.next, Next::End) {
                Next::Begin => {
                    this.next = Next::Chunk;
                    vec![this.answer.begin()]
                }
                Next::Chunk => {
                    this.next = Next::Chunk;
                    let chunk = ready!(this.chat.as_mut().poll_next(cx));
                    this.step(chunk)
                }
                Next::Break(error) => return Poll::Ready(Some(Err(error))),
                Next::End => return Poll::Ready(None),
            };
            if !events.is_empty() {
                return Poll::Ready(Some(Ok(bytes(&events))));
            }
        }
    }
}

fn bytes(events: &[Event]) -> Bytes {
    let mut all = BytesMut::new();
    for Event(name, data) in events {
        all.extend_from_slice(&sse::event(Some(name), &data.to_string()));
    }
    all.freeze()
}

fn endless() -> Error {
    Error::new(
        ErrorKind::BadGateway,
        Origin::Upstream,
        "upstream_error",
        format!("the upstream's answer is larger than {MAX_ANSWER} bytes"),
    )
}
