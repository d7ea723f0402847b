//! What upstreams say, beyond the request that they were asked in.

use std::sync::{Arc, Mutex};

use aurora_sdk::testing::{FakeHost, request};
use aurora_sdk::{Body, BuildError, Context, Error, Level, PluginHost, Request, Response};
use serde_json::{Map, Value};

use super::ask;
use crate::bodies::feed;
use crate::ground::{Ground, Run, Serve};

/// Keeps an upstream's answer of one request for the next.
#[derive(Default)]
struct Keeps {
    ground: Ground,
    kept: Mutex<Option<Body>>,
}

impl Serve for Keeps {
    fn built(
        mut self,
        host: &Arc<dyn PluginHost>,
        _: &Map<String, Value>,
    ) -> Result<Self, BuildError> {
        self.ground = Ground::of(host);
        Ok(self)
    }

    async fn serve(&self, cx: &Context, request: Request) -> Result<Response, Error> {
        let response = match request.path.as_str() {
            "/keep" => {
                let response = cx.host().send(ask(request.headers, request.body)).await?;
                *self.kept.lock().unwrap() = Some(response.body);
                return Ok(Response::new("a/b", "kept".to_owned()));
            }
            "/give" => Response::new("a/b", self.kept.lock().unwrap().take().unwrap()),
            _ => {
                let response = cx.host().send(ask(request.headers, request.body)).await?;
                let cx = cx.clone();
                self.ground.spawn(
                    "drain",
                    Box::pin(async move {
                        let read = response.body.read_all(100).await.unwrap();
                        cx.host()
                            .log(Level::Info, std::str::from_utf8(&read).unwrap());
                    }),
                );
                Response::new("a/b", "drained".to_owned())
            }
        };
        Ok(response)
    }
}

#[test]
fn what_an_upstream_says_can_be_kept_beyond_the_request_that_it_was_asked_in() {
    let (body, upstream) = feed();
    let run = Run::new::<Keeps>(FakeHost::new().answers(Response::new("a/b", body)));

    assert_eq!(run.ask(request("GET", "/keep")).unwrap().text(), "kept");
    assert!(!upstream.is_gone());
    upstream.send("late");
    upstream.end();

    assert_eq!(run.ask(request("GET", "/give")).unwrap().text(), "late");
    assert!(upstream.is_gone());
    run.end_well();
}

#[test]
fn what_an_upstream_says_can_be_read_in_the_background() {
    let (body, upstream) = feed();
    let run = Run::new::<Keeps>(FakeHost::new().answers(Response::new("a/b", body)));

    assert_eq!(run.ask(request("GET", "/drain")).unwrap().text(), "drained");
    assert_eq!(run.host.tasks(), 1);
    upstream.send("late");
    upstream.end();
    run.host.work();

    assert_eq!(run.host.logged()[0].1, "late");
    assert!(upstream.is_gone());
    run.end_well();
}

#[test]
fn what_is_kept_goes_when_the_plugin_goes() {
    let (body, upstream) = feed();
    let run = Run::new::<Keeps>(FakeHost::new().answers(Response::new("a/b", body)));

    run.ask(request("GET", "/keep")).unwrap();
    run.end_well();

    assert!(upstream.is_gone());
}
