//! The body of an upstream's answer on its way to the client: bytes untouched, but watched.
//!
//! Silence, truncation and shutdown end it with one error event in the client's dialect, no end marker, and then an
//! `Err`, so that the HTTP message ends abnormally and no client takes a cut answer for a whole one.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aurora_openai::sse::{End, Finish, Framer};
use aurora_sdk::{Error, ErrorKind, Operation, Origin};
use aurora_tokens::Lease;
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::classify;
use super::dialect::{self, ResponsesTrace};
use super::trace::{StreamEnd, Trace};
use super::{Upstream, redact};
use crate::providers::{Chunks, Fault};

/// How long an upstream may keep a stream open whose end marker has come.
const AFTER_END: Duration = Duration::from_secs(1);

/// What a [`Relay`] needs beside the body itself.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Whose dialect an error event is written in.
    pub(crate) operation: Operation,
    /// Where the body is an event stream: what makes it complete.
    pub(crate) events: Option<End>,
    /// Whether the bytes go to the client, who then gets an error event; false where Aurora reads them.
    pub(crate) to_client: bool,
    /// Where the upstream says how long the body is: nobody asks for more once all of it is there.
    pub(crate) length: Option<u64>,
    /// The longest silence.
    pub(crate) idle: Duration,
    /// When the whole exchange must be over.
    pub(crate) deadline: Option<Instant>,
    /// Fires when running streams must end.
    pub(crate) ending: CancellationToken,
    /// Where the end is written down.
    pub(crate) trace: Arc<Trace>,
    /// Whose answer it is.
    pub(crate) upstream: Arc<Upstream>,
    /// The token's slot, freed when the body drops.
    pub(crate) lease: Option<Lease>,
    /// The upstream's slot, freed when the body drops.
    pub(crate) _permit: OwnedSemaphorePermit,
}

/// See the module.
pub(crate) struct Relay {
    upstream: Option<Chunks>,
    framer: Option<Framer>,
    responses: ResponsesTrace,
    watch: Watch,
    ending: Pin<Box<WaitForCancellationFutureOwned>>,
    timer: Pin<Box<Sleep>>,
    /// When the upstream last said something.
    heard: Instant,
    /// Bytes that are still to come, where that is known.
    left: Option<u64>,
    /// The error that follows the error event.
    failing: Option<Error>,
}

type Next = Poll<Option<Result<Bytes, Error>>>;

impl Relay {
    pub(crate) fn new(upstream: Chunks, watch: Watch) -> Self {
        let now = Instant::now();
        let mut relay = Self {
            upstream: Some(upstream),
            framer: watch.events.map(Framer::new),
            left: watch.length,
            responses: ResponsesTrace::default(),
            ending: Box::pin(watch.ending.clone().cancelled_owned()),
            watch,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            heard: now,
            failing: None,
        };
        let at = relay.next_check();
        relay.timer.as_mut().reset(at);
        relay.count(0);
        relay
    }

    fn has_marker(&self) -> bool {
        self.framer.as_ref().is_some_and(Framer::has_marker)
    }

    /// When silence has to be looked at again.
    fn next_check(&self) -> Instant {
        let quiet = if self.has_marker() {
            AFTER_END.min(self.watch.idle)
        } else {
            self.watch.idle
        };
        let silent = self.heard + quiet;
        self.watch
            .deadline
            .map_or(silent, |deadline| deadline.min(silent))
    }

    /// The timer has fired: says what is due, if anything.
    fn on_timer(&mut self) -> Option<Next> {
        let now = Instant::now();
        if self.watch.deadline.is_some_and(|deadline| deadline <= now) {
            let what = "did not finish within its `total` timeout";
            return Some(self.fail(
                StreamEnd::Timeout,
                self.timeout("upstream_total_timeout", what),
            ));
        }
        if self.has_marker() && self.heard + AFTER_END <= now {
            return Some(self.finish());
        }
        if self.heard + self.watch.idle <= now {
            let what = "fell silent for longer than its `idle` timeout";
            return Some(self.fail(
                StreamEnd::Timeout,
                self.timeout("upstream_idle_timeout", what),
            ));
        }
        None
    }

    fn timeout(&self, code: &'static str, what: &str) -> Error {
        let message = format!("upstream `{}` {what}", self.watch.upstream.name);
        Error::new(ErrorKind::GatewayTimeout, Origin::Upstream, code, message)
    }

    fn truncated(&self) -> Error {
        let message = format!(
            "upstream `{}` closed the stream before finishing",
            self.watch.upstream.name
        );
        Error::new(
            ErrorKind::BadGateway,
            Origin::Upstream,
            "stream_truncated",
            message,
        )
    }

    /// The upstream's body has ended well, or at least after its marker.
    fn finish(&mut self) -> Next {
        let finish = self.framer.take().map(Framer::finish);
        match finish {
            Some(finish) if !finish.complete => {
                let error = self.truncated();
                let upstream = &self.watch.upstream;
                upstream
                    .health
                    .broke_off(upstream.by(), Instant::now().into_std());
                self.fail_after(&finish, StreamEnd::Truncated, error)
            }
            finish => {
                self.upstream = None;
                self.watch.trace.ended(StreamEnd::Complete);
                let rest = finish
                    .map(|finish| finish.rest)
                    .filter(|rest| !rest.is_empty());
                Poll::Ready(rest.map(|rest| Ok(self.pass(rest))))
            }
        }
    }

    fn fail(&mut self, end: StreamEnd, error: Error) -> Next {
        if matches!(end, StreamEnd::Truncated | StreamEnd::Timeout) {
            let upstream = &self.watch.upstream;
            upstream
                .health
                .broke_off(upstream.by(), Instant::now().into_std());
        }
        match self.framer.take().map(Framer::finish) {
            Some(finish) => self.fail_after(&finish, end, error),
            None => self.fail_plain(end, error),
        }
    }

    /// Nothing but the broken message can tell the client.
    fn fail_plain(&mut self, end: StreamEnd, error: Error) -> Next {
        self.upstream = None;
        self.watch.trace.failed(end, &error);
        // Where the client was not told by us, it was by the upstream, or there is no event stream to tell it in.
        let error = if self.watch.to_client {
            error.told()
        } else {
            error
        };
        Poll::Ready(Some(Err(error)))
    }

    /// One error event first, unless the upstream has sent one of its own.
    fn fail_after(&mut self, finish: &Finish, end: StreamEnd, error: Error) -> Next {
        if !self.watch.to_client || (finish.error_seen && !finish.mid_event) {
            return self.fail_plain(end, error);
        }
        self.upstream = None;
        self.watch.trace.failed(end, &error);
        let mut out = BytesMut::new();
        if finish.mid_event {
            out.extend_from_slice(b"\n\n");
        }
        if !finish.error_seen {
            let event = dialect::error_event(self.watch.operation, &error, &self.responses);
            out.extend_from_slice(&event);
        }
        self.failing = Some(error.told());
        Poll::Ready(Some(Ok(out.freeze())))
    }

    fn pass(&mut self, bytes: Bytes) -> Bytes {
        let bytes = if self.framer.as_ref().is_some_and(Framer::has_error) {
            // An error event is the upstream's own words, and may quote our token.
            redact::masked(&bytes, self.watch.lease.as_ref().map(Lease::secret))
        } else {
            bytes
        };
        if self.watch.operation == Operation::Responses && self.framer.is_some() {
            self.responses.note(&bytes);
        }
        bytes
    }

    fn count(&mut self, bytes: usize) {
        self.left = self.left.map(|left| left.saturating_sub(bytes as u64));
        if self.left == Some(0) {
            self.watch.trace.ended(StreamEnd::Complete);
        }
    }

    fn on_chunk(&mut self, chunk: Bytes) -> Option<Next> {
        self.heard = Instant::now();
        self.count(chunk.len());
        let bytes = match &mut self.framer {
            Some(framer) => framer.push(chunk),
            None => chunk,
        };
        (!bytes.is_empty()).then(|| Poll::Ready(Some(Ok(self.pass(bytes)))))
    }

    fn on_fault(&mut self, fault: Fault) -> Next {
        if self.has_marker() {
            return self.finish();
        }
        let error = match fault {
            Fault::Judged { error, .. } => error,
            fault => self
                .truncated()
                .with_source(classify::cause(&fault).to_owned()),
        };
        let end = match error.kind() {
            ErrorKind::GatewayTimeout => StreamEnd::Timeout,
            _ => StreamEnd::Truncated,
        };
        self.fail(end, error)
    }
}

impl Stream for Relay {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Next {
        loop {
            if let Some(error) = self.failing.take() {
                return Poll::Ready(Some(Err(error)));
            }
            let Some(upstream) = &mut self.upstream else {
                return Poll::Ready(None);
            };
            match upstream.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) => {
                    if let Some(next) = self.on_chunk(chunk) {
                        return next;
                    }
                    continue;
                }
                Poll::Ready(Some(Err(fault))) => return self.on_fault(fault),
                Poll::Ready(None) => return self.finish(),
                Poll::Pending => {}
            }
            if self.ending.as_mut().poll(cx).is_ready() {
                return self.fail(StreamEnd::Shutdown, classify::shutting_down());
            }
            // Chunks only push the check back: let the timer fire early and look again, instead of moving it each time.
            let at = self.next_check();
            if at < self.timer.deadline() {
                self.timer.as_mut().reset(at);
            }
            ready!(self.timer.as_mut().poll(cx));
            let next = self.on_timer();
            let at = self.next_check();
            self.timer.as_mut().reset(at);
            if let Some(next) = next {
                return next;
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if self.upstream.is_some() {
            self.watch.trace.ended(StreamEnd::ClientGone);
        }
    }
}
