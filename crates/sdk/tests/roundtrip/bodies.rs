//! Bodies that tests have in their hands.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use aurora_sdk::{Body, Error};
use bytes::Bytes;
use futures_util::{Stream, stream};

/// A body of pieces that are there.
pub(crate) fn pieces(pieces: Vec<Result<&'static str, Error>>) -> Body {
    let pieces = pieces
        .into_iter()
        .map(|piece| piece.map(|text| Bytes::from_static(text.as_bytes())));
    Body::stream(Box::pin(stream::iter(pieces)), None)
}

/// One poll, by nobody in particular.
pub(crate) fn poll(body: &mut Body) -> Poll<Option<Result<Bytes, Error>>> {
    Pin::new(body).poll_next(&mut Context::from_waker(Waker::noop()))
}

/// One poll, by nobody in particular.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[derive(Default)]
struct Fed {
    pieces: VecDeque<Bytes>,
    is_over: bool,
    is_gone: bool,
    polls: usize,
    waker: Option<Waker>,
}

/// Feeds a body.
#[derive(Clone, Default)]
pub(crate) struct Feed(Arc<Mutex<Fed>>);

/// A body that is fed, and who feeds it.
pub(crate) fn feed() -> (Body, Feed) {
    let feed = Feed::default();
    (feed.body(), feed)
}

impl Feed {
    pub(crate) fn body(&self) -> Body {
        Body::stream(Box::pin(Eater(self.clone())), None)
    }

    fn lock(&self) -> MutexGuard<'_, Fed> {
        self.0.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut Fed)) {
        let mut fed = self.lock();
        change(&mut fed);
        let waker = fed.waker.take();
        drop(fed);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn send(&self, piece: impl Into<Bytes>) {
        self.change(|fed| fed.pieces.push_back(piece.into()));
    }

    pub(crate) fn end(&self) {
        self.change(|fed| fed.is_over = true);
    }

    /// Whether nobody has the body any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.lock().is_gone
    }

    /// How often it was asked for something.
    pub(crate) fn polls(&self) -> usize {
        self.lock().polls
    }
}

struct Eater(Feed);

impl Stream for Eater {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let waker = cx.waker().clone();
        let mut fed = self.0.lock();
        fed.polls += 1;
        if let Some(piece) = fed.pieces.pop_front() {
            return Poll::Ready(Some(Ok(piece)));
        }
        if fed.is_over {
            return Poll::Ready(None);
        }
        let former = fed.waker.replace(waker);
        drop(fed);
        drop(former);
        Poll::Pending
    }
}

impl Drop for Eater {
    fn drop(&mut self) {
        self.0.lock().is_gone = true;
    }
}
