//! Plugins that do what they should not: each has the code that the contract names, and nobody else is harmed.

mod held;
mod host;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aurora_sdk::abi::import::Notice;
use aurora_sdk::abi::raw::{
    E_CANCELLED, E_CONFLICT, E_DENIED, E_EXHAUSTED, E_INTERNAL, E_INVALID, E_NOT_FOUND, E_PANIC,
    E_STATE, E_TIMEOUT, E_TOO_LARGE, E_UNSUPPORTED, E_UPSTREAM, EOF, Fault, OK, Rc, Str, Task,
    Waker,
};
use aurora_sdk::testing::{FakeHost, request};
use aurora_sdk::{Body, Response};
use serde_json::json;

use crate::bodies::{feed, pieces};
use crate::c::{self, Host, Req};
use crate::ground::Run;

const NULL: *const Waker = std::ptr::null();

fn run<P: c::Plugin>(host: FakeHost) -> Run {
    Run::of(c::load::<P>(), host)
}

/// The codes that a plugin answered with.
fn said(run: &Run, path: &str) -> Vec<Rc> {
    let answer = run
        .ask(request("POST", path).body("12345".to_owned()))
        .unwrap();
    answer
        .text()
        .split(' ')
        .map(|code| code.parse().unwrap())
        .collect()
}

struct Heads;

impl c::Plugin for Heads {
    fn handle(_: Host, req: Req) -> Result<Task, Rc> {
        let many = vec![(b"a".as_slice(), b"b".as_slice()); 1001];
        let codes = [
            req.write(NULL, b"early"),
            req.flush(NULL),
            req.head(99, &[]),
            req.head(100, &[]),
            req.head(199, &[]),
            req.head(1000, &[]),
            req.head(200, &[(b"", b"x")]),
            req.head(200, &[(b"a b", b"x")]),
            req.head(200, &[(b"a", b"x\r\ny: z")]),
            req.head(200, &[(b"\xff", b"x")]),
            req.head(200, &many),
        ];
        let last = [
            req.head(299, &[(b"X-Bytes", b"\xff\t ")]),
            req.head(200, &[]),
        ];
        let text = codes.iter().chain(&last).map(Rc::to_string);
        Err(req.write(NULL, text.collect::<Vec<_>>().join(" ").as_bytes()))
    }
}

#[test]
fn heads_that_are_none_are_refused_and_the_first_good_one_counts() {
    let run = run::<Heads>(FakeHost::new());

    let answer = run.ask(request("GET", "/")).unwrap();

    let i = E_INVALID;
    let expected = [E_STATE, OK, i, i, i, i, i, i, i, i, i, OK, E_STATE];
    assert_eq!(
        answer.text(),
        expected.map(|code| code.to_string()).join(" ")
    );
    assert_eq!(answer.status.as_u16(), 299);
    assert_eq!(answer.headers["x-bytes"].as_bytes(), b"\xff\t ");
    run.end_well();
}

struct Codes;

impl c::Plugin for Codes {
    fn handle(_: Host, req: Req) -> Result<Task, Rc> {
        let (_, info) = req.info();
        let path = String::from_utf8(c::bytes(info.path)).unwrap();
        let (how, code) = path.trim_start_matches('/').split_once('/').unwrap();
        let code = code.parse().unwrap();
        match how {
            "at-once" => Err(code),
            "later" => Ok(c::task(move |_| code)),
            _ => {
                let fault = Fault {
                    size: u32::try_from(size_of::<Fault>()).unwrap(),
                    code: 0,
                    kind: 0,
                    origin: 9,
                    status: 0,
                    flags: 0xff,
                    reserved: 0,
                    retry_after_ms: 0,
                    word: Str::text("a_word"),
                    message: Str::of(b"said \xff"),
                    param: Str::EMPTY,
                    cause: Str::EMPTY,
                };
                req.fail(&fault);
                Err(code)
            }
        }
    }
}

#[test]
fn a_bare_code_has_a_status() {
    let run = run::<Codes>(FakeHost::new());
    let table = [
        (E_INTERNAL, 500),
        (E_PANIC, 500),
        (E_INVALID, 500),
        (E_STATE, 500),
        (E_CANCELLED, 500),
        (E_TIMEOUT, 504),
        (E_UPSTREAM, 502),
        (E_NOT_FOUND, 404),
        (E_DENIED, 403),
        (E_EXHAUSTED, 503),
        (E_UNSUPPORTED, 501),
        (E_TOO_LARGE, 413),
        (E_CONFLICT, 500),
        (-99, 500),
        (Rc::MIN, 500),
    ];
    for (code, status) in table {
        for how in ["at-once", "later"] {
            let error = run
                .ask(request("GET", &format!("/{how}/{code}")))
                .unwrap_err();

            assert_eq!(error.status().as_u16(), status, "{how} {code}");
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert_eq!(cause, format!("plugin `in-c` ended with code {code}"));
        }
    }
    assert_eq!(run.end(), [Notice::Panicked; 2]);
}

#[test]
fn a_plugin_that_says_that_all_is_well_and_has_not_answered_is_a_500() {
    let run = run::<Codes>(FakeHost::new());

    for path in ["/at-once/0", "/later/0", "/later/2", "/later/77"] {
        let error = run.ask(request("GET", path)).unwrap_err();

        assert_eq!(
            (error.status().as_u16(), error.code()),
            (500, "plugin_error")
        );
        assert_eq!(error.message(), "plugin `in-c` finished without a response");
    }
    // There is no task to be polled.
    let error = run.ask(request("GET", "/at-once/1")).unwrap_err();
    assert_eq!(
        (error.status().as_u16(), error.code()),
        (500, "plugin_error")
    );
    run.end_well();
}

#[test]
fn words_of_a_plugin_are_taken_as_far_as_they_are_any() {
    let run = run::<Codes>(FakeHost::new());

    let error = run.ask(request("GET", "/words/-7")).unwrap_err();

    assert_eq!((error.code(), error.message()), ("a_word", "said \u{fffd}"));
    assert_eq!((error.retry_after(), error.is_told()), (None, true));
    run.end_well();
}

struct Leaks;

impl c::Plugin for Leaks {
    fn handle(host: Host, req: Req) -> Result<Task, Rc> {
        let (opened, fetch) = host.open(req, 0);
        let mut status = 0;
        // SAFETY: the exchange is open, and the place is ours.
        let begun = unsafe { (host.http().head_poll)(fetch, NULL, &raw mut status) };
        let (started, _timer) = host.start_timer(1000);
        Err(req.say(&[opened, begun, started]))
    }
}

#[test]
fn what_is_left_open_is_closed_and_counted() {
    let flag = Arc::new(AtomicBool::new(false));
    let dropped = Arc::clone(&flag);
    let run = run::<Leaks>(FakeHost::new().answers_by(move |_| {
        let held = Flag(Arc::clone(&dropped));
        Box::pin(async move {
            let _held = held;
            std::future::pending().await
        })
    }));

    assert_eq!(said(&run, "/"), [OK, E_STATE, OK]);
    assert_eq!(run.watch.notices(), [Notice::Leaked(1)]);
    assert!(flag.load(Ordering::SeqCst));
    assert_eq!(run.end(), [Notice::Leaked(1), Notice::Leaked(1)]);
}

/// Up when it is dropped.
struct Flag(Arc<AtomicBool>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Waits;

impl c::Plugin for Waits {
    fn handle(_: Host, req: Req) -> Result<Task, Rc> {
        let (_, info) = req.info();
        let (code, data) = if c::bytes(info.path) == b"/whole" {
            req.whole(NULL, 9)
        } else {
            req.body(NULL)
        };
        let gone = req.cancelled(NULL);
        Err(req.say(&[code, i32::try_from(data.len()).unwrap(), gone]))
    }
}

#[test]
fn a_plugin_that_may_not_block_and_gives_no_waker_gets_what_is_there_and_never_waits() {
    let run = run::<Waits>(FakeHost::new());
    for path in ["/piece", "/whole"] {
        assert_eq!(said(&run, path), [OK, 5, E_STATE], "{path}");

        let (body, _feed) = feed();
        let answer = run.ask(request("POST", path).body(body)).unwrap();
        assert_eq!(answer.text(), format!("{E_STATE} 0 {E_STATE}"), "{path}");
    }
    run.end_well();
}

struct Slow;

impl c::Plugin for Slow {
    fn handle(_: Host, req: Req) -> Result<Task, Rc> {
        Ok(c::task(move |_| {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(50) {
                std::hint::spin_loop();
            }
            req.say(&[OK])
        }))
    }
}

#[test]
fn a_poll_that_keeps_a_thread_is_noticed() {
    let run = run::<Slow>(FakeHost::new());

    assert_eq!(said(&run, "/"), [OK]);

    let slow = run.watch.slow();
    assert_eq!(slow.len(), 1);
    assert!(slow[0] >= Duration::from_millis(50), "{slow:?}");
    run.end_well();
}

/// Reads the body in a way that fails first.
struct Greedy;

impl c::Plugin for Greedy {
    fn handle(host: Host, req: Req) -> Result<Task, Rc> {
        let first = req.whole(NULL, 2).0;
        let second = req.whole(NULL, 3).0;
        // What was looked at is still the client's body.
        let (opened, fetch) = host.open(req, 4);
        let mut codes = vec![first, second, opened, req.body(NULL).0];
        let mut status = 0;
        // SAFETY: the exchange is open, and the place is ours.
        codes.push(unsafe { (host.http().head_poll)(fetch, NULL, &raw mut status) });
        // SAFETY: it is closed once.
        unsafe { (host.http().close)(fetch) };
        codes.push(req.usage("a", -1));
        // SAFETY: the request is held.
        codes.push(unsafe {
            (req.1.set_head)(req.0, Str::text("/x"), Str::EMPTY, std::ptr::null(), 0)
        });
        Err(req.say(&codes))
    }
}

#[test]
fn a_body_that_is_too_large_to_be_taken_whole_can_still_be_handed_on() {
    let run = run::<Greedy>(FakeHost::new().answers(Response::new("a/b", Body::empty())));
    let body = pieces(vec![Ok("12"), Ok("34"), Ok("5")]);

    let answer = run.ask(request("POST", "/").body(body)).unwrap();

    let expected = [E_TOO_LARGE, E_TOO_LARGE, OK, EOF, OK, E_INVALID, E_STATE];
    assert_eq!(
        answer.text(),
        expected.map(|code| code.to_string()).join(" ")
    );
    assert_eq!(run.host.sent()[0].body, "12345");
    run.end_well();
}

/// Looks at the first event, and would hand on the rest.
struct Peeks;

impl c::Plugin for Peeks {
    fn handle(host: Host, req: Req) -> Result<Task, Rc> {
        let (_, fetch) = host.open(req, 0);
        let early = req.forward(fetch);
        let head = req.head(200, &[]);
        let unopened = req.forward(fetch);
        let (mut name, mut data) = (Str::EMPTY, Str::EMPTY);
        let mut next = || {
            // SAFETY: the exchange is open, and the places are ours.
            let code =
                unsafe { (host.http().event_poll)(fetch, NULL, &raw mut name, &raw mut data) };
            (code, c::bytes(name), c::bytes(data))
        };
        let seen = [next(), next()];
        let forwarded = req.forward(fetch);
        let end = [next().0, next().0];
        // SAFETY: it is closed once.
        unsafe { (host.http().close)(fetch) };
        let text = json!([early, head, unopened, seen, forwarded, end]).to_string();
        Err(req.write(NULL, text.as_bytes()))
    }
}

#[test]
fn an_exchange_that_was_read_by_events_is_not_handed_on_since_some_of_it_may_be_held_back() {
    let events = "event: a\ndata: 1\n\ndata: 2\n\n";
    let run = run::<Peeks>(
        FakeHost::new().answers(Response::new("text/event-stream", pieces(vec![Ok(events)]))),
    );

    let answer = run.ask(request("POST", "/")).unwrap();

    let seen = json!([[OK, b"a", b"1"], [OK, b"", b"2"]]);
    assert_eq!(
        answer.json(),
        json!([E_STATE, OK, E_STATE, seen, E_STATE, [EOF, EOF]])
    );
    run.end_well();
}
