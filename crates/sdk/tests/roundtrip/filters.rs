//! Filters.

mod misfits;

use std::sync::Mutex;
use std::time::Duration;

use aurora_sdk::abi::import::Notice;
use aurora_sdk::testing::{FakeHost, Passed, request};
use aurora_sdk::{
    Body, BoxFuture, Context, End, Error, Event, Filter, Follows, Pass, Plugin as _, Request,
    Response,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use crate::answers::{full, refusal};
use crate::bodies::{feed, pieces, poll_once};
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
                    request.path = "/other".to_owned();
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

#[test]
fn a_filter_changes_the_head_of_an_answer() {
    let run = Filtering::new::<Changes<1>>();
    let mut response = answer();
    for (name, value) in [
        ("x-gone", "1"),
        ("x-set", "old"),
        ("x-many", "1"),
        ("x-many", "2"),
        ("x-same", "1"),
        ("x-same", "2"),
    ] {
        response.headers.append(name, value.parse().unwrap());
    }

    let answer = run.pass(request("GET", "/head"), response).unwrap().answer;

    let all = |name| {
        answer
            .headers
            .get_all(name)
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(answer.status.as_u16(), 202);
    assert_eq!(
        (all("x-gone"), all("x-set"), all("x-many")),
        (vec![], vec!["new"], vec!["1", "2", "3"])
    );
    assert_eq!(
        (all("x-same"), all("x-fresh")),
        (vec!["1", "2"], vec!["a", "b"])
    );
    assert_eq!(
        ends("/head")[0],
        End {
            status: StatusCode::ACCEPTED,
            is_complete: true,
            usage: None
        }
    );
    assert_eq!(run.end(), []);
}

#[test]
fn an_error_about_the_head_is_the_answer() {
    let run = Filtering::new::<Changes<1>>();

    let error = run.pass(request("GET", "/bad-head"), answer()).unwrap_err();

    assert_eq!(full(&error), full(&refusal()));
    assert_eq!(
        (
            ends("/bad-head")[0].status,
            ends("/bad-head")[0].is_complete
        ),
        (StatusCode::IM_A_TEAPOT, false)
    );
    assert_eq!(run.end(), []);
}

#[test]
fn a_filter_sees_every_piece_and_may_split_drop_and_add_some() {
    let run = Filtering::new::<Changes<2>>();
    let text = |path| {
        run.pass(request("GET", path), answer())
            .unwrap()
            .answer
            .text()
    };

    assert_eq!(
        [text("/all"), text("/split"), text("/dropped")],
        ["abcdef|2", "abcdef|2", "abc|2"]
    );
    assert_eq!(run.end(), []);
}

#[test]
fn an_error_about_a_piece_ends_the_answer_there() {
    let run = Filtering::new::<Changes<2>>();

    let answer = run
        .pass(request("GET", "/broken"), answer())
        .unwrap()
        .answer;

    assert_eq!(
        (answer.text().as_str(), full(&answer.broken.unwrap())),
        ("abc", full(&refusal()))
    );
    assert!(ends("/broken").iter().all(|end| !end.is_complete));
    assert_eq!(run.end(), []);
}

fn events() -> Response {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"hello\"}}]}\n\n\
                event: named\ndata: {\"a\":1}\n\n\
                data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}\n\n\
                data: [DONE]\n\n";
    Response::new("text/event-stream", pieces(vec![Ok(text)]))
}

fn seen(answer: &aurora_sdk::testing::Answer) -> Vec<(String, Value)> {
    let events = answer.events().into_iter();
    events
        .map(|(name, data)| (name, serde_json::from_str(&data).unwrap_or(json!(data))))
        .collect()
}

#[test]
fn a_filter_sees_every_event_and_may_change_drop_and_add_some() {
    let run = Filtering::new::<Changes<3>>();

    let changed = seen(
        &run.pass(request("GET", "/events"), events())
            .unwrap()
            .answer,
    );
    assert_eq!(changed.len(), 4);
    assert_eq!(changed[0].1["choices"][0]["delta"]["content"], "HELLO");
    assert_eq!(
        changed[1],
        ("named".to_owned(), json!({ "a": 1, "is_whole": false }))
    );
    let dropped = seen(
        &run.pass(request("GET", "/dropped"), events())
            .unwrap()
            .answer,
    );
    assert_eq!(
        (dropped.len(), &dropped[2]),
        (4, &("last".to_owned(), json!(3)))
    );
    assert_eq!(dropped[3].1, "[DONE]");
    let doubled = seen(
        &run.pass(request("GET", "/doubled"), events())
            .unwrap()
            .answer,
    );
    assert_eq!((doubled.len(), doubled[0] == doubled[1]), (7, true));
    assert_eq!(run.end(), []);
}

#[test]
fn a_filter_that_follows_events_hears_of_the_tokens() {
    let run = Filtering::new::<Changes<3>>();

    run.pass(request("GET", "/tokens"), events()).unwrap();

    let end = ends("/tokens").remove(0);
    let usage = end.usage.unwrap();
    assert_eq!(
        (
            end.is_complete,
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.total_tokens
        ),
        (true, 3, 4, 7)
    );
    assert_eq!(run.end(), []);
}

#[test]
fn a_whole_answer_is_one_event_that_is_marked() {
    let run = Filtering::new::<Changes<3>>();
    let response =
        Response::json(&json!({ "choices": [{ "message": { "content": "hi" } }] })).unwrap();

    let answer = run
        .pass(request("GET", "/whole"), response)
        .unwrap()
        .answer
        .json();

    assert_eq!(
        (
            &answer["choices"][0]["message"]["content"],
            &answer["is_whole"]
        ),
        (&json!("HI"), &json!(true))
    );
    assert_eq!(run.end(), []);
}

#[test]
fn an_error_about_an_event_ends_the_answer_there() {
    let run = Filtering::new::<Changes<3>>();

    let answer = run
        .pass(request("GET", "/broken"), events())
        .unwrap()
        .answer;

    assert_eq!(
        (answer.events().len(), full(&answer.broken.unwrap())),
        (1, full(&refusal()))
    );
    assert_eq!(run.end(), []);
}

#[test]
fn a_panic_of_a_filter_ends_the_answer_and_nothing_else() {
    let (chunks, events_run) = (
        Filtering::new::<Changes<2>>(),
        Filtering::new::<Changes<3>>(),
    );

    let chunked = chunks
        .pass(request("GET", "/panic"), answer())
        .unwrap()
        .answer;
    assert_eq!(
        (chunked.text().as_str(), chunked.broken.unwrap().code()),
        ("abc", "plugin_failed")
    );
    let evented = events_run
        .pass(request("GET", "/panic"), events())
        .unwrap()
        .answer;
    assert_eq!(
        (evented.events().len(), evented.broken.unwrap().code()),
        (1, "plugin_failed")
    );
    assert_eq!(
        chunks
            .pass(request("GET", "/all"), answer())
            .unwrap()
            .answer
            .text(),
        "abcdef|2"
    );
    // Nobody can be told any more.
    assert!(
        chunks
            .pass(request("GET", "/panic-in-end"), answer())
            .is_ok()
    );
    assert_eq!(
        (chunks.end(), events_run.end()),
        (vec![Notice::Panicked], vec![Notice::Panicked])
    );
}

/// Panics at every other turn.
#[derive(Default)]
struct Panics;

struct Panicking;

impl Filter for Panics {
    fn begin(&self, cx: &Context) -> Box<dyn Pass> {
        assert!(&*cx.client().name != "panic", "on purpose");
        Box::new(Panicking)
    }
}

impl Pass for Panicking {
    fn request<'a>(
        &'a mut self,
        request: &'a mut Request,
    ) -> BoxFuture<'a, Result<Option<Response>, Error>> {
        assert!(request.path != "/at-once", "on purpose");
        Box::pin(async { panic!("on purpose") })
    }
}

impl Drop for Panicking {
    fn drop(&mut self) {
        // A second panic on top of a first one is the end of any process.
        assert!(std::thread::panicking(), "on purpose");
    }
}

#[test]
fn a_panic_before_the_handler_is_a_500() {
    let run = Filtering::new::<Panics>();
    let none = Filtering::of(
        Loaded::export::<Between<Panics>>(),
        FakeHost::new().client("panic"),
    );

    for (filtering, path) in [(&run, "/at-once"), (&run, "/later"), (&none, "/begin")] {
        let error = filtering.pass(request("GET", path), answer()).unwrap_err();

        assert_eq!(
            (error.status().as_u16(), error.code()),
            (500, "plugin_failed"),
            "{path}"
        );
    }
    assert_eq!(
        (run.end(), none.end()),
        (vec![Notice::Panicked; 2], vec![Notice::Panicked])
    );
}

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
            let ask = |path: &str| aurora_sdk::UpstreamRequest {
                operation: aurora_sdk::Operation::Other,
                method: http::Method::GET,
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
