//! Filters.

mod answers;
mod misfits;
mod open;
mod panics;

use std::sync::Mutex;

use aurora_sdk::abi::import::Notice;
use aurora_sdk::testing::{FakeHost, Passed, request};
use aurora_sdk::{
    Body, BoxFuture, Context, End, Error, Event, Filter, Follows, Pass, Plugin as _, Request,
    Response,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, json};

use crate::answers::{full, refusal};
use crate::bodies::{feed, pieces};
use crate::ground::{Between, Loaded};

/// A filter that was loaded, on a host.
pub(crate) struct Filtering {
    pub(crate) host: FakeHost,
    pub(crate) filter: Box<dyn Filter>,
    pub(crate) loaded: Loaded,
}

impl Filtering {
    fn new<F: Filter + Default>() -> Self {
        Self::of(Loaded::export::<Between<F>>(), FakeHost::new())
    }

    pub(crate) fn of(loaded: Loaded, host: FakeHost) -> Self {
        let filter = loaded
            .plugin
            .build_filter(&host.plugin_host(), &Map::new())
            .unwrap();
        Self {
            host,
            filter,
            loaded,
        }
    }

    /// What comes through.
    pub(crate) fn pass(
        &self,
        request: impl Into<Request>,
        response: Response,
    ) -> Result<Passed, Error> {
        self.host.pass(self.filter.as_ref(), request, response)
    }

    /// What it did wrong, to its end.
    pub(crate) fn end(self) -> Vec<Notice> {
        drop(self.filter);
        self.loaded.watch.notices()
    }
}

/// How many answers have ended, and how.
static ENDS: Mutex<Vec<(String, End)>> = Mutex::new(Vec::new());

fn ends(path: &str) -> Vec<End> {
    let ends = ENDS.lock().unwrap();
    ends.iter()
        .filter(|(of, _)| of == path)
        .map(|(_, end)| end.clone())
        .collect()
}

/// Changes everything a little, in the way that the path says.
#[derive(Default)]
struct Changes<const FOLLOWS: u8>;

impl<const FOLLOWS: u8> Filter for Changes<FOLLOWS> {
    fn follows(&self) -> Follows {
        match FOLLOWS {
            0 => Follows::Nothing,
            1 => Follows::Head,
            2 => Follows::Chunks,
            _ => Follows::Events,
        }
    }

    fn begin(&self, cx: &Context) -> Box<dyn Pass> {
        Box::new(Changing {
            cx: cx.clone(),
            path: String::new(),
            count: 0,
        })
    }
}

struct Changing {
    cx: Context,
    path: String,
    count: usize,
}

impl Pass for Changing {
    fn request<'a>(
        &'a mut self,
        request: &'a mut Request,
    ) -> BoxFuture<'a, Result<Option<Response>, Error>> {
        Box::pin(async move {
            self.path.clone_from(&request.path);
            match self.path.as_str() {
                "/refused" => return Err(refusal()),
                "/answered" => return Ok(Some(Response::json(&self.cx.client().name.as_ref())?)),
                "/streamed" => {
                    return Ok(Some(Response::new(
                        "a/b",
                        pieces(vec![Ok("own, "), Err(refusal())]),
                    )));
                }
                "/changed" => {
                    let body = request.read().await?;
                    "/other".clone_into(&mut request.path);
                    request.query = Some(String::new());
                    request.headers.insert("x-new", "1".parse().unwrap());
                    request.headers.remove("x-old");
                    request.body = [b"changed ", body.as_ref()].concat().into();
                }
                "/peeked" => {
                    request.peek().await?;
                }
                _ => {}
            }
            Ok(None)
        })
    }

    fn head(&mut self, status: &mut StatusCode, headers: &mut HeaderMap) -> Result<(), Error> {
        if self.path == "/bad-head" {
            return Err(refusal());
        }
        if self.path == "/head" {
            *status = StatusCode::ACCEPTED;
            headers.remove("x-gone");
            headers.insert("x-set", "new".parse().unwrap());
            headers.append("x-many", "3".parse().unwrap());
            headers.append("x-fresh", "a".parse().unwrap());
            headers.append("x-fresh", "b".parse().unwrap());
        }
        Ok(())
    }

    fn chunk(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), Error> {
        self.count += 1;
        match (self.path.as_str(), self.count) {
            ("/broken", 2) => return Err(refusal()),
            ("/panic", 2) => panic!("on purpose"),
            ("/dropped", 2) => {}
            ("/split", _) => out.extend(chunk.chunks(2).map(Bytes::copy_from_slice)),
            _ => out.push(chunk),
        }
        Ok(())
    }

    fn last_chunks(&mut self, out: &mut Vec<Bytes>) -> Result<(), Error> {
        out.push(Bytes::from(format!("|{}", self.count)));
        Ok(())
    }

    fn event(&mut self, mut event: Event, out: &mut Vec<Event>) -> Result<(), Error> {
        self.count += 1;
        match (self.path.as_str(), self.count) {
            ("/broken", 2) => return Err(refusal()),
            ("/panic", 2) => panic!("on purpose"),
            ("/dropped", 1) => {}
            ("/doubled", _) => out.extend([event.clone(), event]),
            _ => {
                for text in event.texts() {
                    *text = text.to_uppercase();
                }
                event.data["is_whole"] = event.is_whole.into();
                out.push(event);
            }
        }
        Ok(())
    }

    fn last_events(&mut self, out: &mut Vec<Event>) -> Result<(), Error> {
        if self.path == "/dropped" {
            out.push(Event {
                name: "last".to_owned(),
                data: json!(self.count),
                is_whole: false,
            });
        }
        Ok(())
    }

    fn end(&mut self, end: &End) {
        ENDS.lock().unwrap().push((self.path.clone(), end.clone()));
        assert!(self.path != "/panic-in-end", "on purpose");
    }
}

fn answer() -> Response {
    Response::new("text/plain", pieces(vec![Ok("abc"), Ok("def")]))
}

#[test]
fn a_filter_that_changes_nothing_changes_nothing() {
    let run = Filtering::new::<Changes<1>>();
    let (body, feed) = feed();
    let asked = request("POST", "/nothing?a=b")
        .header("x-a", "1")
        .body(Body::stream(body.into_stream(), Some(7)));

    let passed = run.pass(asked, answer()).unwrap();

    let seen = passed.request.unwrap();
    assert_eq!(
        (
            seen.method.as_str(),
            seen.path.as_str(),
            seen.query.as_deref()
        ),
        ("POST", "/nothing", Some("a=b"))
    );
    assert_eq!(
        (&seen.headers["x-a"], seen.body.length(), feed.polls()),
        (&"1".parse().unwrap(), Some(7), 0)
    );
    assert_eq!(
        (passed.answer.status.as_u16(), passed.answer.text().as_str()),
        (200, "abcdef")
    );
    assert_eq!(run.end(), []);
}

#[test]
fn a_filter_sees_and_changes_path_headers_and_body() {
    let run = Filtering::new::<Changes<0>>();
    let asked = request("POST", "/changed?a")
        .header("x-old", "1")
        .header("x-kept", "2");

    let passed = run
        .pass(asked.body(pieces(vec![Ok("bo"), Ok("dy")])), answer())
        .unwrap();

    let mut seen = passed.request.unwrap();
    assert_eq!(
        (seen.path.as_str(), seen.query.as_deref()),
        ("/other", Some(""))
    );
    let names: Vec<&str> = seen.headers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(
        (names.len(), &seen.headers["x-kept"], &seen.headers["x-new"]),
        (2, &"2".parse().unwrap(), &"1".parse().unwrap())
    );
    assert_eq!(run.host.wait(seen.read()).unwrap(), "changed body");
    assert_eq!(run.end(), []);
}

#[test]
fn a_body_that_a_filter_looked_at_is_still_there() {
    let run = Filtering::new::<Changes<0>>();

    let passed = run
        .pass(
            request("POST", "/peeked").body(pieces(vec![Ok("bo"), Ok("dy")])),
            answer(),
        )
        .unwrap();

    let mut seen = passed.request.unwrap();
    assert_eq!(run.host.wait(seen.read()).unwrap(), "body");
    let error = run
        .pass(
            request("POST", "/peeked")
                .body("12345".to_owned())
                .max_body(4),
            answer(),
        )
        .unwrap_err();
    assert_eq!(full(&error), full(&Error::too_large(4)));
    assert_eq!(run.end(), []);
}

#[test]
fn a_filter_refuses_a_request_in_its_own_words() {
    let run = Filtering::new::<Changes<1>>();

    let error = run.pass(request("GET", "/refused"), answer()).unwrap_err();

    assert_eq!(full(&error), full(&refusal()));
    assert_eq!((run.end(), ends("/refused")), (vec![], vec![]));
}

#[test]
fn a_filter_answers_in_the_place_of_the_handler() {
    let run = Filtering::of(
        Loaded::export::<Between<Changes<1>>>(),
        FakeHost::new().client("ann"),
    );

    let whole = run.pass(request("GET", "/answered"), answer()).unwrap();
    assert_eq!(
        (whole.request.is_none(), whole.answer.json()),
        (true, json!("ann"))
    );
    let streamed = run
        .pass(request("GET", "/streamed"), answer())
        .unwrap()
        .answer;
    assert_eq!(
        (streamed.text().as_str(), full(&streamed.broken.unwrap())),
        ("own, ", full(&refusal()))
    );
    // Its own answer is not shown to it.
    assert_eq!((ends("/answered").len(), ends("/streamed").len()), (0, 0));
    assert_eq!(run.end(), []);
}
