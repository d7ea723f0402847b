//! Who waits is woken, whatever stands between.

pub(crate) mod chance;
mod joins;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker as StdWaker};
use std::time::Duration;

use aurora_sdk::abi::raw::{
    Buf, E_CANCELLED, E_STATE, Fetch, HTTP_STREAM_BODY, OK, PENDING, Rc, Str, Task, Waker,
};
use aurora_sdk::testing::{self, FakeHost, request};
use aurora_sdk::{Body, Response};

use self::chance::Gates;
use crate::bodies::poll_once;
use crate::c::{self, Host, Own, Req};
use crate::ground::Run;

/// Counts how often it was woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn own(self: &Arc<Self>) -> Own {
        Own::new(StdWaker::from(Arc::clone(self)))
    }
}

/// What a plugin does when its task is polled. One test has one.
type Step = Box<dyn FnMut(Host, Req, *const Waker) -> Rc + Send>;

/// Makes a plugin of a static step.
macro_rules! stepping {
    ($name:ident) => {
        struct $name;

        impl $name {
            fn step() -> &'static Mutex<Option<Step>> {
                static STEP: Mutex<Option<Step>> = Mutex::new(None);
                &STEP
            }

            fn run(
                host: FakeHost,
                step: impl FnMut(Host, Req, *const Waker) -> Rc + Send + 'static,
            ) -> Run {
                *Self::step().lock().unwrap() = Some(Box::new(step));
                Run::of(c::load::<Self>(), host)
            }
        }

        impl c::Plugin for $name {
            fn handle(host: Host, req: Req) -> Result<Task, Rc> {
                let mut step = Self::step().lock().unwrap().take().unwrap();
                Ok(c::task(move |waker| step(host, req, waker)))
            }
        }
    };
}

stepping!(WritesThrice);

#[test]
fn who_writes_and_who_waits_until_all_is_read_are_both_woken() {
    let counts: [Arc<Count>; 3] = Default::default();
    let wakers = counts.clone();
    let run = WritesThrice::run(FakeHost::new(), move |_, req, _| {
        let [copy, moved, flush] = wakers.each_ref().map(Count::own);
        let [copy, moved, flush] = [copy.raw(), moved.raw(), flush.raw()];
        assert_eq!(req.head(200, &[]), OK);
        assert_eq!(req.write(&raw const copy, &vec![1; 64 * 1024]), OK);
        assert_eq!(req.write(&raw const copy, b"x"), PENDING);
        let mut buf = Buf {
            len: 1,
            ptr: b"y".as_ptr(),
            ..Buf::EMPTY
        };
        // SAFETY: the request is held, and the rest is there for the call.
        let code = unsafe { (req.1.resp_write_buf)(req.0, &raw const moved, &raw mut buf) };
        assert_eq!((code, buf.len), (PENDING, 1));
        assert_eq!(req.flush(&raw const flush), PENDING);
        PENDING
    });

    let mut response = run.begin(request("GET", "/")).unwrap();
    assert_eq!(counts.each_ref().map(|count| count.get()), [0; 3]);
    assert!(run.host.wait(response.body.chunk()).unwrap().is_ok());
    assert_eq!(counts.each_ref().map(|count| count.get()), [1; 3]);

    drop(response);
    run.end_well();
}

stepping!(Cut);

#[test]
fn who_waits_for_room_is_woken_when_the_client_leaves() {
    let count = Arc::new(Count::default());
    let (waker, held) = (Arc::clone(&count), Arc::new(Mutex::new(None)));
    let holding = Arc::clone(&held);
    let run = Cut::run(FakeHost::new(), move |_, req, _| {
        let own = waker.own();
        let lent = own.raw();
        assert_eq!(req.write(&raw const lent, b"early"), E_STATE);
        assert_eq!(req.head(200, &[]), OK);
        assert_eq!(req.write(&raw const lent, &vec![1; 70_000]), OK);
        assert_eq!(req.write(&raw const lent, b"x"), PENDING);
        req.retain();
        *holding.lock().unwrap() = Some(req);
        PENDING
    });

    drop(run.begin(request("GET", "/")).unwrap());

    assert_eq!(count.get(), 1);
    // As the thread that was woken would ask again.
    let req = held.lock().unwrap().take().unwrap();
    assert_eq!(req.write(std::ptr::null(), b"x"), E_CANCELLED);
    req.release();
    run.end_well();
}

stepping!(Uploads);

/// An exchange, as an address that can be kept.
#[derive(Clone, Copy)]
struct Exchange(Host, usize);

impl Exchange {
    fn fetch(self) -> *mut Fetch {
        std::ptr::with_exposed_provenance_mut(self.1)
    }

    fn head(self, waker: *const Waker) -> Rc {
        let mut status = 0;
        // SAFETY: the exchange is open, and the rest is there for the call.
        unsafe { (self.0.http().head_poll)(self.fetch(), waker, &raw mut status) }
    }

    fn write(self, waker: *const Waker) -> Rc {
        // SAFETY: as above.
        unsafe { (self.0.http().body_write)(self.fetch(), waker, Str::text("x")) }
    }

    fn close(self) {
        // SAFETY: it is closed once.
        unsafe { (self.0.http().close)(self.fetch()) };
    }
}

/// A host whose upstream answers when a gate opens.
fn gated(gates: &Gates) -> FakeHost {
    let gates = gates.clone();
    FakeHost::new().answers_by(move |request| {
        let gates = gates.clone();
        Box::pin(async move {
            gates.pass("answer").await;
            drop(request);
            Ok(Response::new("a/b", Body::empty()))
        })
    })
}

#[test]
fn who_waits_for_an_answer_is_woken_though_another_part_sends_the_body() {
    let (gates, counts) = (Gates::default(), <[Arc<Count>; 2]>::default());
    let (wakers, mut begun) = (counts.clone(), None);
    let run = Uploads::run(gated(&gates), move |host, req, waker| {
        let Some(exchange): Option<Exchange> = begun else {
            let [reads, writes] = wakers.each_ref().map(Count::own);
            let [reads, writes] = [reads.raw(), writes.raw()];
            let (code, fetch) = host.open(req, HTTP_STREAM_BODY);
            let exchange = Exchange(host, fetch.expose_provenance());
            let codes = [
                code,
                exchange.head(&raw const reads),
                exchange.write(&raw const writes),
            ];
            assert_eq!(codes, [OK, PENDING, OK]);
            begun = Some(exchange);
            return req.head(200, &[]).max(PENDING);
        };
        let code = exchange.head(waker);
        exchange.close();
        code
    });

    let mut response = run.begin(request("GET", "/")).unwrap();
    assert_eq!(counts.each_ref().map(|count| count.get()), [0; 2]);
    gates.open("answer");
    assert_eq!(counts.each_ref().map(|count| count.get()), [1; 2]);

    let end = poll_once(&mut Box::pin(response.body.chunk()));
    assert!(matches!(end, Poll::Ready(None)));
    drop(response);
    run.end_well();
}

stepping!(Keeps);

/// A waker of the host's that a plugin kept.
struct Kept(Waker);

// SAFETY: any thread may call the functions of a waker.
unsafe impl Send for Kept {}

static KEPT: Mutex<Option<Kept>> = Mutex::new(None);

#[test]
fn a_waker_that_is_woken_after_its_task_is_gone_harms_nobody() {
    let run = Keeps::run(FakeHost::new(), |_, req, waker| {
        // SAFETY: the waker is there for the call.
        let kept = unsafe { ((*(*waker).vtable).clone)((*waker).data) };
        *KEPT.lock().unwrap() = Some(Kept(kept));
        req.head(200, &[]).max(PENDING)
    });
    drop(run.begin(request("GET", "/")).unwrap());
    run.end_well();

    let Kept(waker) = KEPT.lock().unwrap().take().unwrap();
    // SAFETY: it was cloned, and is given back here.
    unsafe {
        ((*waker.vtable).wake_by_ref)(waker.data);
        ((*waker.vtable).wake)(waker.data);
    }
}

stepping!(Threads);

#[test]
fn a_thread_of_the_plugin_may_answer_while_the_task_waits() {
    let threads = Arc::new(Mutex::new(Vec::new()));
    let begun = Arc::clone(&threads);
    let run = Threads::run(FakeHost::new(), move |_, req, _| {
        let mut begun = begun.lock().unwrap();
        if begun.is_empty() {
            req.retain();
            begun.push(std::thread::spawn(move || {
                // Late enough that the task has been polled, and all wait.
                std::thread::park_timeout(Duration::from_millis(30));
                answer(req);
            }));
        }
        // Nobody ever wakes the task.
        PENDING
    });
    let cx = run.host.context();

    let answer = run.host.wait(async {
        let asking = run.handler().handle(&cx, request("GET", "/").into());
        let Response {
            status, mut body, ..
        } = asking.await.unwrap();
        let mut read = 0;
        while read < 1_000_000 {
            read += body.chunk().await.unwrap().unwrap().len();
        }
        (status.as_u16(), read)
    });

    assert_eq!(answer, (201, 1_000_000));
    let thread = threads.lock().unwrap().remove(0);
    thread.join().unwrap();
    drop(cx);
    run.end_well();
}

/// Answers on a thread of the plugin's own, which waits with a waker of its own.
fn answer(req: Req) {
    assert_eq!(req.head(201, &[]), OK);
    for _ in 0..100 {
        let written = testing::wait(std::future::poll_fn(|cx| {
            let own = Own::new(cx.waker().clone());
            let lent = own.raw();
            match req.write(&raw const lent, &[7; 10_000]) {
                PENDING => Poll::Pending,
                code => Poll::Ready(code),
            }
        }));
        assert_eq!(written, OK);
    }
    req.release();
}
