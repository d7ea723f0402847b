//! Event streams whose every event filters see.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aurora_openai::sse::{self, DONE, Decoder};
use aurora_sdk::{Body, BodyStream, Error, Event};
use bytes::Bytes;
use futures_core::Stream;

use super::passing::Group;
use super::written;

/// The largest event, bytes.
const MAX_EVENT: usize = 32 << 20;

/// See the module. Comments and ids do not pass: the gateway has comments of its own.
pub(super) struct Events {
    body: BodyStream,
    decoder: Decoder,
    group: Group,
    out: VecDeque<Result<Bytes, Error>>,
    /// Whether the last events have been asked for.
    is_closed: bool,
    is_over: bool,
}

impl Events {
    pub(super) fn new(body: Body, group: Group) -> Self {
        Self {
            body: body.into_stream(),
            decoder: Decoder::new(MAX_EVENT),
            group,
            out: VecDeque::new(),
            is_closed: false,
            is_over: false,
        }
    }

    fn take(&mut self, events: Result<Vec<Event>, Error>) {
        match events {
            Ok(events) => self
                .out
                .extend(events.iter().map(|event| Ok(written(event)))),
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: Error) {
        self.is_over = true;
        self.group.end(false);
        self.out.push_back(Err(error));
    }

    fn close(&mut self) {
        if !std::mem::replace(&mut self.is_closed, true) {
            let events = self.group.last();
            self.take(events);
        }
    }

    fn on_event(&mut self, event: sse::Event) {
        if event.data == DONE {
            self.close();
            self.out.push_back(Ok(sse::event(None, DONE)));
            return;
        }
        let Ok(data) = serde_json::from_str(&event.data) else {
            // No JSON: not for filters.
            let name = (!event.name.is_empty()).then_some(event.name.as_str());
            self.out.push_back(Ok(sse::event(name, &event.data)));
            return;
        };
        let events = self.group.event(Event {
            name: event.name,
            data,
            is_whole: false,
        });
        self.take(events);
    }

    fn on_chunk(&mut self, chunk: &Bytes) {
        if self.decoder.feed(chunk).is_err() {
            self.fail(Error::internal(
                "an event is larger than filters can follow (32 MiB)",
            ));
            return;
        }
        while let Some(event) = self.decoder.next_event() {
            if self.is_over {
                return;
            }
            self.on_event(event);
        }
    }
}

impl Stream for Events {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(item) = this.out.pop_front() {
                return Poll::Ready(Some(item));
            }
            if this.is_over {
                return Poll::Ready(None);
            }
            match ready!(this.body.as_mut().poll_next(cx)) {
                Some(Ok(chunk)) => this.on_chunk(&chunk),
                Some(Err(error)) => this.fail(error),
                None => {
                    this.close();
                    if !this.is_over {
                        this.is_over = true;
                        this.group.end(true);
                    }
                }
            }
        }
    }
}
