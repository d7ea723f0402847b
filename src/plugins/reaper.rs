//! Destroys what no request uses any more, away from requests: a plugin's last words may block or fail.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// After this long without an end it is left alone.
const PATIENCE: Duration = Duration::from_secs(5);

type Work = Box<dyn FnOnce() + Send>;

enum Job {
    Destroy(Work),
    /// Tells when everything before it is done.
    Finish(Sender<()>),
}

/// One thread that does one thing after the other.
#[derive(Debug)]
pub(super) struct Reaper {
    jobs: Mutex<Sender<Job>>,
}

impl Reaper {
    pub(super) fn new() -> Self {
        let (jobs, received) = channel();
        let thread = thread::Builder::new().name("plugin-reaper".to_owned());
        if let Err(error) = thread.spawn(move || run(&received)) {
            tracing::error!(%error, "plugins that are replaced cannot be destroyed");
        }
        Self {
            jobs: Mutex::new(jobs),
        }
    }

    fn send(&self, job: Job) {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        // The thread is gone only where it could not be started.
        jobs.send(job).unwrap_or_default();
    }

    /// Does `work` when it is its turn.
    pub(super) fn dispose(&self, work: Work) {
        self.send(Job::Destroy(work));
    }

    /// Waits until all that was given so far is done, for `time` at the most; whether it was.
    pub(super) fn finish(&self, time: Duration) -> bool {
        let (done, finished) = channel();
        self.send(Job::Finish(done));
        finished.recv_timeout(time).is_ok()
    }
}

fn run(jobs: &Receiver<Job>) {
    for job in jobs {
        match job {
            Job::Destroy(work) => destroy(work),
            // The asker may have given up.
            Job::Finish(done) => done.send(()).unwrap_or_default(),
        }
    }
}

/// On a thread of its own, so that one that hangs does not hold the others up.
fn destroy(work: Work) {
    let (done, finished) = channel::<()>();
    let thread = thread::Builder::new().name("plugin-destroy".to_owned());
    let spawned = thread.spawn(move || {
        work();
        drop(done);
    });
    if let Err(error) = spawned {
        tracing::error!(%error, "a plugin that is replaced is not destroyed");
        return;
    }
    if finished.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
        tracing::error!(
            seconds = PATIENCE.as_secs(),
            "a plugin's `destroy` does not end: it is left alone, with what it holds"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn all_that_was_given_is_done_in_order() {
        let (reaper, count) = (Reaper::new(), Arc::new(AtomicUsize::new(0)));
        for expected in 0..10 {
            let count = Arc::clone(&count);
            reaper.dispose(Box::new(move || {
                assert_eq!(count.fetch_add(1, Ordering::SeqCst), expected);
            }));
        }

        assert!(reaper.finish(Duration::from_mins(1)));
        assert_eq!(count.load(Ordering::SeqCst), 10);
    }

    #[test]
    fn what_panics_does_not_hold_the_others_up() {
        let reaper = Reaper::new();
        reaper.dispose(Box::new(|| panic!("on purpose")));
        assert!(reaper.finish(Duration::from_mins(1)));
    }
}
