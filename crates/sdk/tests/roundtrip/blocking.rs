//! Plugins that block a thread for each request.

mod services;
mod threads;

use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use aurora_sdk::abi::import::Notice;
use aurora_sdk::abi::raw::{
    BLOCKING, E_CANCELLED, E_PANIC, E_UPSTREAM, EOF, Fault, HTTP_STREAM_BODY, OK, Rc, Str, Task,
    Waker,
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
