//! Requests that are held beyond their tasks.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::task::Poll;

use aurora_sdk::abi::raw::{E_CANCELLED, OK, PENDING, Rc, Task, Waker};
use aurora_sdk::testing::{self, FakeHost, request};

use super::{NULL, run, said};
use crate::bodies::{feed, poll_once};
use crate::c::{self, Host, Req};

/// Requests that are held, by their paths.
static HELD: Mutex<BTreeMap<Vec<u8>, (Host, Req)>> = Mutex::new(BTreeMap::new());

fn held(path: &str) -> (Host, Req) {
    HELD.lock().unwrap().remove(path.as_bytes()).unwrap()
}

struct Holds;

impl c::Plugin for Holds {
    fn handle(host: Host, req: Req) -> Result<Task, Rc> {
        req.retain();
        let (_, info) = req.info();
        let path = c::bytes(info.path);
        let waits = path.starts_with(b"/waits");
        HELD.lock().unwrap().insert(path, (host, req));
        if waits {
            return Ok(c::task(move |waker| req.body(waker).0));
        }
        Err(req.say(&[OK]))
    }
}

#[test]
fn a_request_that_is_held_beyond_its_task_does_nothing_more() {
    let run = run::<Holds>(FakeHost::new());

    assert_eq!(said(&run, "/the-path"), [OK]);
    let (host, req) = held("/the-path");
    let codes = [
        req.head(200, &[]),
        req.write(NULL, b"late"),
        req.flush(NULL),
        req.body(NULL).0,
        req.whole(NULL, 9).0,
        req.cancelled(NULL),
        req.keep_running(1),
        req.usage("late", 1),
        host.open(req, 0).0,
    ];
    assert_eq!(codes, [E_CANCELLED; 9]);
    // What it says of itself can still be read.
    let (code, info) = req.info();
    assert_eq!((code, c::bytes(info.path)), (OK, b"/the-path".to_vec()));
    assert_eq!((run.host.used().len(), run.host.kept_running()), (0, None));
    req.release();
    run.end_well();
}

#[test]
fn a_thread_that_waits_with_a_waker_of_its_own_hears_that_the_task_is_gone() {
    type Wait = fn(Req, *const Waker) -> Rc;
    let waits: [(&str, Wait); 3] = [
        ("/waits/piece", |req, waker| req.body(waker).0),
        ("/waits/whole", |req, waker| req.whole(waker, 9).0),
        ("/waits/gone", Req::cancelled),
    ];
    for (path, wait) in waits {
        let run = run::<Holds>(FakeHost::new());
        let ((body, feed), cx) = (feed(), run.host.context());
        let asked = request("POST", path).body(body);
        let mut asking = run.handler().handle(&cx, asked.into());
        assert!(poll_once(&mut asking).is_pending());
        let (_, req) = held(path);
        let (began, begins) = channel();

        let thread = std::thread::spawn(move || {
            let code = wait_on_thread(&began, |waker| wait(req, waker));
            req.release();
            code
        });
        begins.recv().unwrap();
        drop(asking);

        assert_eq!(thread.join().unwrap(), E_CANCELLED, "{path}");
        drop((cx, feed));
        run.end_well();
    }
}

/// Waits as a thread of a plugin would.
fn wait_on_thread(began: &Sender<()>, mut poll: impl FnMut(*const Waker) -> Rc) -> Rc {
    testing::wait(std::future::poll_fn(|cx| {
        let own = c::Own::new(cx.waker().clone());
        let lent = own.raw();
        let code = poll(&raw const lent);
        began.send(()).unwrap_or_default();
        if code == PENDING {
            Poll::Pending
        } else {
            Poll::Ready(code)
        }
    }))
}
