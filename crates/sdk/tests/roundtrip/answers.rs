//! Requests and answers.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use aurora_sdk::testing::{FakeHost, read, request};
use aurora_sdk::{Body, Context, Error, ErrorKind, Origin, Request, Response};
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::StatusCode;
use serde_json::json;

use crate::bodies::{feed, pieces, poll};
use crate::ground::{Run, Serve};

#[derive(Default)]
struct Plain;

impl Serve for Plain {
    async fn serve(&self, _: &Context, _: Request) -> Result<Response, Error> {
        let mut response = Response::json(&json!({ "hello": "world" }))?;
        response.status = StatusCode::CREATED;
        response.headers.append("x-twice", "1".parse().unwrap());
        response.headers.append("x-twice", "2".parse().unwrap());
        response
            .headers
            .insert("content-length", "99".parse().unwrap());
        Ok(response)
    }
}

#[test]
fn a_whole_answer_arrives_as_it_was_given_and_is_framed_by_the_host() {
    let run = Run::new::<Plain>(FakeHost::new());

    let response = run.begin(request("GET", "/")).unwrap();

    assert_eq!(response.body.length(), Some(17));
    let answer = read(response);
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (201, r#"{"hello":"world"}"#)
    );
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.headers.get_all("x-twice").iter().count(), 2);
    assert_eq!(answer.header("content-length"), None);
    run.end_well();
}

#[derive(Default)]
struct Tells;

impl Serve for Tells {
    async fn serve(&self, cx: &Context, mut request: Request) -> Result<Response, Error> {
        let header = |name| {
            request
                .headers
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let params: Vec<_> = cx.params().iter().collect();
        let told = json!({
            "method": request.method.as_str(),
            "path": request.path,
            "query": request.query,
            "first": header("x-first"),
            "count": request.headers.len(),
            "value": request.headers.value("x-second").map(<[u8]>::len),
            "max_body": request.max_body,
            "length": request.body.length(),
            "type": request.content_type(),
            "request": cx.request_id(),
            "route": &*cx.host().facts().route,
            "client": &*cx.client().name,
            "owner": &*cx.client().owner,
            "params": params,
            "stream": cx.stream(),
            "body": String::from_utf8_lossy(&request.read().await?),
        });
        Response::json(&told)
    }
}

#[test]
fn a_plugin_sees_all_of_a_request() {
    let host = FakeHost::new()
        .client("ann")
        .request_id("req-7")
        .route("/files/{id}/{*rest}")
        .param("id", "ü")
        .param("rest", "a/b")
        .stream(false);
    let run = Run::new::<Tells>(host);
    let request = request("POST", "/files/%C3%BC/a/b?x=1&y")
        .header("X-First", "one")
        .header("x-first", "two")
        .header("x-second", "three")
        .json("hi")
        .max_body(77);

    let answer = run.ask(request).unwrap();

    let expected = json!({
        "method": "POST", "path": "/files/%C3%BC/a/b", "query": "x=1&y", "first": "one", "count": 4, "value": 5,
        "max_body": 77, "length": 4, "type": "application/json", "request": "req-7", "route": "/files/{id}/{*rest}",
        "client": "ann", "owner": "ann", "params": [["id", "ü"], ["rest", "a/b"]], "stream": false, "body": "\"hi\"",
    });
    assert_eq!(answer.json(), expected);
    run.end_well();
}

#[test]
fn no_query_and_an_empty_one_are_told_apart() {
    let run = Run::new::<Tells>(FakeHost::new());

    let queries = ["/", "/?", "/?a"]
        .map(|path| run.ask(request("GET", path)).unwrap().json()["query"].clone());

    assert_eq!(queries, [json!(null), json!(""), json!("a")]);
    run.end_well();
}

#[derive(Default)]
struct Echo;

impl Serve for Echo {
    async fn serve(&self, _: &Context, request: Request) -> Result<Response, Error> {
        Ok(Response::new("application/octet-stream", request.body))
    }
}

#[test]
fn a_body_goes_through_a_plugin_piece_by_piece() {
    let run = Run::new::<Echo>(FakeHost::new());
    let body = pieces(vec![Ok("one, "), Ok(""), Ok("two, "), Ok("three")]);

    let answer = run.ask(request("POST", "/").body(body)).unwrap();

    assert_eq!(
        (answer.text().as_str(), answer.broken.is_none()),
        ("one, two, three", true)
    );
    run.end_well();
}

#[test]
fn a_body_of_many_sizes_goes_through_a_plugin_unchanged() {
    let run = Run::new::<Echo>(FakeHost::new());
    // Small pieces are copied, large ones are moved, and some are larger than what may wait.
    let sizes = [1, 4096, 4097, 70_000, 10, 300_000, 65_536, 0, 5];
    let mut count = 0_u8;
    let pieces: VecDeque<Bytes> = sizes
        .iter()
        .map(|size| {
            count += 1;
            Bytes::from(vec![count; *size])
        })
        .collect();
    let whole = pieces.iter().flatten().copied().collect::<Vec<u8>>();
    let body = Body::stream(Box::pin(stream::iter(pieces.into_iter().map(Ok))), None);

    let answer = run.ask(request("POST", "/").body(body)).unwrap();

    assert!(
        answer.body == whole,
        "{} bytes of {}",
        answer.body.len(),
        whole.len()
    );
    run.end_well();
}

/// Counts what was taken out of it.
struct Counted(usize);

static TAKEN: AtomicUsize = AtomicUsize::new(0);

impl Stream for Counted {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        if self.0 == 0 {
            return Poll::Ready(None);
        }
        self.0 -= 1;
        TAKEN.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Bytes::from(vec![7; 1000]))))
    }
}

#[derive(Default)]
struct Much;

impl Serve for Much {
    async fn serve(&self, _: &Context, _: Request) -> Result<Response, Error> {
        Ok(Response::new(
            "a/b",
            Body::stream(Box::pin(Counted(1000)), None),
        ))
    }
}

#[test]
fn who_does_not_read_stops_the_plugin_at_64_kib() {
    let run = Run::new::<Much>(FakeHost::new());

    let mut response = run.begin(request("GET", "/")).unwrap();
    // What is written crosses in blocks of 4 KiB and the last piece; one may be over the mark, and one wait before it.
    let blocks = 2 * (4096 + 1000);
    assert!((66..=75).contains(&TAKEN.load(Ordering::Relaxed)));
    let mut read = 0;
    while let Some(piece) = run.host.wait(response.body.chunk()) {
        read += piece.unwrap().len();
        let ahead = TAKEN.load(Ordering::Relaxed) * 1000 - read;
        assert!(ahead <= 64 * 1024 + blocks, "{ahead}");
    }

    assert_eq!(read, 1_000_000);
    drop(response);
    run.end_well();
}

/// All that an error says.
pub(crate) fn full(error: &Error) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        error.kind(),
        error.origin(),
        error.code().to_owned(),
        error.status().as_u16(),
        error.message().to_owned(),
        error.param().map(str::to_owned),
        error.retry_after(),
        std::error::Error::source(error).map(ToString::to_string),
    )
}

pub(crate) fn refusal() -> Error {
    Error::new(
        ErrorKind::RateLimited,
        Origin::Upstream,
        "slow_down",
        "too fast, ü",
    )
    .with_status(StatusCode::IM_A_TEAPOT)
    .with_param("messages/0")
    .with_retry_after(Duration::from_millis(1500))
    .with_source("a cause")
}

#[derive(Default)]
struct Refuses;

impl Serve for Refuses {
    async fn serve(&self, _: &Context, request: Request) -> Result<Response, Error> {
        match request.path.as_str() {
            "/early" => Err(refusal()),
            "/late" => Ok(Response::new(
                "a/b",
                pieces(vec![Ok("some"), Err(refusal().told())]),
            )),
            // The head goes out before the body has anything.
            _ => {
                let body = stream::once(async { Err(refusal()) });
                Ok(Response::events(Box::pin(body)))
            }
        }
    }
}

#[test]
fn an_error_before_the_head_keeps_all_that_it_says() {
    let run = Run::new::<Refuses>(FakeHost::new());

    let error = run.ask(request("GET", "/early")).unwrap_err();

    assert_eq!(full(&error), full(&refusal()));
    assert!(!error.is_told());
    run.end_well();
}

#[test]
fn an_error_after_the_head_breaks_the_answer_off_after_what_was_written() {
    let run = Run::new::<Refuses>(FakeHost::new());

    let answer = run.ask(request("GET", "/late")).unwrap();

    let error = answer.broken.as_ref().unwrap();
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (200, "some")
    );
    assert_eq!(full(error), full(&refusal()));
    assert!(error.is_told());
    let answer = run.ask(request("GET", "/at-once")).unwrap();
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, ""));
    assert_eq!(full(&answer.broken.unwrap()), full(&refusal()));
    run.end_well();
}

#[derive(Default)]
struct Reads;

impl Serve for Reads {
    async fn serve(&self, _: &Context, mut request: Request) -> Result<Response, Error> {
        Ok(Response::new("a/b", request.read().await?))
    }
}

#[test]
fn what_is_wrong_with_a_body_is_told_as_the_host_knows_it() {
    let run = Run::new::<Reads>(FakeHost::new());
    let late = || {
        let message = "the request came too slowly: 30 s without a byte";
        Error::new(
            ErrorKind::RequestTimeout,
            Origin::Downstream,
            "request_timeout",
            message,
        )
    };
    let body = pieces(vec![Ok("a"), Err(late())]);

    let error = run.ask(request("POST", "/").body(body)).unwrap_err();
    assert_eq!(full(&error), full(&late()));

    // In the middle of an answer as well.
    let echo = Run::new::<Echo>(FakeHost::new());
    let body = pieces(vec![Ok("a"), Err(late())]);
    let answer = echo.ask(request("POST", "/").body(body)).unwrap();
    assert_eq!(
        (answer.text().as_str(), full(&answer.broken.unwrap())),
        ("a", full(&late()))
    );

    let known = run
        .ask(request("POST", "/").body("12345".to_owned()).max_body(4))
        .unwrap_err();
    assert_eq!(full(&known), full(&Error::too_large(4)));
    let unknown = pieces(vec![Ok("123"), Ok("45")]);
    let unknown = run
        .ask(request("POST", "/").body(unknown).max_body(4))
        .unwrap_err();
    assert_eq!(full(&unknown), full(&Error::too_large(4)));
    run.end_well();
    echo.end_well();
}

#[test]
fn a_client_that_leaves_ends_the_request_wherever_it_is() {
    let run = Run::new::<Echo>(FakeHost::new());
    let (body, feed) = feed();

    let mut response = run.begin(request("POST", "/").body(body)).unwrap();
    feed.send("x");
    assert_eq!(run.host.wait(response.body.chunk()).unwrap().unwrap(), "x");
    assert!(poll(&mut response.body).is_pending());
    drop(response);

    assert!(feed.is_gone());
    run.end_well();
}
