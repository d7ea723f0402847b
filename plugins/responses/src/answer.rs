//! A chat stream on its way to the client as a response.

use std::ops::ControlFlow;

use aurora_openai::responses::{Answer, Event};
use aurora_sdk::{ChatStream, Context, Error, ErrorKind, Origin, Response};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http::header::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::Value;

use crate::create::now;
use crate::shelf::Shelf;

/// The most text of one answer, bytes: all of it is held for the final object.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Tells reverse proxies not to collect a stream.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// An answer in the making.
pub(crate) struct Answering {
    cx: Context,
    chat: ChatStream,
    answer: Answer,
    /// What is kept with the response, where it is to be kept.
    input: Option<Vec<Value>>,
    next: Next,
}

enum Next {
    Begin,
    Chunk,
    /// The client has been told in its dialect; the HTTP message must break off as well.
    Break(Error),
    End,
}

impl Answering {
    pub(crate) fn new(
        cx: Context,
        chat: ChatStream,
        answer: Answer,
        input: Option<Vec<Value>>,
    ) -> Self {
        Self {
            cx,
            chat,
            answer,
            input,
            next: Next::Begin,
        }
    }

    /// The answer as events.
    pub(crate) fn into_events(self) -> Response {
        let events = stream::unfold(self, |mut this| async move {
            this.next_events().await.map(|events| (events, this))
        });
        let mut response = Response::events(Box::pin(events));
        response
            .headers
            .insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
        response
    }

    /// The answer as one object.
    pub(crate) async fn into_json(mut self) -> Result<Response, Error> {
        #[derive(Serialize)]
        struct WithText<'a> {
            #[serde(flatten)]
            response: &'a aurora_openai::responses::Response,
            /// Not official on the wire, but clients without an SDK read it.
            output_text: String,
        }
        // The events are not needed, but making them is how the object is made.
        while self.advance().await?.is_continue() {}
        let response = self.answer.response();
        Response::json(&WithText {
            output_text: response.output_text(),
            response,
        })
    }

    async fn next_events(&mut self) -> Option<Result<Bytes, Error>> {
        match std::mem::replace(&mut self.next, Next::End) {
            Next::Begin => {
                self.next = Next::Chunk;
                Some(Ok(bytes(&self.answer.begin())))
            }
            Next::Chunk => match self.advance().await {
                Ok(ControlFlow::Continue(events)) => {
                    self.next = Next::Chunk;
                    Some(Ok(bytes(&events)))
                }
                Ok(ControlFlow::Break(events)) => Some(Ok(bytes(&events))),
                Err(error) => {
                    let events = self.answer.fail(error.code(), error.message());
                    self.next = Next::Break(error.told());
                    Some(Ok(bytes(&events)))
                }
            },
            Next::Break(error) => Some(Err(error)),
            Next::End => None,
        }
    }

    /// The next events, of which there is at least one; `Break` with the last.
    async fn advance(&mut self) -> Result<ControlFlow<Vec<Event>, Vec<Event>>, Error> {
        while let Some(chunk) = self.chat.next().await.transpose()? {
            let events = self.answer.push(chunk);
            if self.answer.bytes() > MAX_ANSWER {
                return Err(endless());
            }
            if !events.is_empty() {
                return Ok(ControlFlow::Continue(events));
            }
        }
        let events = self.answer.finish(now());
        // Before the client hears of the end, since it may ask for the response at once.
        if let Some(input) = self.input.take() {
            let shelf = Shelf::new(&self.cx);
            shelf.put(self.answer.response(), &input).await;
        }
        Ok(ControlFlow::Break(events))
    }
}

fn bytes(events: &[Event]) -> Bytes {
    let all: Vec<Bytes> = events.iter().map(Event::to_bytes).collect();
    match all.as_slice() {
        [only] => only.clone(),
        all => all
            .iter()
            .fold(BytesMut::new(), |mut joined, event| {
                joined.extend_from_slice(event);
                joined
            })
            .freeze(),
    }
}

fn endless() -> Error {
    Error::new(
        ErrorKind::BadGateway,
        Origin::Upstream,
        "upstream_error",
        format!("the upstream's answer is larger than {MAX_ANSWER} bytes"),
    )
}
