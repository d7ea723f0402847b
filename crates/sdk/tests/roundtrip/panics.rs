//! Panics of a plugin end what they happen in, and nothing else.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll};

use aurora_sdk::abi::export::Export;
use aurora_sdk::abi::import::Notice;
use aurora_sdk::testing::{FakeHost, request};
use aurora_sdk::{
    Body, BoxFuture, BuildError, Context, Error, Handler, Manifest, Plugin, PluginHost, Request,
    Response,
};
use bytes::Bytes;
use futures_util::{Stream, stream};
use serde_json::{Map, Value, json};

use crate::bodies::{pieces, poll_once};
use crate::ground::{Loaded, Of, Run, Serve};

/// Panics where the path says.
#[derive(Default)]
struct Panics;

/// Panics when it is dropped.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::SeqCst);
        assert!(std::thread::panicking(), "{}", self.0);
    }
}

static DROPPED: AtomicUsize = AtomicUsize::new(0);

impl Serve for Panics {
    async fn serve(&self, _: &Context, request: Request) -> Result<Response, Error> {
        match request.path.as_str() {
            "/at-once" => panic!("on purpose: at once"),
            "/with-a-value" => std::panic::panic_any(Bomb("on purpose: the value of a panic")),
            "/in-the-end" => {
                let _bomb = Bomb("on purpose: in the end");
                Response::json(&())
            }
            "/while-waiting" => {
                let _bomb = Bomb("on purpose: while it waits");
                std::future::pending().await
            }
            "/in-the-middle" => {
                let first = stream::once(async { Ok(Bytes::from_static(b"some")) });
                let body = futures_util::StreamExt::chain(first, Panicking);
                Ok(Response::new("a/b", Body::stream(Box::pin(body), None)))
            }
            _ => Response::json(&"fine"),
        }
    }
}

struct Panicking;

impl Stream for Panicking {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        panic!("on purpose: in the middle")
    }
}

#[test]
fn a_panic_before_the_answer_is_a_500_and_noticed() {
    let run = Run::new::<Panics>(FakeHost::new());

    for (count, path) in ["/at-once", "/with-a-value", "/in-the-end"]
        .into_iter()
        .enumerate()
    {
        let error = run.ask(request("GET", path)).unwrap_err();

        assert_eq!(
            (error.status().as_u16(), error.code()),
            (500, "plugin_failed"),
            "{path}"
        );
        assert_eq!(run.watch.panics(), count + 1, "{path}");
    }
    // Others are served.
    assert_eq!(run.ask(request("GET", "/")).unwrap().json(), json!("fine"));
    assert_eq!(run.end(), [Notice::Panicked; 3]);
}

#[test]
fn a_panic_in_the_middle_of_an_answer_breaks_it_off() {
    let run = Run::new::<Panics>(FakeHost::new());

    let answer = run.ask(request("GET", "/in-the-middle")).unwrap();

    let error = answer.broken.as_ref().unwrap();
    assert_eq!(
        (
            answer.text().as_str(),
            error.code(),
            error.status().as_u16()
        ),
        ("some", "plugin_failed", 500)
    );
    assert_eq!(run.end(), [Notice::Panicked]);
}

#[test]
fn a_panic_after_a_body_that_broke_off_is_a_panic_nonetheless() {
    let run = Run::new::<Swallows>(FakeHost::new());
    let body = pieces(vec![Ok("123"), Ok("45")]);

    let error = run
        .ask(request("POST", "/").body(body).max_body(4))
        .unwrap_err();

    assert_eq!(
        (error.status().as_u16(), error.code()),
        (500, "plugin_failed")
    );
    assert_eq!(run.end(), [Notice::Panicked]);
}

/// Reads a body, and panics whatever comes of it.
#[derive(Default)]
struct Swallows;

impl Serve for Swallows {
    async fn serve(&self, _: &Context, mut request: Request) -> Result<Response, Error> {
        let read = request.read().await;
        panic!("on purpose: {}", read.is_err())
    }
}

#[test]
fn a_panic_while_a_task_is_dropped_harms_nobody() {
    let run = Run::new::<Panics>(FakeHost::new());
    let (cx, before) = (run.host.context(), DROPPED.load(Ordering::SeqCst));

    let mut asking = run
        .handler()
        .handle(&cx, request("GET", "/while-waiting").into());
    assert!(poll_once(&mut asking).is_pending());
    drop(asking);

    assert!(DROPPED.load(Ordering::SeqCst) > before);
    assert_eq!(run.ask(request("GET", "/")).unwrap().json(), json!("fine"));
    drop(cx);
    run.end_well();
}

/// Panics while it is built.
#[derive(Default)]
struct Unbuilt;

impl Serve for Unbuilt {
    fn built(self, _: &Arc<dyn PluginHost>, _: &Map<String, Value>) -> Result<Self, BuildError> {
        panic!("on purpose: while it is built")
    }

    async fn serve(&self, _: &Context, _: Request) -> Result<Response, Error> {
        Response::json(&())
    }
}

#[test]
fn a_panic_while_a_plugin_is_built_refuses_it_and_is_noticed() {
    let loaded = Loaded::export::<Of<Unbuilt>>();
    let watch = Arc::clone(&loaded.watch);

    let error = Run::with_options(loaded, FakeHost::new(), &json!({}))
        .err()
        .unwrap();

    assert_eq!(error.message, "it panicked");
    assert_eq!(watch.notices(), [Notice::Panicked]);
}

/// A handler all of whose other functions panic.
struct Fragile(bool);

impl Handler for Fragile {
    fn handle<'a>(&'a self, _: &'a Context, _: Request) -> BoxFuture<'a, Result<Response, Error>> {
        panic!("on purpose: before there is a future")
    }

    fn is_public(&self) -> bool {
        panic!("on purpose: is it public?")
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { panic!("on purpose: while it is probed") })
    }

    fn drain(&self) {
        panic!("on purpose: while it is drained")
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        self.0 = true;
        panic!("on purpose: while it is destroyed")
    }
}

impl Export for Fragile {
    fn plugin() -> Box<dyn Plugin> {
        struct Maker;
        impl Plugin for Maker {
            fn manifest(&self) -> Manifest {
                Manifest::handler("fragile", "1.0.0")
            }

            fn build(
                &self,
                _: &Arc<dyn PluginHost>,
                _: &Map<String, Value>,
            ) -> Result<Box<dyn Handler>, BuildError> {
                Ok(Box::new(Fragile(false)))
            }
        }
        Box::new(Maker)
    }
}

#[test]
fn a_panic_in_any_other_function_harms_nobody() {
    let run = Run::of(Loaded::export::<Fragile>(), FakeHost::new());

    assert!(!run.handler().is_public());
    assert_eq!(
        run.ask(request("GET", "/")).unwrap_err().code(),
        "plugin_failed"
    );
    let probed = run.host.wait(run.handler().probe());
    assert_eq!(probed.unwrap_err().status().as_u16(), 500);
    run.handler().drain();
    // And it is destroyed here.
    assert_eq!(run.end(), [Notice::Panicked; 2]);
}
