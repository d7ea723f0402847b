//! Asks upstreams that want it regularly whether they serve.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aurora_config::HealthCheck;
use aurora_sdk::{Body, Operation};
use http::{HeaderMap, Method};
use tokio::time::{MissedTickBehavior, interval};

use super::Upstream;
use super::trace::Trace;
use crate::providers::{Brought, Call, Tries, Visitor};
use crate::shared::Shared;

/// How often is looked whose check is due.
const ROUND: Duration = Duration::from_millis(250);

/// Runs until the gateway drains.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut due: HashMap<String, Instant> = HashMap::new();
    loop {
        tokio::select! {
            () = shared.draining.cancelled() => return,
            _ = rounds.tick() => {}
        }
        let snapshot = shared.cell.load();
        due.retain(|name, _| snapshot.upstreams.contains_key(name));
        for (name, upstream) in &snapshot.upstreams {
            let Some(settings) = &upstream.settings.health else {
                if due.remove(name).is_some() {
                    upstream.health.unchecked();
                }
                continue;
            };
            let now = Instant::now();
            if due.get(name).is_some_and(|at| *at > now) {
                continue;
            }
            // Never two at once.
            due.insert(name.clone(), now + settings.interval.max(settings.timeout));
            shared
                .tasks
                .spawn(check(Arc::clone(upstream), settings.clone()));
        }
    }
}

async fn check(upstream: Arc<Upstream>, settings: HealthCheck) {
    let lease = upstream.pool.as_ref();
    let lease = lease.and_then(|pool| pool.lease(Instant::now(), &[]).ok());
    let call = Call {
        operation: Operation::Models,
        method: Method::GET,
        path: settings.path.clone(),
        headers: HeaderMap::new(),
        body: Body::empty(),
        credential: lease.as_ref().map(|lease| lease.secret().clone()),
        model: None,
        tries: Tries {
            retry: aurora_config::Retry {
                attempts: 1,
                ..aurora_config::Retry::default()
            },
            trace: Arc::new(Trace::default()),
        },
        visitor: Arc::new(Visitor {
            owner: "health".into(),
            brought: Brought::Nothing,
            origin: None,
        }),
    };
    let answer = tokio::time::timeout(settings.timeout, upstream.provider.forward(call)).await;
    // A token that is refused is none of the upstream's illnesses.
    let is_good = matches!(&answer, Ok(Ok(answer)) if !answer.status.is_server_error());
    upstream
        .health
        .checked(&upstream.name, is_good, settings.failures);
}
