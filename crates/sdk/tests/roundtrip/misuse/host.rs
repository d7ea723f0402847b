//! The host itself: its log, its metrics, and who holds it too long.

use std::sync::Mutex;

use aurora_sdk::Level;
use aurora_sdk::abi::raw::{E_CANCELLED, E_INVALID, E_NOT_FOUND, OK, Rc, Str, Task};
use aurora_sdk::testing::{FakeHost, request};

use super::{run, said};
use crate::c::{self, Host, Req};

struct Logs;

impl c::Plugin for Logs {
    fn handle(host: Host, req: Req) -> Result<Task, Rc> {
        for level in [-1, 0, 1, 2, 3, 4, 5, Rc::MAX] {
            host.log(level, b"text");
        }
        host.log(3, &[b'x'; 10_000]);
        req.log(3, b"a\0b\r\n\xff");
        Err(req.say(&[OK]))
    }
}

#[test]
fn whatever_a_plugin_logs_is_a_line_of_some_level() {
    let run = run::<Logs>(FakeHost::new());

    said(&run, "/");

    let logged = run.host.logged();
    let levels: Vec<Level> = logged.iter().map(|(level, _)| *level).collect();
    let (e, d) = (Level::Error, Level::Debug);
    assert_eq!(levels[..8], [e, e, e, Level::Warn, Level::Info, d, d, d]);
    assert_eq!(logged[8].1.len(), 4096);
    assert_eq!(logged[9], (Level::Info, "a b  \u{fffd}".to_owned()));
    run.end_well();
}

/// What is defined of a metric.
fn define(host: Host, kind: i32, name: &[u8], labels: &[Str]) -> (Rc, u32) {
    let (mut id, help) = (99, Str::text("help"));
    // SAFETY: the host is held, and the rest is there for the call.
    let code = unsafe {
        (host.metrics().define)(
            host.0,
            kind,
            Str::of(name),
            help,
            labels.as_ptr(),
            labels.len(),
            &raw mut id,
        )
    };
    (code, id)
}

struct Measures;

impl c::Plugin for Measures {
    fn create(host: Host) -> Rc {
        let label = Str::text("who");
        assert_eq!(define(host, 0, b"good", &[label]), (OK, 0));
        assert_eq!(define(host, 0, b"good", &[label]), (OK, 0));
        let wrong = [
            define(host, 3, b"kind", &[]),
            define(host, -1, b"kind", &[]),
            define(host, 1, b"good", &[label]),
            define(host, 0, b"\xff", &[]),
            define(host, 0, b"labels", &[label; 17]),
            define(host, 0, b"labels", &[Str::of(b"\xff")]),
        ];
        assert_eq!(wrong, [(E_INVALID, 99); 6]);
        OK
    }

    fn handle(host: Host, req: Req) -> Result<Task, Rc> {
        let record = |id, labels: &[Str]| {
            // SAFETY: the host is held, and the labels are there for the call.
            unsafe { (host.metrics().record)(host.0, id, 1.5, labels.as_ptr(), labels.len()) };
        };
        record(0, &[Str::text("ann")]);
        record(0, &[]);
        record(0, &[Str::of(b"\xff")]);
        record(0, &[Str::EMPTY; 99]);
        record(7, &[]);
        Err(req.say(&[OK]))
    }
}

#[test]
fn metrics_that_are_none_are_refused_and_values_that_do_not_fit_are_dropped() {
    let run = run::<Measures>(FakeHost::new());

    said(&run, "/");

    let recorded = run.host.recorded();
    assert_eq!(
        (recorded.len(), recorded[0].labels["who"].as_str()),
        (1, "ann")
    );
    run.end_well();
}

static HELD: Mutex<Option<Host>> = Mutex::new(None);

struct Holds;

impl c::Plugin for Holds {
    fn create(host: Host) -> Rc {
        host.retain();
        *HELD.lock().unwrap() = Some(host);
        OK
    }

    fn handle(_: Host, req: Req) -> Result<Task, Rc> {
        Err(req.say(&[OK]))
    }

    fn destroy(host: Host) {
        // The last words can be heard, but nothing begins any more.
        host.log(3, b"last words");
        let ran = c::task(|_| OK);
        // SAFETY: the host is held, and the task is moved.
        let code =
            unsafe { (host.task().spawn)(host.0, Str::text("late"), ran, std::ptr::null_mut()) };
        assert_eq!(code, E_CANCELLED);
    }
}

#[test]
fn a_host_that_is_held_beyond_its_instance_does_nothing_more() {
    let run = run::<Holds>(FakeHost::new());
    said(&run, "/");
    let (mut run, host) = (run, HELD.lock().unwrap().take().unwrap());
    run.handler = None;
    let fake = run.host.clone();
    assert_eq!(fake.logged(), [(Level::Info, "last words".to_owned())]);

    host.log(3, b"too late");
    let (mut op, mut join) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: the host is held, and the rest is there for the calls.
    let codes = unsafe {
        [
            host.start_timer(1).0,
            (host.state().get)(host.0, Str::text("k"), &raw mut op),
            (host.task().spawn)(host.0, Str::EMPTY, c::task(|_| OK), &raw mut join),
            (host.task().offload)(host.0, None, std::ptr::null_mut(), &raw mut join),
            define(host, 0, b"late", &[]).0,
        ]
    };
    assert_eq!(codes, [E_CANCELLED; 5]);
    assert_eq!(fake.logged().len(), 1);
    host.release();
    run.end_well();
}

struct Asks;

impl c::Plugin for Asks {
    fn handle(_: Host, req: Req) -> Result<Task, Rc> {
        let mut value = Str::EMPTY;
        let mut header = aurora_sdk::abi::raw::Header {
            name: Str::EMPTY,
            value: Str::EMPTY,
        };
        let mut small = 8_u32;
        // SAFETY: the request is held, and the rest is there for the calls; of the struct, no more than its size is read.
        let codes = unsafe {
            [
                (req.1.header)(req.0, Str::text("X-A"), &raw mut value),
                (req.1.header)(req.0, Str::text("x-b"), &raw mut value),
                (req.1.header)(req.0, Str::of(b"\xff \n"), &raw mut value),
                (req.1.header_at)(req.0, 1, &raw mut header),
                (req.1.header_at)(req.0, u32::MAX, &raw mut header),
                (req.1.param)(req.0, Str::text("id"), &raw mut value),
                (req.1.param)(req.0, Str::of(b"\xff"), &raw mut value),
                (req.1.param_at)(req.0, 1, &raw mut header),
                (req.1.info)(req.0, (&raw mut small).cast()),
            ]
        };
        Err(req.say(&codes))
    }
}

#[test]
fn what_a_request_does_not_have_is_not_found() {
    let run = run::<Asks>(FakeHost::new().param("id", "7"));

    let answer = run.ask(request("GET", "/").header("x-a", "1")).unwrap();

    let n = E_NOT_FOUND;
    let expected = [OK, n, n, n, n, OK, n, n, E_INVALID];
    assert_eq!(
        answer.text(),
        expected.map(|code| code.to_string()).join(" ")
    );
    run.end_well();
}
