//! Exchanges with upstreams.

mod kept;
mod uploads;

use std::sync::{Arc, Mutex};

use aurora_sdk::testing::{FakeHost, request};
use aurora_sdk::{
    Body, BuildError, Context, Error, Headers, Operation, PluginHost, Request, Response,
    UpstreamRequest,
};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Map, Value, json};

use crate::answers::{full, refusal};
use crate::bodies::{feed, pieces, poll_once};
use crate::ground::{Ground, Run, Serve};

/// What is asked of an upstream here.
fn ask(headers: Headers, body: Body) -> UpstreamRequest {
    UpstreamRequest {
        operation: Operation::Files,
        method: Method::PUT,
        path: "files?a=1".to_owned(),
        headers,
        body,
        model: Some("small".to_owned()),
    }
}

/// Hands a request on as it came.
#[derive(Default)]
struct Relays;

impl Serve for Relays {
    async fn serve(&self, cx: &Context, request: Request) -> Result<Response, Error> {
        cx.host().send(ask(request.headers, request.body)).await
    }
}

#[test]
fn an_upstreams_answer_goes_to_the_client_and_never_through_the_plugin() {
    let (body, upstream) = feed();
    let mut response = Response::new("text/plain", Body::stream(body.into_stream(), Some(9)));
    response
        .headers
        .insert("x-upstream", "yes".parse().unwrap());
    let run = Run::new::<Relays>(FakeHost::new().answers(response));

    let mut answer = run.begin(request("PUT", "/")).unwrap();
    assert_eq!(
        (answer.body.length(), &answer.headers["x-upstream"]),
        (Some(9), &HeaderValue::from_static("yes"))
    );
    // Nobody has asked the upstream for anything, and its bytes are not copied.
    assert_eq!(upstream.polls(), 0);
    let piece = Bytes::from(vec![b'x'; 9]);
    upstream.send(piece.clone());
    upstream.end();
    let Some(Ok(read)) = run.host.wait(answer.body.chunk()) else {
        panic!("there is a piece");
    };
    assert_eq!((read.as_ptr(), read.len()), (piece.as_ptr(), 9));
    assert!(run.host.wait(answer.body.chunk()).is_none());
    assert_eq!(upstream.polls(), 2);
    drop(answer);
    run.end_well();
}

#[test]
fn an_upstreams_answer_that_breaks_off_says_so_to_the_client() {
    let response = Response::new("a/b", pieces(vec![Ok("some"), Err(refusal())]));
    let run = Run::new::<Relays>(FakeHost::new().answers(response));

    let answer = run.ask(request("PUT", "/")).unwrap();

    assert_eq!(
        (answer.text().as_str(), full(&answer.broken.unwrap())),
        ("some", full(&refusal()))
    );
    run.end_well();
}

#[test]
fn a_clients_own_headers_and_body_go_to_the_upstream_as_they_are() {
    let piece = Bytes::from(vec![b'x'; 3]);
    let sent = piece.clone();
    let host = FakeHost::new().answers_by(move |mut request| {
        let sent = sent.clone();
        Box::pin(async move {
            assert_eq!(request.body.length(), Some(3));
            let first = request.body.chunk().await.unwrap()?;
            assert_eq!(first.as_ptr(), sent.as_ptr(), "it was copied");
            assert!(request.body.chunk().await.is_none());
            Ok(Response::new("a/b", "done".to_owned()))
        })
    });
    let run = Run::new::<Relays>(host);
    let body = Body::stream(Box::pin(stream::iter([Ok(piece)])), Some(3));
    let request = request("PUT", "/")
        .header("x-a", "1")
        .header("x-a", "2")
        .body(body);

    assert_eq!(run.ask(request).unwrap().text(), "done");

    let sent = &run.host.sent()[0];
    assert_eq!(
        (sent.operation, &sent.method, sent.path.as_str()),
        (Operation::Files, &Method::PUT, "files?a=1")
    );
    assert_eq!(
        (sent.model.as_deref(), sent.upstream.as_deref()),
        (Some("small"), None)
    );
    assert_eq!(
        sent.headers.get_all("x-a").iter().collect::<Vec<_>>(),
        ["1", "2"]
    );
    run.end_well();
}

/// Changes what it hands on.
#[derive(Default)]
struct Changes;

impl Serve for Changes {
    async fn serve(&self, cx: &Context, mut request: Request) -> Result<Response, Error> {
        request.headers.insert("x-a", "changed".parse().unwrap());
        request.headers.remove("x-b");
        let mut ask = ask(request.headers, "changed as well".to_owned().into());
        ask.model = None;
        cx.host().send(ask).await
    }
}

#[test]
fn changed_headers_and_another_body_go_to_the_upstream_in_place_of_the_clients() {
    let run = Run::new::<Changes>(FakeHost::new().answers(Response::new("a/b", Body::empty())));
    let request = request("PUT", "/")
        .header("x-a", "1")
        .header("x-b", "2")
        .header("x-c", "3");

    run.ask(request.body("text".to_owned())).unwrap();

    let sent = &run.host.sent()[0];
    assert_eq!(
        (
            &sent.headers["x-a"],
            &sent.headers["x-c"],
            sent.headers.len()
        ),
        (&"changed".parse().unwrap(), &"3".parse().unwrap(), 2)
    );
    assert_eq!(
        (sent.body.as_ref(), sent.model.as_deref()),
        (b"changed as well".as_slice(), None)
    );
    run.end_well();
}

/// Tells when it is dropped.
struct Told(Arc<Mutex<Option<&'static str>>>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.lock().unwrap().get_or_insert("dropped");
    }
}

#[test]
fn an_upstream_that_cannot_be_reached_is_told_in_full() {
    let run = Run::new::<Relays>(FakeHost::new().fails(refusal()));

    let error = run.ask(request("PUT", "/")).unwrap_err();

    assert_eq!(full(&error), full(&refusal()));
    run.end_well();
}

#[test]
fn a_client_that_leaves_ends_what_was_asked_of_an_upstream() {
    let seen = Arc::new(Mutex::new(None));
    let told = Arc::clone(&seen);
    let host = FakeHost::new().answers_by(move |_| {
        let told = Told(Arc::clone(&told));
        Box::pin(async move {
            let _held = told;
            std::future::pending().await
        })
    });
    let run = Run::new::<Relays>(host);
    let cx = run.host.context();

    let mut asking = run.handler().handle(&cx, request("PUT", "/").into());
    assert!(poll_once(&mut asking).is_pending());
    assert_eq!(*seen.lock().unwrap(), None);
    drop(asking);

    assert_eq!(*seen.lock().unwrap(), Some("dropped"));
    drop(cx);
    run.end_well();
}

/// Reads what an upstream says, and tells it.
#[derive(Default)]
struct Reads;

impl Serve for Reads {
    async fn serve(&self, cx: &Context, request: Request) -> Result<Response, Error> {
        let mut response = cx.host().send(ask(request.headers, request.body)).await?;
        let head = (response.status.as_u16(), response.body.length());
        let header = response.headers["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        let mut read = Vec::new();
        let mut broken = None;
        while let Some(piece) = response.body.chunk().await {
            match piece {
                Ok(piece) => read.push(piece.len()),
                Err(error) => broken = Some(error.code().to_owned()),
            }
        }
        Response::json(&json!([head, header, read, broken]))
    }
}

#[test]
fn a_plugin_can_read_what_an_upstream_says() {
    let large = Bytes::from(vec![1; 10_000]);
    let body = [Ok(Bytes::from_static(b"small")), Ok(large), Err(refusal())];
    let mut response = Response::new(
        "text/plain",
        Body::stream(Box::pin(stream::iter(body)), Some(5)),
    );
    response.status = http::StatusCode::NOT_FOUND;
    let run = Run::new::<Reads>(FakeHost::new().answers(response));

    let answer = run.ask(request("PUT", "/")).unwrap();

    assert_eq!(
        answer.json(),
        json!([[404, 5], "text/plain", [5, 10_000], "slow_down"])
    );
    run.end_well();
}

/// Asks an upstream that is not the route's.
#[derive(Default)]
struct Elsewhere(Ground);

impl Serve for Elsewhere {
    fn built(self, host: &Arc<dyn PluginHost>, _: &Map<String, Value>) -> Result<Self, BuildError> {
        Ok(Self(Ground::of(host)))
    }

    async fn serve(&self, _: &Context, request: Request) -> Result<Response, Error> {
        let ask = ask(HeaderMap::new().into(), request.body);
        self.0.send(&request.path, ask).await
    }
}

#[test]
fn an_upstream_of_another_name_is_asked_where_the_operator_allows_it() {
    let host = FakeHost::new()
        .grants("/other")
        .answers(Response::new("a/b", pieces(vec![Ok("yes")])));
    let run = Run::new::<Elsewhere>(host);

    let answer = run
        .ask(request("POST", "/other").body("x".to_owned()))
        .unwrap();
    assert_eq!(answer.text(), "yes");
    let sent = &run.host.sent()[0];
    assert_eq!(
        (sent.upstream.as_deref(), sent.body.as_ref()),
        (Some("/other"), b"x".as_slice())
    );

    let error = run.ask(request("POST", "/third")).unwrap_err();
    assert_eq!(
        (error.status().as_u16(), error.code()),
        (403, "plugin_denied")
    );
    run.end_well();
}

/// Tells what it knows of upstreams without asking them.
#[derive(Default)]
struct Knows;

impl Serve for Knows {
    async fn serve(&self, cx: &Context, _: Request) -> Result<Response, Error> {
        Response::json(&json!([
            cx.host().native(Operation::Chat),
            cx.host().routes_by_model()
        ]))
    }
}

#[test]
fn a_plugin_knows_what_its_upstreams_speak() {
    for (native, by_model) in [(true, true), (true, false), (false, true)] {
        let run = Run::new::<Knows>(FakeHost::new().native(native).routes_by_model(by_model));

        assert_eq!(
            run.ask(request("GET", "/")).unwrap().json(),
            json!([native, by_model])
        );
        run.end_well();
    }
}
