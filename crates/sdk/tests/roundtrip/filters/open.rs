//! What a filter has open, and what it keeps.

use std::sync::Mutex;
use std::time::Duration;

use aurora_sdk::testing::{FakeHost, request};
use aurora_sdk::{
    Body, BoxFuture, Context, Error, Filter, Operation, Pass, Request, Response, UpstreamRequest,
};
use http::{HeaderMap, Method};

use super::{Filtering, answer};
use crate::bodies::{pieces, poll_once};
use crate::ground::{Between, Loaded};

/// Waits while it looks at a request, and holds things open meanwhile.
#[derive(Default)]
struct Waits;

struct Waiting {
    cx: Context,
    kept: Option<Response>,
}

impl Filter for Waits {
    fn begin(&self, cx: &Context) -> Box<dyn Pass> {
        Box::new(Waiting {
            cx: cx.clone(),
            kept: None,
        })
    }
}

impl Pass for Waiting {
    fn request<'a>(
        &'a mut self,
        request: &'a mut Request,
    ) -> BoxFuture<'a, Result<Option<Response>, Error>> {
        Box::pin(async move {
            let ask = |path: &str| UpstreamRequest {
                operation: Operation::Other,
                method: Method::GET,
                path: path.to_owned(),
                headers: HeaderMap::new().into(),
                body: Body::empty(),
                model: None,
            };
            self.kept = Some(self.cx.host().send(ask("first")).await?);
            if request.path == "/answers" {
                return Ok(Some(Response::new("a/b", pieces(vec![Ok("own")]))));
            }
            self.cx.host().send(ask("second")).await?;
            Ok(None)
        })
    }
}

fn upstreams() -> FakeHost {
    FakeHost::new().answers_by(|request| {
        Box::pin(async move {
            if request.path == "second" {
                return std::future::pending().await;
            }
            Ok(Response::new(
                "a/b",
                Body::stream(Box::pin(futures_util::stream::pending()), None),
            ))
        })
    })
}

#[test]
fn a_client_that_leaves_while_a_filter_looks_at_its_request_leaves_nothing_open() {
    let run = Filtering::of(Loaded::export::<Between<Waits>>(), upstreams());
    let (cx, mut asked) = (run.host.context(), request("GET", "/waits").into());
    let mut pass = run.filter.begin(&cx);

    let mut looking = pass.request(&mut asked);
    assert!(poll_once(&mut looking).is_pending());
    drop(looking);

    drop((pass, cx));
    assert_eq!(run.end(), []);
}

#[test]
fn what_a_filter_has_open_lives_as_long_as_its_own_answer() {
    let run = Filtering::of(Loaded::export::<Between<Waits>>(), upstreams());

    let passed = run.pass(request("GET", "/answers"), answer()).unwrap();

    assert_eq!(passed.answer.text(), "own");
    assert_eq!(run.end(), []);
}

/// Keeps what it was given beyond its request.
#[derive(Default)]
struct Remembers;

static REMEMBERED: Mutex<Option<Context>> = Mutex::new(None);

impl Filter for Remembers {
    fn begin(&self, cx: &Context) -> Box<dyn Pass> {
        struct Through;
        impl Pass for Through {}
        *REMEMBERED.lock().unwrap() = Some(cx.clone());
        Box::new(Through)
    }
}

#[test]
fn what_a_filter_keeps_of_a_request_does_nothing_more_when_the_answer_has_ended() {
    let run = Filtering::new::<Remembers>();

    run.pass(request("GET", "/"), answer()).unwrap();
    let cx = REMEMBERED.lock().unwrap().take().unwrap();
    cx.host().usage("late", 1);
    cx.host().keep_running(Duration::from_secs(1));

    assert_eq!(
        (&*cx.client().name, run.host.used(), run.host.kept_running()),
        ("anonymous", vec![], None)
    );
    drop(cx);
    assert_eq!(run.end(), []);
}
