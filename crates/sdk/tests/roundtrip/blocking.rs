//! Plugins that block a thread for each request.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

use aurora_sdk::abi::import::Notice;
use aurora_sdk::abi::raw::{
    BLOCKING, Buf, CALL_MODELS, CallReq, E_CANCELLED, E_PANIC, E_UPSTREAM, EOF, Fault,
    HTTP_STREAM_BODY, OK, Rc, Str, Task, Waker,
};
use aurora_sdk::testing::{FakeHost, request};
use aurora_sdk::{Body, Error, ErrorKind, Origin, Response};
use bytes::Bytes;
use futures_util::stream;

use crate::bodies::{feed, pieces, poll_once};
use crate::c::{self, Host, Req};
use crate::ground::Run;

const WAIT: *const Waker = std::ptr::null();

fn run<P: c::Plugin>(host: FakeHost) -> Run {
    Run::of(c::load::<P>(), host)
}

/// Waits until `is_so`, which another thread brings about.
fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        std::thread::yield_now();
    }
}

struct Echo;

impl c::Plugin for Echo {
    const FLAGS: u32 = BLOCKING;

    fn handle(_: Host, req: Req) -> Result<Task, Rc> {
        let head = req.head(200, &[(b"content-type", b"a/b")]);
        assert_eq!(head, OK);
        loop {
            match req.body(WAIT) {
                (OK, piece) => match req.write(WAIT, &piece) {
                    OK => {}
                    code => return Err(code),
                },
                (EOF, _) => return Err(req.flush(WAIT)),
                (code, _) => return Err(code),
            }
        }
    }
}

#[test]
fn a_thread_reads_and_writes_as_it_comes() {
    let run = run::<Echo>(FakeHost::new());
    let (body, sender) = feed();
    let cx = run.host.context();

    let answer = run.host.wait(async {
        let response = run
            .handler()
            .handle(&cx, request("POST", "/").body(body).into())
            .await
            .unwrap();
        let mut body = response.body;
        let mut read = Vec::new();
        for piece in ["one", "two"] {
            sender.send(piece);
            read.push(body.chunk().await.unwrap().unwrap());
        }
        sender.end();
        (response.status.as_u16(), read, body.chunk().await.is_none())
    });

    assert_eq!(answer, (200, vec!["one".into(), "two".into()], true));
    drop(cx);
    run.end_well();
}

#[test]
fn a_thread_streams_more_than_may_wait() {
    let run = run::<Echo>(FakeHost::new());
    let pieces = (0..100_u8).map(|index| Ok(Bytes::from(vec![index; 10_000])));
    let body = Body::stream(Box::pin(stream::iter(pieces)), None);

    let answer = run.ask(request("POST", "/").body(body)).unwrap();

    assert_eq!(
        (answer.body.len(), answer.body[0], answer.body[999_999]),
        (1_000_000, 0, 99)
    );
    run.end_well();
}

#[test]
fn what_is_wrong_with_a_body_ends_the_answer() {
    let run = run::<Echo>(FakeHost::new());
    let late = Error::new(
        ErrorKind::RequestTimeout,
        Origin::Downstream,
        "request_timeout",
        "late",
    );
    let body = pieces(vec![Ok("some"), Err(late)]);

    let answer = run.ask(request("POST", "/").body(body)).unwrap();

    assert_eq!(
        (
            answer.text().as_str(),
            answer.broken.unwrap().status().as_u16()
        ),
        ("some", 408)
    );
    run.end_well();
}

static ENDED: AtomicI32 = AtomicI32::new(0);

struct Writes;

impl c::Plugin for Writes {
    const FLAGS: u32 = BLOCKING;

    fn handle(_: Host, req: Req) -> Result<Task, Rc> {
        let mut code = req.head(200, &[]);
        while code == OK {
            code = req.write(WAIT, &[1; 10_000]);
        }
        ENDED.store(code, Ordering::SeqCst);
        Err(code)
    }
}

#[test]
fn a_client_that_leaves_ends_the_wait_for_room() {
    let run = run::<Writes>(FakeHost::new());

    let mut response = run.begin(request("GET", "/")).unwrap();
    assert!(run.host.wait(response.body.chunk()).unwrap().is_ok());
    drop(response);

    until(|| ENDED.load(Ordering::SeqCst) != 0);
    assert_eq!(ENDED.load(Ordering::SeqCst), E_CANCELLED);
    run.end_well();
}

/// How many wait now, and the codes that they waited for.
static WAITING: AtomicUsize = AtomicUsize::new(0);
static WAITED: Mutex<Vec<Rc>> = Mutex::new(Vec::new());

struct Waits;

impl c::Plugin for Waits {
    const FLAGS: u32 = BLOCKING;

    fn handle(host: Host, req: Req) -> Result<Task, Rc> {
        let (_, info) = req.info();
        let path = c::bytes(info.path);
        WAITING.fetch_add(1, Ordering::SeqCst);
        let code = match path.as_slice() {
            b"/body" => req.body(WAIT).0,
            b"/whole" => req.whole(WAIT, 9).0,
            b"/gone" => req.cancelled(WAIT),
            b"/upstream" => {
                let (opened, fetch) = host.open(req, 0);
                let mut status = 0;
                if opened == OK {
                    // SAFETY: the exchange is open, and closed once.
                    unsafe {
                        let code = (host.http().head_poll)(fetch, WAIT, &raw mut status);
                        (host.http().close)(fetch);
                        code
                    }
                } else {
                    opened
                }
            }
            // Of no request, but it is this request's thread that waits.
            _ => {
                let timer = host.start_timer(3_600_000).1;
                // SAFETY: the timer is open.
                let code = unsafe { (host.timer().poll)(timer, WAIT) };
                // SAFETY: it is closed once.
                unsafe { (host.timer().close)(timer) };
                code
            }
        };
        WAITED.lock().unwrap().push(code);
        Err(code)
    }
}

#[test]
fn a_client_that_leaves_ends_whatever_its_thread_waits_for() {
    for (count, path) in ["/body", "/whole", "/gone", "/upstream", "/timer"]
        .into_iter()
        .enumerate()
    {
        let host = FakeHost::new().manual_time();
        let run = run::<Waits>(host.answers_by(|_| Box::pin(std::future::pending())));
        let ((body, feed), cx) = (feed(), run.host.context());

        let mut asking = run
            .handler()
            .handle(&cx, request("POST", path).body(body).into());
        assert!(poll_once(&mut asking).is_pending());
        until(|| WAITING.load(Ordering::SeqCst) == count + 1);
        drop(asking);

        until(|| WAITED.lock().unwrap().len() == count + 1);
        assert_eq!(WAITED.lock().unwrap()[count], E_CANCELLED, "{path}");
        drop((cx, feed));
        run.end_well();
    }
}

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
        assert_eq!(
            aurora_sdk::testing::read(run.host.wait(asking).unwrap()).text(),
            "0"
        );
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

struct Ends;

impl c::Plugin for Ends {
    const FLAGS: u32 = BLOCKING;

    fn handle(_: Host, req: Req) -> Result<Task, Rc> {
        let (_, info) = req.info();
        match c::bytes(info.path).as_slice() {
            b"/panic" => Err(E_PANIC),
            b"/well" => Err(OK),
            b"/empty" => Err(req.head(204, &[])),
            b"/late" => {
                req.head(200, &[]);
                req.write(WAIT, b"some");
                Err(E_UPSTREAM)
            }
            _ => {
                let fault = Fault {
                    size: u32::try_from(size_of::<Fault>()).unwrap(),
                    code: 0,
                    kind: 8,
                    origin: 2,
                    status: 0,
                    flags: 0,
                    reserved: 0,
                    retry_after_ms: 2500,
                    word: Str::text("slow_down"),
                    message: Str::text("too fast"),
                    param: Str::EMPTY,
                    cause: Str::EMPTY,
                };
                req.fail(&fault);
                Err(E_UPSTREAM)
            }
        }
    }
}

#[test]
fn codes_and_words_of_a_thread_arrive() {
    let run = run::<Ends>(FakeHost::new());
    let code = |path: &str| {
        let error = run.ask(request("GET", path)).unwrap_err();
        (error.status().as_u16(), error.code().to_owned())
    };

    assert_eq!(code("/panic"), (500, "plugin_failed".to_owned()));
    assert_eq!(code("/well"), (500, "plugin_error".to_owned()));
    assert_eq!(code("/fault"), (429, "slow_down".to_owned()));
    assert_eq!(
        run.ask(request("GET", "/empty")).unwrap().status.as_u16(),
        204
    );
    let late = run.ask(request("GET", "/late")).unwrap();
    assert_eq!(
        (late.text().as_str(), late.broken.unwrap().status().as_u16()),
        ("some", 502)
    );
    assert_eq!(run.end(), [Notice::Panicked]);
}

struct Forwards;

impl c::Plugin for Forwards {
    const FLAGS: u32 = BLOCKING;

    fn handle(host: Host, req: Req) -> Result<Task, Rc> {
        let (opened, fetch) = host.open(req, HTTP_STREAM_BODY);
        assert_eq!(opened, OK);
        let http = host.http();
        for _ in 0..100 {
            // SAFETY: the exchange is open, and the data is there for the call.
            let code = unsafe { (http.body_write)(fetch, WAIT, Str::of(&[1; 5000])) };
            assert_eq!(code, OK);
        }
        let mut status = 0;
        // SAFETY: as above.
        let codes = unsafe {
            [
                (http.body_end)(fetch),
                (http.head_poll)(fetch, WAIT, &raw mut status),
            ]
        };
        assert_eq!(codes, [OK; 2]);
        req.head(status, &[]);
        req.write(WAIT, b"before, ");
        Err(req.forward(fetch))
    }
}

#[test]
fn a_thread_uploads_and_hands_the_answer_on() {
    let host = FakeHost::new().answers_by(|request| {
        Box::pin(async move {
            let read = request.body.read_all(1 << 20).await?.len();
            let mut response = Response::new("a/b", pieces(vec![Ok("and "), Ok("after")]));
            assert_eq!(read, 500_000);
            response.status = http::StatusCode::ACCEPTED;
            Ok(response)
        })
    });
    let run = run::<Forwards>(host);

    let answer = run.ask(request("GET", "/")).unwrap();

    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (202, "before, and after")
    );
    run.end_well();
}

/// Uses everything that can be waited for.
struct Services;

impl c::Plugin for Services {
    const FLAGS: u32 = BLOCKING;

    fn handle(host: Host, req: Req) -> Result<Task, Rc> {
        let mut codes = Vec::new();
        let (state, mut op, mut value) = (host.state(), std::ptr::null_mut(), Str::EMPTY);
        // SAFETY: everything is there for its call, and each operation is closed once.
        unsafe {
            codes.push((state.put)(
                host.0,
                Str::text("k"),
                Str::text("v"),
                1000,
                &raw mut op,
            ));
            codes.push((state.poll)(op, WAIT, &raw mut value));
            (state.close)(op);
            codes.push((state.get)(host.0, Str::text("k"), &raw mut op));
            codes.push((state.poll)(op, WAIT, &raw mut value));
            assert_eq!(c::bytes(value), b"v");
            (state.close)(op);
            codes.push((state.get)(host.0, Str::text("none"), &raw mut op));
            codes.push((state.poll)(op, WAIT, &raw mut value));
            (state.close)(op);
        }
        let (tasks, mut join, mut ended) = (host.task(), std::ptr::null_mut(), 0);
        unsafe extern "C" fn work(argument: *mut std::ffi::c_void) -> Rc {
            i32::try_from(argument.addr()).unwrap()
        }
        // SAFETY: as above.
        unsafe {
            let argument = std::ptr::without_provenance_mut(42);
            codes.push((tasks.offload)(host.0, Some(work), argument, &raw mut join));
            codes.push((tasks.join_poll)(join, WAIT, &raw mut ended));
            codes.push(ended);
            (tasks.join_close)(join);
            let task = c::task(|_| 7);
            codes.push((tasks.spawn)(host.0, Str::text("t"), task, &raw mut join));
            codes.push((tasks.join_poll)(join, WAIT, &raw mut ended));
            codes.push(ended);
            (tasks.join_close)(join);
        }
        let (call, mut open, mut json) = (host.call(), std::ptr::null_mut(), Str::EMPTY);
        let mut asked = CallReq {
            size: u32::try_from(size_of::<CallReq>()).unwrap(),
            flags: 0,
            operation: CALL_MODELS,
            reserved: 0,
            json: Str::text("{}"),
            file_name: Str::EMPTY,
            file_type: Str::EMPTY,
            file: Buf::EMPTY,
        };
        // SAFETY: as above.
        unsafe {
            codes.push((call.start)(host.0, req.0, &raw mut asked, &raw mut open));
            codes.push((call.accepted_poll)(open, WAIT));
            codes.push((call.event_poll)(open, WAIT, &raw mut json));
            assert!(c::bytes(json).starts_with(b"{"));
            codes.push((call.event_poll)(open, WAIT, &raw mut json));
            (call.close)(open);
        }
        Err(req.say(&codes))
    }
}

#[test]
fn whatever_takes_a_waker_waits_without_one() {
    let run = run::<Services>(FakeHost::new());

    let answer = run.ask(request("GET", "/")).unwrap();

    assert_eq!(answer.text(), "0 0 0 0 0 -9 0 0 42 0 0 7 0 0 0 2");
    run.end_well();
}
