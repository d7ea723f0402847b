//! What the gateway says about itself. Never a secret: tokens by id and origin, keys by name.

mod limits;
mod plugins;

use std::time::{Instant, SystemTime};

use aurora_accounts::{AccountPool, AccountState, AccountStatus, Limit};
use aurora_config::{Protocol, Style};
use aurora_tokens::{Health, TokenPool, TokenStatus};
use http::StatusCode;
use serde_json::{Value, json};

use crate::shared::Shared;
use crate::snapshot::{Route, Snapshot};
use crate::upstream::Upstream;
use crate::upstream::health::Rest;

/// Whether new requests should come here, and what an operator should know meanwhile.
pub(super) fn ready(shared: &Shared) -> (StatusCode, Value) {
    let snapshot = shared.cell.load();
    let draining = shared.draining.is_cancelled();
    let mut pending = Vec::new();
    if draining {
        pending.push(format!(
            "draining: {} requests under way",
            shared.traffic.under_way()
        ));
    }
    if shared.reload.facts().error.is_some() {
        pending.push(format!(
            "config: what is on disk is refused, generation {} serves on; see /status",
            snapshot.generation
        ));
    }
    for slot in shared
        .plugins
        .load()
        .iter()
        .filter(|slot| slot.refused.is_some())
    {
        pending.push(format!(
            "plugin: {} is refused; see /status",
            slot.file.display()
        ));
    }
    for upstream in snapshot.upstreams.values() {
        if let Some(rest) = upstream.health.rest(Instant::now()) {
            let (name, why) = (&upstream.name, rest.reason.as_str());
            pending.push(format!("upstream: `{name}` rests: {why}"));
        }
    }
    for (name, pool) in &snapshot.pools {
        if !pool.is_empty() && pool.status().iter().all(|token| token.health != Health::Ok) {
            pending.push(format!("tokens: none of pool `{name}` can be used now"));
        }
    }
    let status = if draining {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    (
        status,
        json!({ "ready": !draining, "generation": snapshot.generation, "pending": pending }),
    )
}

/// Everything.
pub(super) fn status(shared: &Shared) -> Value {
    let snapshot = shared.cell.load();
    let facts = shared.reload.facts();
    let config = snapshot.config();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "started_at": time(shared.started_at),
        "generation": snapshot.generation,
        "published_at": facts.last_published.map(time),
        "draining": shared.draining.is_cancelled(),
        "in_flight": shared.traffic.under_way(),
        "client_keys": config.auth.keys.iter().map(|key| &key.name).collect::<Vec<_>>(),
        "limits": limits::all(&snapshot),
        "state": shared.store.kind(),
        "reload": {
            "published": facts.published,
            "refused": facts.refused,
            "last_checked": facts.last_checked.map(time),
            "error": facts.error.map(|error| json!({ "at": time(error.at), "diagnostics": error.text })),
            "warnings": snapshot.loaded.warnings.render(Style::Plain),
        },
        "routes": snapshot.route_list.iter().map(|route| self::route(route)).collect::<Vec<_>>(),
        "upstreams": snapshot.upstreams.values().map(|one| (one.name.clone(), upstream(one))).collect::<serde_json::Map<_, _>>(),
        "tokens": pools(&snapshot),
        "plugins": shared.plugins.load().iter().map(plugins::slot).collect::<Vec<_>>(),
    })
}

fn route(route: &Route) -> Value {
    let settings = &route.settings;
    json!({
        "path": settings.path,
        "methods": route.methods,
        "plugin": settings.plugin(),
        "plugins": settings.plugins.iter().map(|share| json!({ "name": share.name, "weight": share.weight })).collect::<Vec<_>>(),
        "filters": settings.filters,
        "upstreams": settings.upstreams.iter().map(|target| &target.name).collect::<Vec<_>>(),
    })
}

fn upstream(upstream: &Upstream) -> Value {
    let settings = &upstream.settings;
    let (protocol, base_url) = match &settings.protocol {
        Protocol::OpenAi(openai) => ("openai", Some(openai.base_url.as_str())),
        Protocol::ChatGptWeb(web) => ("chatgpt-web", Some(web.base_url.as_str())),
        Protocol::Mock(_) => ("mock", None),
    };
    json!({
        "protocol": protocol,
        "base_url": base_url,
        "tokens": settings.tokens,
        "models": settings.models,
        "challenges": upstream.provider.challenges(),
        "max_concurrency": settings.max_concurrency,
        "in_flight": upstream.busy(),
        "queued": upstream.health.queued(),
        "rests": upstream.health.rest(Instant::now()).map(rest),
        "attempts": attempts(upstream),
    })
}

fn rest(rest: Rest) -> Value {
    json!({
        "why": rest.reason.as_str(),
        "ends_in_s": rest.retry_after.map(|wait| wait.as_secs()),
        "probing": rest.is_probed,
    })
}

fn attempts(upstream: &Upstream) -> Value {
    let counts = upstream.health.counts.by_outcome();
    counts
        .filter(|(_, count)| *count > 0)
        .map(|(outcome, count)| (outcome.as_str().to_owned(), count.into()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn pools(snapshot: &Snapshot) -> Value {
    let pools = snapshot
        .pools
        .iter()
        .map(|(name, pool)| (name.clone(), self::pool(pool)));
    let accounts = snapshot
        .accounts
        .iter()
        .map(|(name, pool)| (name.clone(), accounts_of(pool)));
    Value::Object(pools.chain(accounts).collect())
}

fn accounts_of(pool: &AccountPool) -> Value {
    let now = SystemTime::now();
    let accounts: Vec<Value> = pool
        .status()
        .iter()
        .map(|status| account(status, now))
        .collect();
    json!({ "count": pool.len(), "accounts": accounts })
}

fn account(status: &AccountStatus, now: SystemTime) -> Value {
    let left = |at: SystemTime| at.duration_since(now).unwrap_or_default().as_secs();
    let (state, reason) = match &status.state {
        AccountState::Ready => ("ok", None),
        AccountState::Pending => ("pending", None),
        AccountState::Cooling => ("cooling", None),
        AccountState::Waiting => ("waiting", None),
        AccountState::Expired => ("expired", None),
        AccountState::Dead(reason) => ("dead", Some(reason)),
    };
    let cooling = status.cooling.iter().map(|cooling| {
        json!({
            "limit": match cooling.limit {
                Limit::ModelCap => "model_cap",
                Limit::RateLimit => "rate_limit",
                Limit::Feature => "feature",
                Limit::Challenge => "challenge",
            },
            "model": cooling.model,
            "feature": cooling.feature.map(|feature| format!("{feature:?}").to_lowercase()),
            "ends_in_s": left(cooling.until),
        })
    });
    json!({
        "id": status.id.as_ref().map(ToString::to_string),
        "kind": status.kind.name(),
        "origin": status.origin,
        "plan": status.plan,
        "expires_at": status.expires_at.map(time),
        "state": state,
        "reason": reason,
        "cooling": cooling.collect::<Vec<_>>(),
        "in_flight": status.busy,
        "queued": status.queued,
        "unsaved": status.is_unsaved,
    })
}

fn pool(pool: &TokenPool) -> Value {
    let now = Instant::now();
    let tokens: Vec<Value> = pool
        .status()
        .iter()
        .map(|status| token(status, now))
        .collect();
    json!({ "count": pool.len(), "tokens": tokens })
}

fn token(status: &TokenStatus, now: Instant) -> Value {
    let seconds = |at: Instant| at.saturating_duration_since(now).as_secs();
    let (state, reason, wait) = match status.health {
        Health::Ok => ("ok", None, None),
        Health::Cooling { until } => ("cooling", None, Some(seconds(until))),
        Health::Dead { reason, probe_at } => {
            let state = if status.is_probed { "probing" } else { "dead" };
            (state, Some(reason), Some(seconds(probe_at)))
        }
    };
    json!({
        "id": status.id.to_string(),
        "origin": status.origin,
        "state": state,
        "reason": reason,
        "retry_in_s": wait,
        "in_flight": status.busy,
    })
}

fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}
