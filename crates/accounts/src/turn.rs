//! One turn at a time for each account, and a queue for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::shared::Shared;

/// More requests than this do not wait for one account.
const MAX_QUEUED: usize = 16;

/// The right to the account's turn.
#[derive(Debug)]
pub(crate) struct Turns {
    one: Arc<Semaphore>,
    queued: Arc<AtomicUsize>,
}

/// The turn; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    permit: Option<OwnedSemaphorePermit>,
    shared: Arc<Shared>,
}

/// A place in the queue, given up when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    one: Arc<Semaphore>,
    queued: Arc<AtomicUsize>,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self {
            one: Arc::new(Semaphore::new(1)),
            queued: Arc::default(),
        }
    }

    pub(crate) fn is_free(&self) -> bool {
        self.one.available_permits() > 0
    }

    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Acquire)
    }

    /// The turn, if it is free now.
    pub(crate) fn take(&self, shared: &Arc<Shared>) -> Option<Turn> {
        let permit = Arc::clone(&self.one).try_acquire_owned().ok()?;
        Some(Turn::new(permit, shared))
    }

    /// The last place of the queue; `None` when it is full.
    pub(crate) fn queue(&self) -> Option<Place> {
        let room = |queued: usize| (queued < MAX_QUEUED).then_some(queued + 1);
        self.queued
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, room)
            .ok()?;
        Some(Place {
            one: Arc::clone(&self.one),
            queued: Arc::clone(&self.queued),
        })
    }
}

impl Turn {
    fn new(permit: OwnedSemaphorePermit, shared: &Arc<Shared>) -> Self {
        Self {
            permit: Some(permit),
            shared: Arc::clone(shared),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.shared.freed.notify_waiters();
    }
}

impl Place {
    /// Waits for the turn, first come first served.
    pub(crate) async fn turn(&self, shared: &Arc<Shared>) -> Option<Turn> {
        // It is never closed.
        let permit = Arc::clone(&self.one).acquire_owned().await.ok()?;
        Some(Turn::new(permit, shared))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queued.fetch_sub(1, Ordering::AcqRel);
    }
}
