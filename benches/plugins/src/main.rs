//! What it costs that a plugin is loaded: the same plugin linked in and from its library, side by side in one run.
//!
//! `benches/plugins/run` builds both and runs this. It prints nanoseconds a request and a chunk: the minimum and the 25th percentile
//! of interleaved rounds, since whatever disturbs a round only makes it slower.
#![expect(
    unsafe_code,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it loads a library, and prints what it measured"
)]

mod plugin;

use std::any::Any;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{Duration, Instant};

use aurora_openai::chat::ChatRequest;
use aurora_openai::models::Model;
use aurora_sdk::abi::import::{Around, Imported, Notice};
use aurora_sdk::abi::raw::PluginVtable;
use aurora_sdk::{
    Body, BoxFuture, ChatStream, Client, Context, Error, Facts, Filter, Handler, Host, Level,
    Metric, MetricId, Operation, Params, Plugin, PluginHost, Request, Response, State,
    UpstreamRequest,
};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use serde_json::Map;

/// Interleaved rounds.
const ROUNDS: usize = 600;

/// Requests in a round.
const REQUESTS: u32 = 200;

/// As the variable `ROUNDS` says: few are enough for a profiler.
fn rounds() -> usize {
    let asked = std::env::var("ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok());
    asked.unwrap_or(ROUNDS)
}

fn main() {
    let path = std::env::args()
        .nth(1)
        .filter(|path| !path.starts_with("--"));
    let Some(path) = path else {
        // `cargo test --benches` and the like.
        println!("usage: benches/plugins/run");
        return;
    };
    let loaded = load(&path);
    let host: Arc<dyn PluginHost> = Arc::new(Nowhere);
    let options = Map::new();
    let pair = [
        plugin::Bench.build(&host, &options).unwrap(),
        loaded.build(&host, &options).unwrap(),
    ];
    let cases = [
        ("short request", "/short", 0),
        ("relayed request", "/relay", 0),
        ("100 chunks", "/chunks/100", 100),
        ("1000 chunks", "/chunks/1000", 1000),
        ("100 paced chunks", "/paced/100", 100),
    ];
    println!(
        "{:18} {:>18} {:>18} {:>18}",
        "", "linked in", "loaded", "difference"
    );
    let only = std::env::var("CASE").unwrap_or_default();
    for (name, path, chunks) in cases
        .into_iter()
        .filter(|(_, path, _)| path.contains(&only))
    {
        let [linked, loaded] = compare(&pair, path);
        let unit = if chunks == 0 { "a request" } else { "a chunk" };
        let per = |ns: f64| {
            if chunks == 0 {
                ns
            } else {
                ns / f64::from(chunks)
            }
        };
        let (min, quarter) = (per(loaded.0 - linked.0), per(loaded.1 - linked.1));
        println!(
            "{name:18} {:>8.0} / {:>6.0} {:>9.0} / {:>6.0} {min:>9.1} / {quarter:>5.1} ns {unit} (minimum / 25th percentile)",
            linked.0, linked.1, loaded.0, loaded.1
        );
    }
    if !"no-op filter".contains(&only) {
        return;
    }
    let filters = [
        plugin::Bench.build_filter(&host, &options).unwrap(),
        loaded.build_filter(&host, &options).unwrap(),
    ];
    let [linked, loaded] = compare_filters(&filters);
    println!(
        "{:18} {:>8.0} / {:>6.0} {:>9.0} / {:>6.0} {:>9.1} / {:>5.1} ns a request",
        "no-op filter",
        linked.0,
        linked.1,
        loaded.0,
        loaded.1,
        loaded.0 - linked.0,
        loaded.1 - linked.1
    );
}

fn load(path: &str) -> Imported {
    // SAFETY: it is the library that the script has just built.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.unwrap();
    // SAFETY: the symbol has this form in every plugin.
    let entry = unsafe {
        library.get::<unsafe extern "C" fn() -> *const PluginVtable>("aurora_plugin_entry_v1")
    };
    // SAFETY: as above.
    let vtable = unsafe { entry.unwrap()() };
    let keep: Arc<dyn Any + Send + Sync> = Arc::new(library);
    // SAFETY: `keep` keeps it mapped.
    unsafe { Imported::new(vtable, keep, Arc::new(Quiet)) }.unwrap()
}

type Times = (f64, f64);

fn compare(pair: &[Box<dyn Handler>; 2], path: &str) -> [Times; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..rounds() {
        for side in [round % 2, 1 - round % 2] {
            let (Some(handler), Some(times)) = (pair.get(side), times.get_mut(side)) else {
                continue;
            };
            let started = Instant::now();
            for _ in 0..REQUESTS {
                answer(handler.as_ref(), path);
            }
            times.push(started.elapsed().as_nanos() as f64 / f64::from(REQUESTS));
        }
    }
    times.map(summary)
}

fn compare_filters(pair: &[Box<dyn Filter>; 2]) -> [Times; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..rounds() {
        for side in [round % 2, 1 - round % 2] {
            let (Some(filter), Some(times)) = (pair.get(side), times.get_mut(side)) else {
                continue;
            };
            let started = Instant::now();
            for _ in 0..REQUESTS {
                let cx = Context::new(Arc::new(Somewhere(facts())));
                let mut request = request("/short");
                let mut pass = filter.begin(&cx);
                assert!(wait(pass.request(&mut request)).unwrap().is_none());
            }
            times.push(started.elapsed().as_nanos() as f64 / f64::from(REQUESTS));
        }
    }
    times.map(summary)
}

fn summary(mut times: Vec<f64>) -> Times {
    times.sort_by(f64::total_cmp);
    let at = |place: usize| times.get(place).copied().unwrap_or_default();
    (at(0), at(times.len() / 4))
}

fn answer(handler: &dyn Handler, path: &str) {
    let cx = Context::new(Arc::new(Somewhere(facts())));
    let response = wait(handler.handle(&cx, request(path))).unwrap();
    assert_eq!(response.status, 200);
    let mut body = response.body;
    while let Some(piece) = wait(body.chunk()) {
        assert!(!piece.unwrap().is_empty());
    }
}

/// As a client of the OpenAI SDK sends it, in short.
fn request(path: &str) -> Request {
    let json = HeaderValue::from_static("application/json");
    let headers = HeaderMap::from_iter([
        (HOST, HeaderValue::from_static("127.0.0.1:8080")),
        (USER_AGENT, HeaderValue::from_static("OpenAI/Python 1.0")),
        (ACCEPT, json.clone()),
        (CONTENT_TYPE, json),
        (AUTHORIZATION, HeaderValue::from_static("none")),
    ]);
    Request {
        method: Method::POST,
        path: path.to_owned(),
        query: None,
        headers: headers.into(),
        body: Body::from(bytes::Bytes::from_static(
            br#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#,
        )),
        max_body: 1 << 20,
    }
}

fn facts() -> Facts {
    // As the gateway has them: shared words, counted up.
    thread_local! {
        static FACTS: Facts = Facts {
            request_id: "req_0123456789".into(),
            route: "/bench".into(),
            client: Client { name: "anonymous".into(), owner: "anonymous".into() },
            params: Params::default(),
            stream: true,
        };
    }
    FACTS.with(Facts::clone)
}

/// Nothing here ever waits.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut cx = TaskContext::from_waker(Waker::noop());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
    }
}

struct Quiet;

impl Around for Quiet {
    fn dispose(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }

    fn noticed(&self, _: Notice) {}

    fn max_blocking(&self) -> usize {
        0
    }
}

/// A host of a request whose upstream answers at once.
struct Somewhere(Facts);

impl Host for Somewhere {
    fn facts(&self) -> &Facts {
        &self.0
    }

    fn send(&self, _: UpstreamRequest) -> BoxFuture<'_, Result<Response, Error>> {
        Box::pin(async {
            Ok(Response::new(
                "application/json",
                bytes::Bytes::from_static(b"{}"),
            ))
        })
    }

    fn native(&self, _: Operation) -> bool {
        true
    }

    fn chat(&self, _: ChatRequest) -> BoxFuture<'_, Result<ChatStream, Error>> {
        Box::pin(async { Err(Error::internal("not here")) })
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<Model>, Error>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn state(&self) -> &dyn State {
        unreachable!("nothing is kept here")
    }

    fn log(&self, _: Level, _: &str) {}
}

struct Nowhere;

impl PluginHost for Nowhere {
    fn log(&self, _: Level, _: &str) {}

    fn state(&self) -> &dyn State {
        unreachable!("nothing is kept here")
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }

    fn spawn(&self, _: &str, _: BoxFuture<'static, ()>) {}

    fn offload(&self, _: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }

    fn metric(&self, _: &Metric<'_>) -> Result<MetricId, Error> {
        Ok(MetricId(0))
    }

    fn record(&self, _: MetricId, _: f64, _: &[&str]) {}

    fn send<'a>(
        &'a self,
        _: &'a str,
        _: UpstreamRequest,
    ) -> BoxFuture<'a, Result<Response, Error>> {
        Box::pin(async { Err(Error::internal("not here")) })
    }
}
