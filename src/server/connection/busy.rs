//! Requests under way on a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;

use super::taking::Taking;

/// Counts requests; beyond all counting once the connection speaks HTTP/2, which has pings for this.
#[derive(Debug, Default)]
pub(super) struct Busy {
    count: AtomicUsize,
    /// Requests that ever began.
    begun: AtomicUsize,
    /// Whether the client took nothing for too long.
    stopped: AtomicBool,
    /// Woken when the last request has ended: until then no clock of the connection runs.
    idle: AtomicWaker,
    /// Of the request whose task comes next: hyper starts it right after it has called the service.
    next: Mutex<Option<Arc<Taking>>>,
}

const HTTP2: usize = usize::MAX / 2;

impl Busy {
    pub(super) fn is_busy(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    pub(super) fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    /// Wakes `waker` when the last request has ended.
    pub(super) fn wake_when_idle(&self, waker: &Waker) {
        self.idle.register(waker);
    }

    /// The client took nothing for too long.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// A request over HTTP/2 begins, on a stream of its own.
    pub(super) fn stream(&self) -> Arc<Taking> {
        self.count.fetch_max(HTTP2, Ordering::Relaxed);
        let taking = Arc::<Taking>::default();
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&taking));
        taking
    }

    /// What [`Self::stream`] made last, once.
    pub(super) fn take_stream(&self) -> Option<Arc<Taking>> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.take()
    }
}

/// One request under way, until its response has gone.
#[derive(Debug)]
pub(super) struct Slot(Arc<Busy>);

impl Slot {
    pub(super) fn take(busy: &Arc<Busy>) -> Self {
        busy.count.fetch_add(1, Ordering::Relaxed);
        busy.begun.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(busy))
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.0.is_stopped()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.wake();
        }
    }
}
