//! Log lines on their way out: gathered in memory, written together by a thread.
//!
//! Whoever logs appends to a buffer, without a system call as long as the thread is at work. The thread writes what is
//! there and then rests for [`PAUSE`] while lines gather: under load that is 50 writes a second, however many lines, and
//! a line that comes after silence goes out at once. tracing-appender's `non_blocking` does not fit: it sends every line
//! through a channel as an allocation of its own, and wakes its thread for each.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Between writes. Whoever reads along does not notice it; killing the process loses no more than this.
const PAUSE: Duration = Duration::from_millis(20);

/// Bytes that end a pause: as much as a Linux pipe takes at once.
const FULL: usize = 64 << 10;

/// Bytes that wait while nobody takes them, about 4000 lines of the access log. Further lines are lost, and counted.
const BOUND: usize = 1 << 20;

/// Where lines are appended.
#[derive(Debug, Clone)]
pub(super) struct Batches(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    idle: Condvar,
}

#[derive(Debug, Default)]
struct State {
    pending: Vec<u8>,
    /// Lines for which there was no room.
    lost: u64,
    /// Somebody waits for what is pending, or a warning is among it.
    urgent: bool,
    writing: bool,
    waits: Waits,
}

/// What the thread waits for, so that it is woken for nothing else.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Waits {
    #[default]
    Nothing,
    /// For any line.
    Line,
    /// For an end of its pause.
    Reason,
}

impl State {
    fn may_wait(&self) -> bool {
        !self.urgent && self.pending.len() < FULL
    }

    /// Whether the thread must be woken now; it says so once.
    fn wakes(&mut self) -> bool {
        let wakes = match self.waits {
            Waits::Nothing => false,
            Waits::Line => true,
            Waits::Reason => !self.may_wait(),
        };
        if wakes {
            self.waits = Waits::Nothing;
        }
        wakes
    }
}

impl Shared {
    /// Held while a line is copied and never while one is written.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batches {
    /// Starts the thread that writes to `sink`.
    ///
    /// After lines were lost, `report` is called with their number on that thread as soon as the sink takes lines again.
    ///
    /// # Errors
    /// When the system starts no thread.
    pub(super) fn start(
        sink: impl io::Write + Send + 'static,
        report: impl FnMut(u64) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            shared: Arc::clone(&shared),
            sink,
            report,
        };
        // Not joined: a stuck sink must not hold the end of the process.
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self(shared))
    }

    fn append(&self, line: &[u8], urgent: bool) {
        let mut state = self.0.state();
        if state.pending.len() + line.len() > BOUND {
            state.lost += 1;
            return;
        }
        state.pending.extend_from_slice(line);
        state.urgent |= urgent;
        let wakes = state.wakes();
        drop(state);
        if wakes {
            self.0.wake.notify_one();
        }
    }

    /// Waits until everything is written; false when that did not come true within `patience`.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        let busy = |state: &mut State| state.writing || !state.pending.is_empty();
        let mut state = self.0.state();
        if busy(&mut state) {
            state.urgent = true;
            if state.wakes() {
                self.0.wake.notify_one();
            }
        }
        let waited = self.0.idle.wait_timeout_while(state, patience, busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl<'a> MakeWriter<'a> for Batches {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line {
            batches: self,
            urgent: false,
        }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line<'a> {
        Line {
            batches: self,
            urgent: *meta.level() <= Level::WARN,
        }
    }
}

/// Takes one line, whole.
#[derive(Debug)]
pub(super) struct Line<'a> {
    batches: &'a Batches,
    urgent: bool,
}

impl io::Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.batches.append(line, self.urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The thread's side.
struct Writer<W, R> {
    shared: Arc<Shared>,
    sink: W,
    report: R,
}

impl<W: io::Write, R: FnMut(u64)> Writer<W, R> {
    fn run(mut self) {
        let mut batch = Vec::new();
        let mut lost = 0;
        loop {
            lost += self.take(&mut batch);
            match self.write(&batch) {
                0 if lost > 0 => (self.report)(std::mem::take(&mut lost)),
                more => lost += more,
            }
            batch.clear();
            // What a burst needed is not kept.
            batch.shrink_to(FULL);
            self.pause();
        }
    }

    /// Waits for lines and takes them; says how many were lost after them.
    fn take(&self, batch: &mut Vec<u8>) -> u64 {
        let mut state = self.shared.state();
        while state.pending.is_empty() {
            state.waits = Waits::Line;
            let woken = self.shared.wake.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        state.waits = Waits::Nothing;
        state.urgent = false;
        state.writing = true;
        std::mem::swap(&mut state.pending, batch);
        std::mem::take(&mut state.lost)
    }

    /// Lets lines gather.
    fn pause(&self) {
        let mut state = self.shared.state();
        state.writing = false;
        if state.pending.is_empty() {
            self.shared.idle.notify_all();
        }
        if state.may_wait() {
            state.waits = Waits::Reason;
            let waited = self
                .shared
                .wake
                .wait_timeout_while(state, PAUSE, |state| state.may_wait());
            waited.unwrap_or_else(PoisonError::into_inner).0.waits = Waits::Nothing;
        }
    }

    /// Writes all of `batch`; says how many of its lines could not be.
    fn write(&mut self, mut batch: &[u8]) -> u64 {
        while !batch.is_empty() {
            match self.sink.write(batch) {
                Ok(0) => break,
                Ok(written) => batch = batch.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Whoever gave us this pipe set it to not block: it has room again later.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::park_timeout(PAUSE);
                }
                Err(_) => break,
            }
        }
        let lines = memchr::memchr_iter(b'\n', batch).count();
        u64::try_from(lines).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;
