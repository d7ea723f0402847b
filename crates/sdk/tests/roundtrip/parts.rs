//! Headers and bodies of requests that a plugin keeps beyond their tasks.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use aurora_sdk::testing::{FakeHost, TestRequest, request, wait};
use aurora_sdk::{Body, Context, Error, Headers, Request, Response};

use crate::ground::{Run, Serve};

/// Gives its requests away.
#[derive(Default)]
struct Keeps;

struct Kept {
    headers: Headers,
    body: Body,
}

static KEPT: Mutex<Option<Sender<Kept>>> = Mutex::new(None);

/// Tests that share the way out run one after the other.
static ALONE: Mutex<()> = Mutex::new(());

impl Serve for Keeps {
    async fn serve(&self, _: &Context, request: Request) -> Result<Response, Error> {
        let kept = Kept {
            headers: request.headers.clone(),
            body: request.body,
        };
        let way = KEPT.lock().unwrap().clone().unwrap();
        way.send(kept).unwrap_or_default();
        Ok(Response::new("a/b", "kept".to_owned()))
    }
}

fn asked() -> TestRequest {
    request("POST", "/x")
        .header("x-word", "hello")
        .body(vec![b'x'; 100])
}

fn way() -> Receiver<Kept> {
    let (way, kept) = channel();
    *KEPT.lock().unwrap() = Some(way);
    kept
}

#[test]
fn headers_are_there_as_long_as_they_are_kept_and_the_body_breaks_off() {
    let _alone = ALONE.lock().unwrap();
    let (run, kept) = (Run::new::<Keeps>(FakeHost::new()), way());

    assert_eq!(run.ask(asked()).unwrap().text(), "kept");
    let Kept { headers, body } = kept.recv().unwrap();
    let again = headers.clone();
    drop(headers);

    assert_eq!(again.value("x-word"), Some(b"hello".as_slice()));
    assert_eq!(again["x-word"], "hello");
    let broken = wait(body.read_all(1000)).unwrap_err();
    assert_eq!(broken.code(), "client_closed_request");
}

#[test]
fn what_is_kept_may_go_on_any_thread_while_its_task_ends() {
    let _alone = ALONE.lock().unwrap();
    let rounds = if cfg!(miri) { 10 } else { 5000 };
    let (run, kept) = (Run::new::<Keeps>(FakeHost::new()), way());
    let dropping = std::thread::spawn(move || {
        let mut words = 0;
        for Kept { headers, body } in kept {
            words += headers.value("x-word").map_or(0, <[u8]>::len);
            drop(body);
            drop(headers);
        }
        words
    });

    for _ in 0..rounds {
        assert_eq!(run.ask(asked()).unwrap().text(), "kept");
    }

    *KEPT.lock().unwrap() = None;
    assert_eq!(dropping.join().unwrap(), 5 * rounds);
}
