//! How an upstream has fared: whether it is asked at all, and how often again. It outlives reloads.

mod breaker;
mod counts;
mod repeats;

pub(crate) use breaker::{Reason, Rest};
pub(crate) use counts::Counts;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aurora_config::Breaker as Settings;

use super::outcome::Outcome;
use breaker::{Breaker, Change};
use repeats::Repeats;

/// The longest that an upstream as a whole rests because it asked for it.
const MAX_REST: Duration = Duration::from_mins(5);

/// How long an upstream rests whose edge asked for a browser.
const EDGE_REST: Duration = Duration::from_mins(1);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Health {
    state: Mutex<State>,
    queued: AtomicUsize,
    /// What came of the attempts.
    pub(crate) counts: Counts,
}

#[derive(Debug, Default)]
struct State {
    breaker: Breaker,
    repeats: Repeats,
    /// Health checks that failed in a row.
    failed_checks: u32,
}

impl Health {
    /// Held for nanoseconds and never across an await.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets an attempt through, unless the upstream rests.
    ///
    /// # Errors
    /// The rest that it takes.
    pub(crate) fn admit<'a>(&'a self, by: By<'a>, now: Instant) -> Result<Pass<'a>, Rest> {
        let is_probe = self.state().breaker.admit(now)?;
        Ok(Pass {
            health: self,
            by,
            is_probe,
            is_settled: false,
        })
    }

    /// A first attempt of a request: earns `share` of a later one.
    pub(crate) fn asked(&self, share: f64) {
        self.state().repeats.earn(share);
    }

    /// Whether the upstream may be asked once more for one request.
    pub(crate) fn may_repeat(&self, now: Instant) -> bool {
        let may = self.state().repeats.spend(now);
        if !may {
            self.counts.refused_repeat();
        }
        may
    }

    /// An answer that had begun well broke off.
    pub(crate) fn broke_off(&self, by: By<'_>, now: Instant) {
        let Some(settings) = by.settings else { return };
        let mut state = self.state();
        let change = state.breaker.failed(breaker::BROKEN_OFF, now, &settings);
        let rest = state.breaker.rest(now).and_then(|rest| rest.retry_after);
        drop(state);
        tell(change, by.upstream, rest.unwrap_or_default());
    }

    /// Notes a health check; `failures` in a row make the upstream rest until one succeeds.
    pub(crate) fn checked(&self, upstream: &str, is_good: bool, failures: u32) {
        let mut state = self.state();
        if is_good {
            state.failed_checks = 0;
            let was_down = state.breaker.check_passed();
            drop(state);
            if was_down {
                tracing::info!(upstream, "upstream passes its health check again");
            }
            return;
        }
        state.failed_checks = state.failed_checks.saturating_add(1);
        let goes_down = state.failed_checks >= failures && state.breaker.check_failed();
        let failed = state.failed_checks;
        drop(state);
        if goes_down {
            tracing::warn!(
                upstream,
                failed,
                "upstream fails its health check: it is not asked until it passes"
            );
        }
    }

    /// No health checks are made any more: what they said does not count.
    pub(crate) fn unchecked(&self) {
        let mut state = self.state();
        state.failed_checks = 0;
        state.breaker.check_passed();
    }

    /// The rest that it takes at `now`, if any.
    pub(crate) fn rest(&self, now: Instant) -> Option<Rest> {
        self.state().breaker.rest(now)
    }

    /// Waits in line, unless `most` do already. Dropping the ticket leaves.
    pub(crate) fn queue(self: &Arc<Self>, most: usize) -> Option<Queued> {
        let before = self.queued.fetch_add(1, Ordering::Relaxed);
        let ticket = Queued(Arc::clone(self));
        (before < most).then_some(ticket)
    }

    /// How many requests wait for a place.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }
}

/// Whose health it is, and what holds for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct By<'a> {
    pub(crate) upstream: &'a str,
    /// `None`: failures never make it rest.
    pub(crate) settings: Option<Settings>,
}

/// A place in line.
#[derive(Debug)]
pub(crate) struct Queued(Arc<Health>);

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Leave to make one attempt. Dropping it unsettled counts the attempt as cancelled.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    health: &'a Health,
    by: By<'a>,
    is_probe: bool,
    is_settled: bool,
}

impl Pass<'_> {
    /// Tells what came of the attempt, and how long the upstream asked to be left alone.
    pub(crate) fn settle(mut self, outcome: Outcome, retry_after: Option<Duration>) {
        self.is_settled = true;
        self.health.counts.count(outcome);
        let (change, rest) = self.judge(outcome, retry_after, Instant::now());
        tell(change, self.by.upstream, rest);
    }

    /// No attempt is made after all.
    pub(crate) fn give_back(mut self) {
        self.is_settled = true;
        self.probe_is_off();
    }

    /// What the outcome changes, and how long a rest would be.
    fn judge(&self, outcome: Outcome, wait: Option<Duration>, now: Instant) -> (Change, Duration) {
        let breaker = &mut self.health.state().breaker;
        match (outcome, wait) {
            (Outcome::Challenged, _) => {
                let change = breaker.rests(now + EDGE_REST, Reason::EdgeBlock);
                return (change, EDGE_REST);
            }
            (Outcome::ServerError, Some(wait)) => {
                let wait = wait.min(MAX_REST);
                return (breaker.rests(now + wait, Reason::AskedToWait), wait);
            }
            _ => {}
        }
        let is_bad = outcome.is_upstreams_fault();
        let Some(settings) = &self.by.settings else {
            // Nothing but its own words makes it rest, and that is over.
            let change = if self.is_probe {
                breaker.probe_succeeded(now)
            } else {
                Change::None
            };
            return (change, Duration::ZERO);
        };
        let change = match (is_bad, self.is_probe) {
            (true, true) => breaker.probe_failed(now, settings),
            (true, false) => breaker.failed(breaker::FAILED, now, settings),
            (false, true) => breaker.probe_succeeded(now),
            (false, false) => {
                breaker.succeeded(now, settings);
                Change::None
            }
        };
        let rest = breaker.rest(now).and_then(|rest| rest.retry_after);
        (change, rest.unwrap_or_default())
    }

    fn probe_is_off(&self) {
        if self.is_probe {
            self.health.state().breaker.probe_is_off(Instant::now());
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            self.health.counts.count(Outcome::Cancelled);
            self.probe_is_off();
        }
    }
}

/// Tells the operator what became of an upstream.
fn tell(change: Change, upstream: &str, time: Duration) {
    let for_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    match change {
        Change::None => {}
        Change::Rests(reason) => {
            let why = reason.as_str();
            tracing::warn!(upstream, why, for_ms, "upstream rests");
        }
        Change::Recovered => tracing::info!(upstream, "upstream serves again"),
    }
}

#[cfg(test)]
mod tests;
