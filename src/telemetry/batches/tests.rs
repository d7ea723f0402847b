use std::io::Write as _;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

/// Takes what is written when the test lets it.
struct Gate {
    begun: Sender<Vec<u8>>,
    answers: Receiver<io::Result<usize>>,
}

impl io::Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.send(bytes.to_vec()).unwrap_or_default();
        let answer = self.answers.recv();
        answer.unwrap_or(Ok(bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Setup {
    batches: Batches,
    begun: Receiver<Vec<u8>>,
    answers: Sender<io::Result<usize>>,
    lost: Receiver<u64>,
}

impl Setup {
    fn start() -> Self {
        let (begin, begun) = channel();
        let (answers, answered) = channel();
        let (report, lost) = channel();
        let gate = Gate {
            begun: begin,
            answers: answered,
        };
        let batches = Batches::start(gate, move |lines| report.send(lines).unwrap()).unwrap();
        Self {
            batches,
            begun,
            answers,
            lost,
        }
    }

    /// Logs `line` and waits until the thread is held in writing it.
    fn held(self, line: &str) -> Self {
        self.log(line);
        assert_eq!(self.next_write(), line);
        self
    }

    fn log(&self, line: &str) {
        self.batches.append(line.as_bytes(), false);
    }

    fn next_write(&self) -> String {
        String::from_utf8(self.begun.recv_timeout(PATIENCE).unwrap()).unwrap()
    }

    fn all_taken(&self) {
        self.answers.send(Ok(usize::MAX)).unwrap();
    }
}

/// Writes into a channel.
struct Pipe(Sender<Vec<u8>>);

impl io::Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.to_vec()).unwrap_or_default();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_that_came_while_one_was_written_go_out_together_and_in_order() {
    let setup = Setup::start().held("first\n");

    for line in ["second\n", "third\n", "fourth\n"] {
        setup.log(line);
    }
    setup.all_taken();

    assert_eq!(setup.next_write(), "second\nthird\nfourth\n");
}

#[test]
fn a_warning_ends_the_pause() {
    let setup = Setup::start().held("first\n");
    setup.log("second\n");

    setup.batches.append(b"warning\n", true);

    assert!(!setup.batches.0.state().may_wait());
    setup.all_taken();
    assert_eq!(setup.next_write(), "second\nwarning\n");
    assert!(setup.batches.0.state().may_wait());
}

#[test]
fn a_full_buffer_ends_the_pause() {
    let setup = Setup::start().held("first\n");

    setup.log(&"x".repeat(FULL - 1));
    let before = setup.batches.0.state().may_wait();
    setup.log("\n");

    assert!(before);
    assert!(!setup.batches.0.state().may_wait());
}

#[test]
fn the_thread_is_woken_once_and_only_for_what_it_waits_for() {
    let mut state = State {
        waits: Waits::Line,
        ..State::default()
    };
    assert!(state.wakes());
    assert!(!state.wakes());

    state.waits = Waits::Reason;
    assert!(!state.wakes());
    state.urgent = true;
    assert!(state.wakes());
    assert!(!state.wakes());
}

#[test]
fn a_stuck_sink_blocks_nobody_and_what_was_lost_is_told_when_it_takes_lines_again() {
    let setup = Setup::start().held("first\n");
    let line = format!("{}\n", "x".repeat(1023));

    for _ in 0..BOUND / line.len() + 7 {
        setup.log(&line);
    }
    setup.all_taken();

    assert_eq!(setup.next_write().len(), BOUND);
    assert!(setup.lost.try_recv().is_err());
    setup.all_taken();
    assert_eq!(setup.lost.recv_timeout(PATIENCE), Ok(7));
    setup.log("flows\n");
    assert_eq!(setup.next_write(), "flows\n");
}

#[test]
fn lines_that_the_sink_refuses_are_counted_and_told_after_one_that_it_takes() {
    let setup = Setup::start().held("first\n");
    setup.log("second\n");

    let full = || io::Error::from(io::ErrorKind::StorageFull);
    setup.answers.send(Err(full())).unwrap();
    assert_eq!(setup.next_write(), "second\n");
    setup.answers.send(Err(full())).unwrap();
    setup.log("third\n");

    assert_eq!(setup.next_write(), "third\n");
    assert!(setup.lost.try_recv().is_err());
    setup.all_taken();
    assert_eq!(setup.lost.recv_timeout(PATIENCE), Ok(2));
}

#[test]
fn a_sink_that_takes_pieces_or_nothing_for_now_gets_all_of_a_line() {
    let setup = Setup::start().held("a line\n");

    setup.answers.send(Ok(2)).unwrap();
    assert_eq!(setup.next_write(), "line\n");
    let later = io::Error::from(io::ErrorKind::WouldBlock);
    setup.answers.send(Err(later)).unwrap();
    assert_eq!(setup.next_write(), "line\n");
    let again = io::Error::from(io::ErrorKind::Interrupted);
    setup.answers.send(Err(again)).unwrap();

    assert_eq!(setup.next_write(), "line\n");
}

#[test]
fn a_flush_waits_for_all_lines_and_gives_up_on_a_stuck_sink() {
    let setup = Setup::start().held("first\n");
    setup.log("second\n");

    let stuck = setup.batches.flush(Duration::from_millis(1));
    setup.all_taken();
    setup.all_taken();
    let flowing = setup.batches.flush(PATIENCE);

    assert!(!stuck);
    assert!(flowing);
    assert_eq!(setup.next_write(), "second\n");
    assert!(setup.batches.flush(Duration::ZERO));
}

#[test]
fn many_threads_lose_nothing_and_each_keeps_its_order() {
    let (sender, written) = channel();
    let batches = Batches::start(Pipe(sender), |_| {}).unwrap();

    std::thread::scope(|scope| {
        for thread in 0..4 {
            let batches = &batches;
            scope.spawn(move || {
                for line in 0..500 {
                    let line = format!("{thread} {line}\n");
                    batches.make_writer().write_all(line.as_bytes()).unwrap();
                }
            });
        }
    });
    assert!(batches.flush(PATIENCE));

    let text = String::from_utf8(written.try_iter().flatten().collect()).unwrap();
    for thread in 0..4 {
        let mine = text
            .lines()
            .filter(|line| line.starts_with(&format!("{thread} ")));
        let expected = (0..500).map(|line| format!("{thread} {line}"));
        assert!(mine.eq(expected.collect::<Vec<_>>()));
    }
}

#[test]
fn warnings_and_errors_are_urgent() {
    let setup = Setup::start().held("first\n");
    let lines = tracing_subscriber::fmt().with_writer(setup.batches.clone());

    let urgent = tracing::subscriber::with_default(lines.finish(), || {
        tracing::info!("may wait");
        let info = setup.batches.0.state().urgent;
        tracing::warn!("may not");
        (info, setup.batches.0.state().urgent)
    });

    assert_eq!(urgent, (false, true));
}
