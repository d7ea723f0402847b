//! What a plugin answers while its task is polled goes straight to who polls it: both are one thread, and no lock is needed.

use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;

use bytes::{Bytes, BytesMut};
use http::StatusCode;

use super::pipe::{HIGH_WATER, JOINED, Pipe};
use super::request::RequestSide;
use crate::{Body, Headers};

/// The part of an answer that is at hand. It comes before what is in the request's pipe.
#[derive(Default)]
pub(super) struct Direct {
    pub(super) status: StatusCode,
    /// Where the answer has begun. Not in a tuple with the status, which is a slow thing to move.
    pub(super) headers: Option<Headers>,
    pub(super) forwarded: Option<Body>,
    /// Most answers are one piece. An option, because even to drop no bytes is a call.
    first: Option<Bytes>,
    joined: Option<BytesMut>,
}

thread_local! {
    /// Whose task this thread polls now.
    static POLLED: Cell<*const RequestSide> = const { Cell::new(std::ptr::null()) };
}

/// While it is there, this thread polls the task of a request.
pub(super) struct Polling<'a> {
    former: *const RequestSide,
    _request: PhantomData<&'a RequestSide>,
}

impl<'a> Polling<'a> {
    /// Until it is dropped, what is answered to `request` on this thread is at hand.
    ///
    /// # Safety
    /// Nobody else polls the task of `request` or reads its answer meanwhile.
    pub(super) unsafe fn begin(request: &'a RequestSide) -> Self {
        Self {
            former: POLLED.replace(request),
            _request: PhantomData,
        }
    }
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        POLLED.set(self.former);
    }
}

/// What is at hand of a request's answer. Who polls its task has it, and nobody else.
#[derive(Default)]
pub(super) struct AtHand(UnsafeCell<Direct>);

// SAFETY: who polls the task has it, on one thread at a time.
unsafe impl Sync for AtHand {}

impl AtHand {
    /// Runs `work`, which calls nothing of a plugin's, with it.
    ///
    /// # Safety
    /// Who calls polls the task of the request, and does so from one place at a time.
    pub(super) unsafe fn with<T>(&self, work: impl FnOnce(&mut Direct) -> T) -> T {
        // SAFETY: the caller vouches for it, and no `work` calls another.
        work(unsafe { &mut *self.0.get() })
    }
}

impl Direct {
    /// Takes a copy of `bytes`, or, where that would be too much, nothing.
    pub(super) fn copy(&mut self, bytes: &[u8]) -> bool {
        if bytes.is_empty() {
            return true;
        }
        let joined = match (&self.first, &mut self.joined) {
            (None, None) => {
                self.first = Some(Bytes::copy_from_slice(bytes));
                return true;
            }
            (_, joined) => joined.get_or_insert_with(|| BytesMut::with_capacity(JOINED)),
        };
        let is_full = self.first.as_ref().map_or(0, Bytes::len) + joined.len() >= HIGH_WATER;
        if !is_full {
            joined.extend_from_slice(bytes);
        }
        !is_full
    }

    /// Takes what `take` gives, where nothing is here yet.
    pub(super) fn take_over(&mut self, take: impl FnOnce() -> Bytes) -> bool {
        let is_free = self.first.is_none() && self.joined.as_ref().is_none_or(BytesMut::is_empty);
        if is_free {
            self.first = Some(take());
        }
        is_free
    }

    /// The next piece.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let first = self.first.take();
        first.or_else(|| {
            let joined = self.joined.as_mut().filter(|joined| !joined.is_empty())?;
            Some(joined.split().freeze())
        })
    }

    /// Moves what is here to `pipe`, where who writes can wait until it has been read.
    pub(super) fn spill(&mut self, pipe: &Pipe) {
        let (first, second) = (self.pop(), self.pop());
        for piece in [second, first].into_iter().flatten() {
            pipe.put_first(piece);
        }
    }
}

/// Whether the task of `request` is polled by this thread.
pub(super) fn is_polled(request: &RequestSide) -> bool {
    std::ptr::eq(POLLED.get(), request)
}

/// Runs `work`, which calls nothing of a plugin's, with where the answer to `request` goes, if its task is polled by this thread.
pub(super) fn with<T>(request: &RequestSide, work: impl FnOnce(&mut Direct) -> T) -> Option<T> {
    if !is_polled(request) {
        return None;
    }
    // SAFETY: this thread polls it, and is inside of that poll.
    Some(unsafe { request.at_hand.with(work) })
}
