//! The body of an answer that goes on.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;

use super::Running;
use crate::{Body, Error};

/// The body of an answer, which polls the plugin's task: there is no channel and no task between.
pub(super) struct Answer {
    running: Running<'static>,
    first: Option<Bytes>,
    forwarded: Option<Body>,
    over: bool,
}

impl Answer {
    pub(super) fn new(running: Running<'_>) -> Self {
        Self {
            running: running.kept(),
            first: None,
            forwarded: None,
            over: false,
        }
    }

    pub(super) fn forwarding(running: Running<'_>, first: Bytes, forwarded: Body) -> Self {
        Self {
            running: running.kept(),
            first: Some(first),
            forwarded: Some(forwarded),
            over: false,
        }
    }

    fn written(&mut self) -> Option<Bytes> {
        self.first.take().or_else(|| self.running.written())
    }
}

impl Stream for Answer {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        loop {
            if let Some(piece) = this.written() {
                return Poll::Ready(Some(Ok(piece)));
            }
            if let Some(body) = &mut this.forwarded {
                return Pin::new(body).poll_next(cx);
            }
            match this.running.poll(cx) {
                Poll::Pending => {
                    if let Some(piece) = this.written() {
                        return Poll::Ready(Some(Ok(piece)));
                    }
                    // A thread of the plugin's may write while its task waits.
                    let piece = ready!(this.running.request.0.pipe.poll_piece(cx));
                    return Poll::Ready(Some(Ok(piece)));
                }
                Poll::Ready(code) => {
                    if let Some(piece) = this.written() {
                        return Poll::Ready(Some(Ok(piece)));
                    }
                    if code < 0 {
                        this.over = true;
                        return Poll::Ready(Some(Err(this.running.request.0.error(code))));
                    }
                    this.forwarded = this.running.take_forwarded();
                    if this.forwarded.is_none() {
                        this.over = true;
                        return Poll::Ready(None);
                    }
                }
            }
        }
    }
}
