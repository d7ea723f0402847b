//! `/metrics`: what the gateway counts of itself, and what plugins measure, in the text format of Prometheus.

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use aurora_tokens::Health;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::shared::Shared;
use crate::snapshot::Snapshot;

type Labels = Vec<(&'static str, String)>;

/// All of them. Counted where things happen, put into families only when somebody looks.
pub(super) fn text(shared: &Shared) -> String {
    let mut registry = Registry::default();
    let snapshot = shared.cell.load();
    traffic(&mut registry, shared);
    upstreams(&mut registry, &snapshot);
    tokens(&mut registry, &snapshot);
    reloads(&mut registry, shared, &snapshot);
    runtime(&mut registry);
    let mut out = String::new();
    // Writing to a string does not fail.
    text::encode_registry(&mut out, &registry).unwrap_or_default();
    shared.metrics.encode(&mut out);
    text::encode_eof(&mut out).unwrap_or_default();
    out
}

fn traffic(registry: &mut Registry, shared: &Shared) {
    let traffic = &shared.traffic;
    let by_status = traffic.by_status();
    let by_status = by_status.map(|(status, count)| (vec![("status", status.to_string())], count));
    counters(registry, "aurora_requests", "Answers by status", by_status);
    let by_end = traffic.by_end();
    let by_end = by_end.map(|(end, count)| (vec![("end", end.as_str().to_owned())], count));
    counters(
        registry,
        "aurora_responses",
        "Answers by how their bodies ended",
        by_end,
    );
    let by_code = traffic.by_code().into_iter();
    let by_code = by_code.map(|(code, count)| (vec![("code", code)], count));
    counters(
        registry,
        "aurora_errors",
        "Errors that clients were told, by code",
        by_code,
    );
    let under_way = count(traffic.under_way());
    gauge(
        registry,
        "aurora_requests_under_way",
        "Requests under way",
        under_way,
    );
}

fn upstreams(registry: &mut Registry, snapshot: &Snapshot) {
    let all = || snapshot.upstreams.values();
    let label = |name: &str| ("upstream", name.to_owned());
    let attempts = all().flat_map(|upstream| {
        let counts = upstream.health.counts.by_outcome();
        counts
            .filter(|(_, count)| *count > 0)
            .map(|(outcome, count)| {
                let outcome = ("outcome", outcome.as_str().to_owned());
                (vec![label(&upstream.name), outcome], count)
            })
    });
    let help = "Attempts at upstreams by what came of them";
    counters(registry, "aurora_upstream_attempts", help, attempts);
    let refused = all().map(|upstream| {
        let count = upstream.health.counts.refused_repeats();
        (vec![label(&upstream.name)], count)
    });
    let help = "Repeats that max_share of a route's retry did not allow";
    counters(registry, "aurora_upstream_refused_repeats", help, refused);
    let now = Instant::now();
    let resting = all().map(|upstream| {
        let rests = upstream.health.rest(now).is_some();
        (vec![label(&upstream.name)], i64::from(rests))
    });
    let help = "Whether the upstream is left alone: 1 while it is";
    gauges(registry, "aurora_upstream_resting", help, resting);
    let busy = all().map(|upstream| (vec![label(&upstream.name)], count(upstream.busy())));
    let help = "Requests that the upstream serves";
    gauges(registry, "aurora_upstream_requests_under_way", help, busy);
    let queued = all().map(|upstream| {
        let queued = upstream.health.queued();
        (vec![label(&upstream.name)], count(queued))
    });
    let help = "Requests that wait for a place at the upstream";
    gauges(registry, "aurora_upstream_requests_queued", help, queued);
}

fn tokens(registry: &mut Registry, snapshot: &Snapshot) {
    let states = snapshot.pools.iter().flat_map(|(pool, tokens)| {
        let mut states = [("ok", 0), ("cooling", 0), ("dead", 0), ("probing", 0)];
        for token in tokens.status() {
            let [ok, cooling, dead, probing] = &mut states;
            match token.health {
                Health::Ok => ok.1 += 1,
                Health::Cooling { .. } => cooling.1 += 1,
                Health::Dead { .. } if token.is_probed => probing.1 += 1,
                Health::Dead { .. } => dead.1 += 1,
            }
        }
        states.map(|(state, count)| {
            let pool = ("pool", pool.clone());
            (vec![pool, ("state", state.to_owned())], count)
        })
    });
    gauges(registry, "aurora_tokens", "Tokens by state", states);
}

fn reloads(registry: &mut Registry, shared: &Shared, snapshot: &Snapshot) {
    let facts = shared.reload.facts();
    let outcomes = [("published", facts.published), ("refused", facts.refused)];
    let outcomes = outcomes.map(|(outcome, count)| (vec![("outcome", outcome.to_owned())], count));
    let help = "Configs by what came of them, the first one included";
    counters(registry, "aurora_reloads", help, outcomes);
    let generation = i64::try_from(snapshot.generation).unwrap_or(i64::MAX);
    let help = "Generation of the config that serves";
    gauge(registry, "aurora_generation", help, generation);
}

fn runtime(registry: &mut Registry) {
    let handle = tokio::runtime::Handle::try_current().ok();
    let tasks = handle.map_or(0, |handle| handle.metrics().num_alive_tasks());
    let help = "Tasks of the runtime: at rest always the same number";
    gauge(registry, "aurora_tasks", help, count(tasks));
}

fn counters(
    registry: &mut Registry,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels, u64)>,
) {
    let family = Family::<Labels, Counter<u64, AtomicU64>>::default();
    for (labels, value) in values {
        family.get_or_create(&labels).inc_by(value);
    }
    registry.register(name, help, family);
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    let gauge = Gauge::<i64>::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn gauges(
    registry: &mut Registry,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels, i64)>,
) {
    let family = Family::<Labels, Gauge>::default();
    for (labels, value) in values {
        family.get_or_create(&labels).set(value);
    }
    registry.register(name, help, family);
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
