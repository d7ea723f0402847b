//! Bodies that plugins make.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aurora_sdk::testing::{FakeHost, request};
use aurora_sdk::{Body, Context, Error, Request, Response, UpstreamRequest};
use bytes::Bytes;
use futures_util::stream;
use http::HeaderMap;
use serde_json::json;

use super::{Told, ask};
use crate::answers::{full, refusal};
use crate::bodies::poll_once;
use crate::ground::{Run, Serve};
use crate::wakers::chance::Gates;

/// Sends a body that it makes piece by piece, and tells what the upstream said.
#[derive(Default)]
struct Uploads;

impl Serve for Uploads {
    async fn serve(&self, cx: &Context, request: Request) -> Result<Response, Error> {
        let count: usize = request.path.trim_start_matches('/').parse().unwrap();
        let made = (0..count).map(|index| {
            // The last one breaks off where a query says so.
            if request.query.is_some() && index == count - 1 {
                return Err(refusal());
            }
            Ok(Bytes::from(vec![1; 1000]))
        });
        let body = stream::iter(made.collect::<Vec<_>>());
        let body = Body::stream(Box::pin(body), Some(1000 * count as u64));
        let response = cx.host().send(ask(HeaderMap::new().into(), body)).await?;
        Ok(Response::new("a/b", response.body.read_all(1 << 20).await?))
    }
}

/// An upstream that says how much it read.
async fn measure(mut request: UpstreamRequest, max: usize) -> Result<Response, Error> {
    let (length, mut read) = (request.body.length(), 0);
    while read < max
        && let Some(piece) = request.body.chunk().await.transpose()?
    {
        read += piece.len();
    }
    Response::json(&json!([length, read]))
}

#[test]
fn a_body_that_a_plugin_makes_is_streamed_to_the_upstream() {
    let host = FakeHost::new().answers_by(|request| Box::pin(measure(request, usize::MAX)));
    let run = Run::new::<Uploads>(host);

    for count in [0, 1, 64, 66, 300] {
        let answer = run.ask(request("POST", &format!("/{count}"))).unwrap();

        assert_eq!(answer.json(), json!([1000 * count, 1000 * count]));
    }
    run.end_well();
}

#[test]
fn an_upstream_that_answers_before_it_read_all_is_heard() {
    let host = FakeHost::new().answers_by(|request| Box::pin(measure(request, 70_000)));
    let run = Run::new::<Uploads>(host);

    let answer = run.ask(request("POST", "/300")).unwrap();

    // What was copied while nobody read comes as one piece.
    let read = answer.json()[1].as_u64().unwrap();
    assert!((70_000..=140_000).contains(&read), "{read}");
    run.end_well();
}

#[test]
fn a_body_that_breaks_off_on_the_way_breaks_the_request_off() {
    let seen = Arc::new(Mutex::new(None));
    let told = Arc::clone(&seen);
    let host = FakeHost::new().answers_by(move |request| {
        let told = Arc::clone(&told);
        Box::pin(async move {
            let held = Told(told);
            let answer = measure(request, usize::MAX).await;
            *held.0.lock().unwrap() = Some("ended");
            answer
        })
    });
    let run = Run::new::<Uploads>(host);

    let error = run.ask(request("POST", "/70?broken")).unwrap_err();

    assert_eq!(full(&error), full(&refusal()));
    assert_eq!(*seen.lock().unwrap(), Some("dropped"));
    run.end_well();
}

static MADE: AtomicUsize = AtomicUsize::new(0);

/// Sends a body without an end.
#[derive(Default)]
struct Endless;

impl Serve for Endless {
    async fn serve(&self, cx: &Context, _: Request) -> Result<Response, Error> {
        let body = stream::repeat_with(|| {
            MADE.fetch_add(1, Ordering::Relaxed);
            Ok(Bytes::from(vec![1; 1000]))
        });
        let body = Body::stream(Box::pin(body), None);
        cx.host().send(ask(HeaderMap::new().into(), body)).await
    }
}

#[test]
fn an_upstream_that_reads_slowly_slows_the_plugin_down() {
    let read = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&read);
    let gates = Gates::default();
    let turns = gates.clone();
    let run = Run::new::<Endless>(FakeHost::new().answers_by(move |mut request| {
        let (counted, turns) = (Arc::clone(&counted), turns.clone());
        Box::pin(async move {
            for turn in 0.. {
                turns.pass(&turn.to_string()).await;
                let piece = request.body.chunk().await.unwrap()?;
                counted.fetch_add(piece.len(), Ordering::Relaxed);
            }
            Response::json(&())
        })
    }));
    let cx = run.host.context();

    let mut asking = run.handler().handle(&cx, request("POST", "/").into());
    for turn in 0..10 {
        for _ in 0..3 {
            assert!(poll_once(&mut asking).is_pending());
        }
        let ahead = MADE.load(Ordering::Relaxed) * 1000 - read.load(Ordering::Relaxed);
        assert!((64 * 1024..=64 * 1024 + 2000).contains(&ahead), "{ahead}");
        gates.open(&turn.to_string());
    }

    drop(asking);
    drop(cx);
    run.end_well();
}
