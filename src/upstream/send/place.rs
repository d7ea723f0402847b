//! What an attempt needs beforehand: an upstream that does not rest, one of its places, a token.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aurora_tokens::{Lease, PoolExhausted, TokenId};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::OwnedSemaphorePermit;

use crate::upstream::Upstream;
use crate::upstream::health::{Pass, Rest};

/// Everything that an attempt holds.
pub(super) struct Place<'a> {
    pub(super) pass: Pass<'a>,
    pub(super) permit: OwnedSemaphorePermit,
    pub(super) lease: Option<Lease>,
}

/// Why there is no place.
pub(super) enum NoPlace {
    /// The upstream rests.
    Resting(Rest),
    /// All places are taken.
    Full,
    /// No token may be used.
    Tokens(PoolExhausted),
}

/// Takes a place at `upstream`; `permit` is one that was waited for.
pub(super) fn take<'a>(
    upstream: &'a Upstream,
    permit: Option<OwnedSemaphorePermit>,
    tried: &[TokenId],
) -> Result<Place<'a>, NoPlace> {
    let now = Instant::now();
    let pass = upstream.health.admit(upstream.by(), now);
    let pass = pass.map_err(NoPlace::Resting)?;
    let free = || Arc::clone(&upstream.slots).try_acquire_owned().ok();
    let Some(permit) = permit.or_else(free) else {
        pass.give_back();
        return Err(NoPlace::Full);
    };
    let lease = match &upstream.pool {
        None => None,
        Some(pool) => match pool.lease(now, tried) {
            Ok(lease) => Some(lease),
            Err(exhausted) => {
                pass.give_back();
                return Err(NoPlace::Tokens(exhausted));
            }
        },
    };
    Ok(Place {
        pass,
        permit,
        lease,
    })
}

impl NoPlace {
    /// The reason in words, and when it may be over.
    pub(super) fn words(&self, upstream: &Upstream) -> (String, Option<Duration>) {
        let name = &upstream.name;
        match self {
            Self::Resting(rest) => {
                let now = if rest.is_probed {
                    ", and one request tries it now"
                } else {
                    ""
                };
                let reason = format!("`{name}` rests: {}{now}", rest.reason.as_str());
                (reason, rest.retry_after)
            }
            Self::Full => {
                let limit = upstream.settings.max_concurrency;
                let reason = format!("`{name}` serves its limit of {limit} requests");
                (reason, Some(Duration::from_secs(1)))
            }
            Self::Tokens(exhausted) => {
                let (cooling, dead) = (exhausted.cooling, exhausted.dead);
                let reason = match cooling + dead {
                    0 => format!("`{name}` has no tokens"),
                    _ => format!("`{name}`: {cooling} tokens rest, {dead} are refused"),
                };
                (reason, exhausted.retry_after)
            }
        }
    }
}

/// Waits for a place at one of the upstreams that are full. `None`: none has come in time, or too many wait already.
pub(super) async fn wait<'a>(
    full: &[&'a Arc<Upstream>],
    since: Instant,
) -> Option<(&'a Arc<Upstream>, OwnedSemaphorePermit)> {
    let mut waiting: FuturesUnordered<_> = full
        .iter()
        .filter_map(|upstream| {
            let settings = &upstream.settings;
            let ticket = upstream.health.queue(settings.max_queue)?;
            let left = settings.queue_wait.saturating_sub(since.elapsed());
            let slots = Arc::clone(&upstream.slots);
            Some(async move {
                let permit = tokio::time::timeout(left, slots.acquire_owned()).await;
                drop(ticket);
                Some((*upstream, permit.ok()?.ok()?))
            })
        })
        .collect();
    while let Some(found) = waiting.next().await {
        if found.is_some() {
            return found;
        }
    }
    None
}
