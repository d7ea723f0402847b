//! State, and what a plugin tells its host.

use std::sync::Arc;
use std::time::Duration;

use aurora_sdk::testing::{FakeHost, request};
use aurora_sdk::{
    BuildError, Context, Error, Level, Metric, MetricId, MetricKind, PluginHost, Request, Response,
    State,
};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::bodies::poll_once;
use crate::ground::{Ground, Loaded, Of, Run, Serve};

/// Works on the state, inside of requests and outside.
#[derive(Default)]
struct Keeper(Ground);

impl Keeper {
    async fn work(state: &dyn State) -> Result<Value, Error> {
        let (minute, hour) = (Duration::from_mins(1), Duration::from_hours(1));
        let text =
            |value: Option<Bytes>| value.map(|value| String::from_utf8_lossy(&value).into_owned());
        let missing = text(state.get("a").await?);
        let none = state.delete("a").await?;
        state.put("a", "one".into(), minute).await?;
        let first = text(state.get("a").await?);
        let wrong = state
            .swap("a", Some("two".into()), "three".into(), hour)
            .await?;
        let right = state
            .swap("a", Some("one".into()), "four".into(), hour)
            .await?;
        let there = state.swap("a", None, "five".into(), hour).await?;
        let second = text(state.get("a").await?);
        let gone = state.delete("a").await?;
        let fresh = state.swap("a", None, Bytes::new(), hour).await?;
        let empty = text(state.get("a").await?);
        Ok(json!([
            missing, none, first, wrong, right, there, second, gone, fresh, empty
        ]))
    }
}

impl Serve for Keeper {
    fn built(self, host: &Arc<dyn PluginHost>, _: &Map<String, Value>) -> Result<Self, BuildError> {
        Ok(Self(Ground::of(host)))
    }

    async fn serve(&self, cx: &Context, request: Request) -> Result<Response, Error> {
        let state = if request.path == "/inside" {
            cx.host().state()
        } else {
            self.0.state()
        };
        Response::json(&Self::work(state).await?)
    }
}

#[test]
fn state_is_read_written_forgotten_and_swapped() {
    for path in ["/inside", "/outside"] {
        let run = Run::new::<Keeper>(FakeHost::new());

        let answer = run.ask(request("GET", path)).unwrap();

        let expected = json!([
            null, false, "one", false, true, false, "four", true, true, ""
        ]);
        assert_eq!(answer.json(), expected);
        assert_eq!(run.host.kept_for("a"), Some(Duration::from_hours(1)));
        run.end_well();
    }
}

/// Uses a key that is too long.
#[derive(Default)]
struct LongKey;

impl Serve for LongKey {
    async fn serve(&self, cx: &Context, _: Request) -> Result<Response, Error> {
        cx.host()
            .state()
            .put(&"k".repeat(1024), Bytes::new(), Duration::ZERO)
            .await?;
        cx.host().state().get(&"k".repeat(1025)).await?;
        Response::json(&())
    }
}

#[test]
fn a_key_beyond_1024_bytes_is_refused() {
    let run = Run::new::<LongKey>(FakeHost::new());

    let error = run.ask(request("GET", "/")).unwrap_err();

    assert_eq!(
        (error.status().as_u16(), error.code()),
        (500, "plugin_error")
    );
    run.end_well();
}

/// Tells its host this and that.
#[derive(Default)]
struct Teller {
    ground: Ground,
    ids: Vec<MetricId>,
}

impl Serve for Teller {
    fn built(
        mut self,
        host: &Arc<dyn PluginHost>,
        options: &Map<String, Value>,
    ) -> Result<Self, BuildError> {
        self.ground = Ground::of(host);
        let kinds = [
            MetricKind::Counter,
            MetricKind::Gauge,
            MetricKind::Histogram,
        ];
        for (kind, name) in kinds
            .into_iter()
            .zip(["hits_total", "depth", "wait_seconds"])
        {
            let metric = Metric {
                kind,
                name,
                help: "help",
                labels: &["model", "who"],
            };
            let id = host
                .metric(&metric)
                .map_err(|error| BuildError::new("", error.message()))?;
            self.ids.push(id);
        }
        if options.contains_key("again") {
            let metric = Metric {
                kind: MetricKind::Gauge,
                name: "hits_total",
                help: "help",
                labels: &[],
            };
            host.metric(&metric)
                .map_err(|error| BuildError::new("again", error.code()))?;
        }
        Ok(self)
    }

    async fn serve(&self, cx: &Context, _: Request) -> Result<Response, Error> {
        for (id, value) in self.ids.iter().zip([1.0, -2.5, 0.125]) {
            self.ground.record(*id, value, &["small", "ü"]);
        }
        self.ground.record(self.ids[0], 1.0, &["too few"]);
        self.ground.record(MetricId(99), 1.0, &[]);
        cx.host().usage("input_tokens", 7);
        cx.host().usage("large", u64::MAX);
        cx.host().keep_running(Duration::from_millis(1500));
        cx.host().log(Level::Warn, "inside");
        let long = format!("a\nb\u{1b}[31m\u{7f}{}", "x".repeat(5000));
        self.ground.log(Level::Debug, &long);
        assert!(self.ground.listens(Level::Error));
        Response::json(&())
    }
}

#[test]
fn metrics_are_defined_and_recorded() {
    let run = Run::new::<Teller>(FakeHost::new());

    run.ask(request("GET", "/")).unwrap();

    let recorded = run.host.recorded();
    let seen: Vec<_> = recorded
        .iter()
        .map(|one| (one.metric.as_str(), one.kind, one.value))
        .collect();
    let expected = [
        ("hits_total", MetricKind::Counter, 1.0),
        ("depth", MetricKind::Gauge, -2.5),
        ("wait_seconds", MetricKind::Histogram, 0.125),
    ];
    assert_eq!(seen, expected);
    assert_eq!(
        (
            recorded[0].labels["model"].as_str(),
            recorded[0].labels["who"].as_str()
        ),
        ("small", "ü")
    );
    run.end_well();
}

#[test]
fn another_form_of_a_metric_is_refused_and_the_operator_reads_why() {
    let host = FakeHost::new();

    let failed = Run::with_options(
        Loaded::export::<Of<Teller>>(),
        host.clone(),
        &json!({ "again": 1 }),
    );

    let error = failed.err().unwrap();
    assert_eq!(
        (error.option.as_str(), error.message.as_str()),
        ("again", "plugin_error")
    );
    assert!(
        host.logged()[0].1.contains("another form of metric"),
        "{:?}",
        host.logged()
    );
}

#[test]
fn numbers_for_the_access_log_and_the_wish_to_go_on_arrive() {
    let run = Run::new::<Teller>(FakeHost::new());

    run.ask(request("GET", "/")).unwrap();

    let large = ("large".to_owned(), i64::MAX.unsigned_abs());
    assert_eq!(run.host.used(), [("input_tokens".to_owned(), 7), large]);
    assert_eq!(run.host.kept_running(), Some(Duration::from_millis(1500)));
    run.end_well();
}

#[test]
fn a_line_of_the_log_is_bounded_and_has_no_control_characters() {
    let run = Run::new::<Teller>(FakeHost::new());

    run.ask(request("GET", "/")).unwrap();

    let logged = run.host.logged();
    assert_eq!(logged[0], (Level::Warn, "inside".to_owned()));
    let (level, line) = &logged[1];
    assert_eq!((*level, line.len()), (Level::Debug, 4096));
    assert!(
        line.starts_with("a b [31m x") && !line.contains(char::is_control),
        "{line}"
    );
    run.end_well();
}

/// Waits for its client to go, and settles its accounts.
#[derive(Default)]
struct Settles;

impl Serve for Settles {
    async fn serve(&self, cx: &Context, _: Request) -> Result<Response, Error> {
        cx.host().client_gone().await;
        cx.host().usage("settled", 1);
        Err(Error::internal("nobody hears it"))
    }
}

#[test]
fn a_plugin_that_goes_on_hears_that_its_client_has_gone() {
    let run = Run::new::<Settles>(FakeHost::new());
    let cx = run.host.context();

    let mut asking = run.handler().handle(&cx, request("GET", "/").into());
    assert!(poll_once(&mut asking).is_pending());
    run.host.leave();
    assert!(run.host.wait(asking).is_err());

    assert_eq!(run.host.used(), [("settled".to_owned(), 1)]);
    drop(cx);
    run.end_well();
}
