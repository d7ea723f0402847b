//! What a plugin answers while its task is polled goes straight to who polls it: both are one thread, and no lock is needed.

use std::cell::Cell;
use std::marker::PhantomData;

use bytes::{Bytes, BytesMut};
use http::StatusCode;

use super::pipe::{HIGH_WATER, JOINED, Pipe};
use super::request::RequestSide;
use crate::{Body, Headers};

/// The part of an answer that is at hand. It comes before what is in the request's pipe.
#[derive(Default)]
pub(super) struct Direct {
    pub(super) head: Option<(StatusCode, Headers)>,
    pub(super) forwarded: Option<Body>,
    /// Most answers are one piece.
    first: Bytes,
    joined: BytesMut,
}

/// Whose task this thread polls now.
#[derive(Clone, Copy)]
struct Polled {
    request: *const RequestSide,
    direct: *mut Direct,
}

impl Polled {
    const NOBODY: Self = Self {
        request: std::ptr::null(),
        direct: std::ptr::null_mut(),
    };
}

thread_local! {
    static POLLED: Cell<Polled> = const { Cell::new(Polled::NOBODY) };
}

/// While it is there, this thread polls the task of a request.
pub(super) struct Polling<'a> {
    former: Polled,
    _direct: PhantomData<&'a mut Direct>,
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        POLLED.set(self.former);
    }
}

impl Direct {
    /// Until the result is dropped, what is answered to `request` on this thread goes here.
    pub(super) fn during<'a>(&'a mut self, request: &'a RequestSide) -> Polling<'a> {
        let polled = Polled {
            request: std::ptr::from_ref(request),
            direct: std::ptr::from_mut(self),
        };
        Polling {
            former: POLLED.replace(polled),
            _direct: PhantomData,
        }
    }

    /// Takes a copy of `bytes`, or, where that would be too much, nothing.
    pub(super) fn copy(&mut self, bytes: &[u8]) -> bool {
        if self.first.is_empty() && self.joined.is_empty() {
            self.first = Bytes::copy_from_slice(bytes);
            return true;
        }
        if self.first.len() + self.joined.len() >= HIGH_WATER {
            return false;
        }
        if self.joined.capacity() == 0 {
            self.joined.reserve(JOINED);
        }
        self.joined.extend_from_slice(bytes);
        true
    }

    /// Takes what `take` gives, where nothing is here yet.
    pub(super) fn take_over(&mut self, take: impl FnOnce() -> Bytes) -> bool {
        let is_free = self.first.is_empty() && self.joined.is_empty();
        if is_free {
            self.first = take();
        }
        is_free
    }

    /// The next piece.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        if !self.first.is_empty() {
            return Some(std::mem::take(&mut self.first));
        }
        (!self.joined.is_empty()).then(|| self.joined.split().freeze())
    }

    /// Moves what is here to `pipe`, where who writes can wait until it has been read.
    pub(super) fn spill(&mut self, pipe: &Pipe) {
        let (first, second) = (self.pop(), self.pop());
        for piece in [second, first].into_iter().flatten() {
            pipe.put_first(piece);
        }
    }
}

/// Runs `work`, which calls nothing of a plugin's, with where the answer to `request` goes, if its task is polled by this thread.
pub(super) fn with<T>(request: &RequestSide, work: impl FnOnce(&mut Direct) -> T) -> Option<T> {
    let polled = POLLED.get();
    if !std::ptr::eq(polled.request, request) {
        return None;
    }
    // SAFETY: who polls has lent it until the poll is over, and no other `with` is under way on this thread.
    Some(work(unsafe { &mut *polled.direct }))
}
