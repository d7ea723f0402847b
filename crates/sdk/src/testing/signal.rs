//! Waiting on a thread.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// Nothing in a test takes longer, be it on a slow machine and under a checker of memory.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until `future` is ready, which somebody must wake: it is not asked over and over.
///
/// # Panics
/// After a minute: then it is never going to be ready.
#[track_caller]
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    Arc::<Signal>::default().wait(future, || {})
}

/// Counts how often something was woken, so that none is missed by whoever looks.
#[derive(Debug, Default)]
pub(super) struct Signal {
    count: Mutex<u64>,
    changed: Condvar,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *self.lock() += 1;
        self.changed.notify_all();
    }
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, u64> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `future` is ready; `beside` is done each time that something was woken.
    #[track_caller]
    pub(super) fn wait<T>(
        self: &Arc<Self>,
        future: impl Future<Output = T>,
        mut beside: impl FnMut(),
    ) -> T {
        let (mut future, end) = (pin!(future), Instant::now() + PATIENCE);
        let waker = Waker::from(Arc::clone(self));
        loop {
            let seen = *self.lock();
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return value;
            }
            beside();
            self.sleep(seen, end);
        }
    }

    /// Sleeps until somebody wakes.
    #[track_caller]
    fn sleep(&self, seen: u64, end: Instant) {
        let left = end.saturating_duration_since(Instant::now());
        let (count, timeout) = self
            .changed
            .wait_timeout_while(self.lock(), left, |count| *count == seen)
            .unwrap_or_else(PoisonError::into_inner);
        drop(count);
        let is_late = timeout.timed_out() || left.is_zero();
        assert!(!is_late, "it was waited for {PATIENCE:?} in vain");
    }
}

/// Who waits for something, each under a number of its own; who waits no more is forgotten.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    wakers: BTreeMap<u64, Waker>,
    count: u64,
}

impl Waiting {
    /// Has `waker` woken later; `number` is who waits, and is set where it has none.
    pub(super) fn add(&mut self, number: &mut Option<u64>, waker: Waker) {
        let number = *number.get_or_insert_with(|| {
            self.count += 1;
            self.count
        });
        self.wakers.insert(number, waker);
    }

    /// Forgets who waits no more; its waker.
    pub(super) fn remove(&mut self, number: Option<u64>) -> Option<Waker> {
        self.wakers.remove(&number?)
    }

    /// All that wait, to be woken.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.wakers).into_values()
    }
}
