//! Time, tasks and threads of a host in memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use super::FakeHost;
use super::signal::{Signal, Waiting};
use crate::{BoxFuture, Error};

/// A clock that moves when a test says so.
#[derive(Debug, Default)]
pub(super) struct Clock {
    pub(super) now: Duration,
    /// Otherwise whatever sleeps wakes at once.
    pub(super) is_manual: bool,
    pub(super) slept: Vec<Duration>,
    sleepers: Waiting,
}

/// A task in the background.
pub(super) struct Job {
    task: BoxFuture<'static, ()>,
    woken: Arc<Woken>,
}

struct Woken {
    is_woken: AtomicBool,
    signal: Arc<Signal>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.signal.wake_by_ref();
    }
}

impl FakeHost {
    /// Waits until `future` is ready, and meanwhile works in the background.
    ///
    /// # Panics
    /// As [`super::wait`].
    #[track_caller]
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        let value = self.signal().wait(future, || self.work());
        self.work();
        value
    }

    /// Lets everything in the background go on until it waits or has ended.
    pub fn work(&self) {
        loop {
            let jobs = std::mem::take(&mut self.inner().jobs);
            let mut has_worked = false;
            for mut job in jobs {
                if !job.woken.is_woken.swap(false, Ordering::AcqRel) {
                    self.inner().jobs.push(job);
                    continue;
                }
                has_worked = true;
                let waker = Waker::from(Arc::clone(&job.woken));
                if job
                    .task
                    .as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
                {
                    self.inner().jobs.push(job);
                }
            }
            if !has_worked {
                return;
            }
        }
    }

    /// How many tasks are in the background.
    pub fn tasks(&self) -> usize {
        self.inner().jobs.len()
    }

    /// Drops everything in the background, as when the plugin is destroyed.
    pub fn end(&self) {
        let jobs = std::mem::take(&mut self.inner().jobs);
        drop(jobs);
    }

    /// From here on whatever sleeps does so until [`FakeHost::advance`].
    #[must_use]
    pub fn manual_time(self) -> Self {
        self.inner().clock.is_manual = true;
        self
    }

    /// Lets `time` pass: sleepers wake, and what is kept expires.
    pub fn advance(&self, time: Duration) {
        let mut inner = self.inner();
        inner.clock.now = inner.clock.now.saturating_add(time);
        let sleepers = inner.clock.sleepers.take();
        drop(inner);
        sleepers.for_each(Waker::wake);
    }

    /// How long it was slept, each time.
    pub fn slept(&self) -> Vec<Duration> {
        self.inner().clock.slept.clone()
    }

    pub(super) fn now(&self) -> Duration {
        self.inner().clock.now
    }

    pub(super) fn sleep_for(&self, time: Duration) -> Sleep {
        let mut inner = self.inner();
        inner.clock.slept.push(time);
        Sleep {
            host: self.clone(),
            until: inner.clock.now.saturating_add(time),
            number: None,
        }
    }

    pub(super) fn begin(&self, task: BoxFuture<'static, ()>) {
        let woken = Woken {
            is_woken: AtomicBool::new(true),
            signal: Arc::clone(self.signal()),
        };
        let job = Job {
            task,
            woken: Arc::new(woken),
        };
        self.inner().jobs.push(job);
        self.signal().wake_by_ref();
    }
}

/// Ready when time has passed.
pub(super) struct Sleep {
    host: FakeHost,
    until: Duration,
    number: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (this, waker) = (&mut *self, cx.waker().clone());
        let mut inner = this.host.inner();
        if !inner.clock.is_manual || inner.clock.now >= this.until {
            return Poll::Ready(());
        }
        inner.clock.sleepers.add(&mut this.number, waker);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let waker = self.host.inner().clock.sleepers.remove(self.number);
        drop(waker);
    }
}

/// Work on a thread of its own.
#[derive(Default)]
struct Working(Mutex<Work>);

#[derive(Default)]
struct Work {
    ended: Option<Result<(), Error>>,
    waiter: Option<Waker>,
}

impl Working {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, how: Result<(), Error>) {
        let mut work = self.lock();
        work.ended = Some(how);
        let waiter = work.waiter.take();
        drop(work);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        let waker = cx.waker().clone();
        let mut work = self.lock();
        if let Some(how) = work.ended.take() {
            return Poll::Ready(how);
        }
        let former = work.waiter.replace(waker);
        drop(work);
        drop(former);
        Poll::Pending
    }
}

/// Runs `work` on a thread of its own, at once.
pub(super) fn offload(work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, Result<(), Error>> {
    let working = Arc::new(Working::default());
    let told = Arc::clone(&working);
    let thread = thread::Builder::new().name("offload".to_owned());
    let started = thread.spawn(move || {
        let ended = catch_unwind(AssertUnwindSafe(work));
        told.end(ended.map_err(|_| Error::internal("what was offloaded panicked")));
    });
    if let Err(error) = started {
        working.end(Err(Error::internal(error)));
    }
    Box::pin(std::future::poll_fn(move |cx| working.poll(cx)))
}
