//! What one key has used. A lock of its own, held for nanoseconds: all limits are asked before anything is counted.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aurora_config::Limits;

use super::bucket::Bucket;
use super::day::{self, Day};
use super::{Limit, Now};

/// The most that one request can cost, tokens. More than any model takes: whoever says more is wrong, and must not lock a key out.
const MAX_COST: u64 = 10_000_000;

/// When to try again where nobody knows when something will be free.
const SOON: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(crate) struct Counters {
    began: Instant,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    /// Requests under way.
    running: u64,
    /// Tokens that those may cost.
    reserved: u64,
    day: Day,
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    /// What is reached.
    pub(crate) limit: Limit,
    /// When to try again.
    pub(crate) wait: Duration,
    /// Whether it is used up, and not only held by requests under way.
    pub(crate) is_used_up: bool,
}

/// How a key stands.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Standing {
    /// Of `requests_per_minute`.
    pub(crate) requests: Option<Level>,
    /// Of `tokens_per_minute`.
    pub(crate) tokens: Option<Level>,
    /// Of `concurrent`.
    pub(crate) concurrent: Option<Level>,
    /// Of `tokens_per_day`.
    pub(crate) day: Option<Level>,
}

/// How one limit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    /// What may be used.
    pub(crate) limit: u64,
    /// What is used, or reserved by requests under way.
    pub(crate) used: u64,
    /// When nothing of it will be used, if nothing else comes; zero where that is unknown.
    pub(crate) reset: Duration,
}

impl Level {
    /// What is left.
    pub(crate) fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

impl Counters {
    /// Nothing used.
    pub(super) fn new(began: Instant) -> Self {
        Self {
            began,
            used: Mutex::default(),
        }
    }

    /// Counts a request in, and reserves `estimate` tokens.
    ///
    /// # Errors
    /// The limit that is reached.
    pub(super) fn admit(
        &self,
        limits: &Limits,
        estimate: Option<u64>,
        now: Now,
    ) -> Result<(), Refused> {
        let at = self.since(now);
        let mut used = self.used();
        if let Some(limit) = limits.concurrent.map(|limit| u64::from(limit.get()))
            && used.running >= limit
        {
            return Err(refused(Limit::Concurrent(limit), SOON, false));
        }
        if estimate.is_some() {
            used.check_tokens(limits, at, now)?;
        }
        if let Some(limit) = limits.requests_per_minute {
            bucket(&mut used.requests, limit, at)
                .take(at)
                .map_err(|wait| {
                    refused(Limit::RequestsPerMinute(u64::from(limit.get())), wait, true)
                })?;
        }
        used.running = used.running.saturating_add(1);
        let estimate = estimate.unwrap_or_default();
        used.reserved = used.reserved.saturating_add(estimate);
        Ok(())
    }

    /// Counts a request out that had `reserved` tokens and cost `cost`.
    pub(super) fn settle(&self, reserved: u64, cost: u64, now: Now) {
        let at = self.since(now);
        let cost = cost.min(MAX_COST);
        let mut used = self.used();
        used.running = used.running.saturating_sub(1);
        used.reserved = used.reserved.saturating_sub(reserved);
        if cost > 0 {
            if let Some(tokens) = &mut used.tokens {
                tokens.add(cost, at);
            }
            used.day.add(cost, now.time);
        }
    }

    /// How things stand with `limits`.
    pub(super) fn standing(&self, limits: &Limits, now: Now) -> Standing {
        let at = self.since(now);
        let mut used = self.used();
        used.day.turn(now.time);
        let (reserved, running, day) = (used.reserved, used.running, used.day.used());
        let requests = limits.requests_per_minute.map(|limit| {
            let bucket = seen(used.requests, limit, at);
            level(limit, bucket.used(at), bucket.unused_in(at, 0))
        });
        let tokens = limits.tokens_per_minute.map(|limit| {
            let bucket = seen(used.tokens, limit, at);
            let taken = bucket.used(at).saturating_add(reserved);
            level(limit, taken, bucket.unused_in(at, reserved))
        });
        Standing {
            requests,
            tokens,
            concurrent: limits
                .concurrent
                .map(|limit| level(limit, running, Duration::ZERO)),
            day: limits.tokens_per_day.map(|limit| Level {
                limit: limit.get(),
                used: day.saturating_add(reserved),
                reset: day::rest(now.time),
            }),
        }
    }

    /// What is to be remembered of the day.
    pub(super) fn day(&self, now: Now) -> Day {
        let mut used = self.used();
        used.day.turn(now.time);
        used.day
    }

    /// Goes on with a day that was remembered.
    pub(super) fn remember(&self, day: Day) {
        self.used().day = day;
    }

    /// Whether these are as good as new ones.
    pub(super) fn is_unused(&self, now: Now) -> bool {
        let at = self.since(now);
        let mut used = self.used();
        used.day.turn(now.time);
        let is_empty = |bucket: &Option<Bucket>| bucket.is_none_or(|bucket| bucket.used(at) == 0);
        used.running == 0
            && used.day.is_empty()
            && is_empty(&used.requests)
            && is_empty(&used.tokens)
    }

    fn since(&self, now: Now) -> Duration {
        now.instant.saturating_duration_since(self.began)
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    fn check_tokens(&mut self, limits: &Limits, at: Duration, now: Now) -> Result<(), Refused> {
        let reserved = self.reserved;
        if let Some(limit) = limits.tokens_per_day.map(NonZeroU64::get) {
            self.day.turn(now.time);
            let is_used_up = self.day.used() >= limit;
            if is_used_up {
                return Err(refused(
                    Limit::TokensPerDay(limit),
                    day::rest(now.time),
                    true,
                ));
            }
            if self.day.used().saturating_add(reserved) >= limit {
                return Err(refused(Limit::TokensPerDay(limit), SOON, false));
            }
        }
        if let Some(limit) = limits.tokens_per_minute {
            let bucket = bucket(&mut self.tokens, limit, at);
            bucket.check(at, reserved).map_err(|wait| {
                let limit = Limit::TokensPerMinute(u64::from(limit.get()));
                // What requests under way hold may come back at once.
                let is_used_up = bucket.check(at, 0).is_err();
                refused(
                    limit,
                    if is_used_up { wait } else { wait.min(SOON) },
                    is_used_up,
                )
            })?;
        }
        Ok(())
    }
}

fn bucket(place: &mut Option<Bucket>, limit: NonZeroU32, at: Duration) -> &mut Bucket {
    let bucket = place.get_or_insert_with(|| Bucket::new(limit));
    bucket.limit(limit, at);
    bucket
}

/// A bucket as it would be with `limit`. It keeps its own: who asks may belong to an earlier snapshot.
fn seen(bucket: Option<Bucket>, limit: NonZeroU32, at: Duration) -> Bucket {
    let mut bucket = bucket.unwrap_or_else(|| Bucket::new(limit));
    bucket.limit(limit, at);
    bucket
}

fn refused(limit: Limit, wait: Duration, is_used_up: bool) -> Refused {
    Refused {
        limit,
        wait,
        is_used_up,
    }
}

fn level(limit: NonZeroU32, used: u64, reset: Duration) -> Level {
    Level {
        limit: u64::from(limit.get()),
        used,
        reset,
    }
}

#[cfg(test)]
mod tests;
