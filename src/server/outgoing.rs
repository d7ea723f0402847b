//! A streamed body on its way to the client.
//!
//! Event streams get a comment while nothing is said, so that nothing in between takes them for dead. Every body gets a moment
//! between its last piece and a broken end: both would be lost if the connection were torn down at once.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aurora_openai::sse;
use aurora_sdk::{BodyStream, Error};
use bytes::Bytes;
use futures_core::Stream;
use tokio::time::{Instant, Sleep};

use super::access::Access;

/// Between the last piece and the broken end of the message, so that the piece leaves the process first.
const LINGER: Duration = Duration::from_millis(50);

const COMMENT: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// See the module.
pub(super) struct Outgoing {
    stream: BodyStream,
    access: Access,
    events: Option<Events>,
    failing: Option<Failing>,
}

/// The error that ends a body when the timer fires.
struct Failing {
    error: Option<Error>,
    timer: Pin<Box<Sleep>>,
}

impl Failing {
    fn new(error: Error) -> Self {
        Self {
            error: Some(error),
            timer: Box::pin(tokio::time::sleep(LINGER)),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(self.error.take().map(Err))
    }
}

/// What only an event stream needs.
struct Events {
    /// Silence after which it gets a comment; `None` never.
    gap: Option<Duration>,
    /// When something was last sent.
    sent: Instant,
    /// Whether what was sent ends between two events.
    border: bool,
    timer: Pin<Box<Sleep>>,
}

impl Outgoing {
    /// Any body.
    pub(super) fn new(stream: BodyStream, access: Access) -> Self {
        Self {
            stream,
            access,
            events: None,
            failing: None,
        }
    }

    /// An event stream that gets a comment after every `gap` of silence.
    pub(super) fn events(stream: BodyStream, access: Access, gap: Option<Duration>) -> Self {
        let timer = Box::pin(tokio::time::sleep(gap.unwrap_or(LINGER)));
        let events = Events {
            gap,
            sent: Instant::now(),
            border: true,
            timer,
        };
        Self {
            stream,
            access,
            events: Some(events),
            failing: None,
        }
    }
}

impl Events {
    fn note(&mut self, bytes: &[u8]) {
        self.sent = Instant::now();
        self.border = [b"\n\n".as_slice(), b"\r\n\r\n", b"\r\r"]
            .iter()
            .any(|end| bytes.ends_with(end));
    }

    /// What tells the client why the stream ends here.
    fn error_event(&self, error: &Error) -> Bytes {
        let event = sse::event(None, &error.envelope().to_json());
        if self.border {
            return event;
        }
        [b"\n\n".as_slice(), &event].concat().into()
    }

    /// The stream is silent: a comment where one is due.
    fn poll_comment(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let Some(gap) = self.gap else {
            return Poll::Pending;
        };
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            let due = self.sent + gap <= now;
            if due {
                self.sent = now;
            }
            self.timer.as_mut().reset(self.sent + gap);
            // Inside an event no comment can be put; another gap later there may be a border.
            if due && self.border {
                return Poll::Ready(COMMENT);
            }
        }
    }
}

impl Stream for Outgoing {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(failing) = &mut this.failing {
            return failing.poll(cx);
        }
        match this.stream.as_mut().poll_next(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                this.access.send(&bytes);
                if let Some(events) = &mut this.events {
                    events.note(&bytes);
                }
                Poll::Ready(Some(Ok(bytes)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.access.finish();
                this.access.error = Some(error.code().to_owned());
                let last = this
                    .events
                    .as_ref()
                    .filter(|_| !error.is_told())
                    .map(|events| events.error_event(&error));
                let failing = this.failing.insert(Failing::new(error));
                match last {
                    Some(last) => Poll::Ready(Some(Ok(last))),
                    None => failing.poll(cx),
                }
            }
            Poll::Ready(None) => {
                this.access.finish();
                Poll::Ready(None)
            }
            Poll::Pending => match &mut this.events {
                Some(events) => events.poll_comment(cx).map(|comment| Some(Ok(comment))),
                None => Poll::Pending,
            },
        }
    }
}
