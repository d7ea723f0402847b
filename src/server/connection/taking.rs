//! How a client takes an answer: what is handed to hyper, and what becomes of an HTTP/2 stream whose client takes nothing.
//!
//! A socket that takes nothing is seen by the connection's clock. An HTTP/2 client can shut one stream's window and keep the
//! connection alive with pings; hyper asks for the next piece only when the window has room, so silence after a piece is its client's.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use salvo::http::ResBody;
use tokio::time::Sleep;

use super::busy::Slot;
use crate::upstream::trace::{StreamEnd, Trace};

/// The largest piece that HTTP/2 is given at once: its usual frame. What is given is held until the client takes it, and a client
/// is slow only where it takes less than this in `body_write_gap`.
const PIECE: usize = 16 * 1024;

/// What of one HTTP/2 answer has been taken, shared by its body and the task that sends it.
#[derive(Debug, Default)]
pub(super) struct Taking {
    pieces: AtomicUsize,
    /// Whether a piece was handed out and none asked for since.
    handed: AtomicBool,
    stopped: AtomicBool,
}

/// A response body that holds its request's slot.
pub(super) struct CountedBody {
    body: ResBody,
    /// What is left of a piece that was too large for HTTP/2.
    rest: Bytes,
    /// Over HTTP/2.
    taking: Option<Arc<Taking>>,
    /// Of a streamed answer.
    trace: Option<Arc<Trace>>,
    slot: Slot,
}

impl CountedBody {
    pub(super) fn new(
        body: ResBody,
        taking: Option<Arc<Taking>>,
        trace: Option<Arc<Trace>>,
        slot: Slot,
    ) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            taking,
            trace,
            slot,
        }
    }

    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if !self.rest.is_empty() {
            let next = self.rest.split_to(PIECE.min(self.rest.len()));
            return Poll::Ready(Some(Ok(Frame::data(next))));
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let Poll::Ready(Some(Ok(frame))) = polled else {
            return polled;
        };
        Poll::Ready(Some(Ok(match frame.into_data() {
            Ok(mut data) => {
                self.rest = data.split_off(PIECE.min(data.len()));
                Frame::data(data)
            }
            Err(frame) => frame,
        })))
    }
}

impl Body for CountedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some(taking) = self.taking.clone() else {
            return Pin::new(&mut self.body).poll_frame(cx);
        };
        let piece = self.poll_piece(cx);
        let is_handed = matches!(piece, Poll::Ready(Some(Ok(_))));
        taking.handed.store(is_handed, Ordering::Relaxed);
        taking
            .pieces
            .fetch_add(usize::from(is_handed), Ordering::Relaxed);
        piece
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // Asked for before the first piece, when nothing is left of any.
        self.body.size_hint()
    }
}

impl Drop for CountedBody {
    fn drop(&mut self) {
        let of_stream = self.taking.as_ref();
        let stopped = of_stream.is_some_and(|taking| taking.stopped.load(Ordering::Relaxed));
        if (stopped || self.slot.is_stopped())
            && let Some(trace) = &self.trace
        {
            // Before the body says that its client left.
            trace.ended(StreamEnd::ClientStopped);
        }
    }
}

/// The task of one HTTP/2 stream, which ends when its client takes nothing for `gap`. hyper resets the stream then.
pub(super) struct Watched<F> {
    task: Pin<Box<F>>,
    taking: Arc<Taking>,
    gap: Duration,
    /// The pieces that were handed out when the clock was set.
    seen: usize,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<F> Watched<F> {
    pub(super) fn new(task: F, taking: Arc<Taking>, gap: Duration) -> Self {
        Self {
            task: Box::pin(task),
            taking,
            gap,
            seen: 0,
            timer: None,
        }
    }
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.task.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !self.taking.handed.load(Ordering::Relaxed) {
            self.timer = None;
            return Poll::Pending;
        }
        let pieces = self.taking.pieces.load(Ordering::Relaxed);
        if self.seen != pieces {
            self.seen = pieces;
            self.timer = None;
        }
        let gap = self.gap;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(gap)));
        if timer.as_mut().poll(cx).is_ready() {
            self.taking.stopped.store(true, Ordering::Relaxed);
            return Poll::Ready(());
        }
        Poll::Pending
    }
}
