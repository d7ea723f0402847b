//! How many threads there are.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aurora_sdk::abi::raw::{BLOCKING, OK, Rc, Task};
use aurora_sdk::testing::{self, FakeHost, request};

use super::{WAIT, run, until};
use crate::bodies::{feed, poll_once};
use crate::c::{self, Host, Req};

/// Ends when its body does.
struct Counted;

static SERVING: AtomicUsize = AtomicUsize::new(0);

impl c::Plugin for Counted {
    const FLAGS: u32 = BLOCKING;

    fn handle(_: Host, req: Req) -> Result<Task, Rc> {
        SERVING.fetch_add(1, Ordering::SeqCst);
        let code = req.whole(WAIT, 99).0;
        SERVING.fetch_sub(1, Ordering::SeqCst);
        Err(code.min(req.say(&[OK])))
    }
}

#[test]
fn more_requests_than_there_are_threads_are_told_to_come_again() {
    let run = run::<Counted>(FakeHost::new());
    let ((one, first), (two, second), cx) = (feed(), feed(), run.host.context());
    let mut asking = [one, two].map(|body| {
        run.handler()
            .handle(&cx, request("POST", "/").body(body).into())
    });
    for asking in &mut asking {
        assert!(poll_once(asking).is_pending());
    }
    until(|| SERVING.load(Ordering::SeqCst) == 2);

    let error = run.ask(request("POST", "/")).unwrap_err();
    assert_eq!(
        (error.status().as_u16(), error.code()),
        (503, "plugin_busy")
    );
    assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));

    first.end();
    second.end();
    for asking in asking {
        assert_eq!(testing::read(run.host.wait(asking).unwrap()).text(), "0");
    }
    drop((cx, first, second));
    run.end_well();
}

#[test]
fn who_comes_again_when_the_answer_has_ended_finds_a_thread() {
    let run = run::<Counted>(FakeHost::new());
    run.watch.allow_blocking(1);

    for _ in 0..200 {
        assert_eq!(run.ask(request("POST", "/")).unwrap().text(), "0");
    }
    run.end_well();
}

#[test]
fn a_plugin_that_may_have_no_thread_serves_nothing() {
    let run = run::<Counted>(FakeHost::new());
    run.watch.allow_blocking(0);

    assert_eq!(
        run.ask(request("POST", "/")).unwrap_err().code(),
        "plugin_busy"
    );
    run.end_well();
}
