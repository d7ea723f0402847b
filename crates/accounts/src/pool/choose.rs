//! Which account serves a request.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::AccountPool;
use crate::group::{Fitness, Group};
use crate::id::AccountId;
use crate::issuer::Issuer;
use crate::lease::{Count, Lease};
use crate::seat::Shares;
use crate::settings::Strategy;
use crate::shared::Context;
use crate::state::{Limit, State};
use crate::turn::Turn;
use crate::want::{Unavailable, Want};

/// A request does not wait for more exchanges than this.
const MAX_RENEWALS: usize = 8;

/// A request looks for the account that it is pinned to no longer than this.
const MAX_LOOKUP: Duration = Duration::from_secs(30);

/// When to try again where nobody can know.
pub(crate) const TRY_AGAIN: Duration = Duration::from_secs(10);

/// So many reasons are told.
const MAX_REASONS: usize = 8;

impl AccountPool {
    /// Leases an account that can serve `want`: with a valid token, and with its turn where one is wanted.
    ///
    /// Cancel safe: an exchange that it waits for goes on.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn lease(
        &self,
        want: Want<'_>,
        issuer: &Arc<dyn Issuer>,
    ) -> Result<Lease, Unavailable> {
        self.take_over();
        let deadline = Instant::now() + want.wait;
        if let Some(id) = want.pinned {
            self.look_for(id, issuer).await?;
        }
        let mut renewals = 0;
        loop {
            let group = self.choose(&want)?;
            let Some(state) = group
                .state
                .as_ref()
                .filter(|_| group.seated(&self.cx).is_some())
            else {
                if renewals == MAX_RENEWALS {
                    return Err(later());
                }
                renewals += 1;
                self.renew(&group, issuer).await;
                continue;
            };
            if !want.turn {
                match self.give(&group, state, &want, None) {
                    Some(lease) => return Ok(lease),
                    None => continue,
                }
            }
            let (group, turn) = match state.turns.take(&self.cx.shared) {
                Some(turn) => (group, turn),
                None => self.wait(&group, state, &want, deadline).await?,
            };
            // While it waited, its turn may have ended with a limit, or its token.
            let state = group.state.as_ref();
            let is_fit = group.fitness(&want, &self.cx) == Fitness::Fit;
            let lease = state.filter(|_| is_fit);
            if let Some(lease) = lease.and_then(|it| self.give(&group, it, &want, Some(turn))) {
                return Ok(lease);
            }
        }
    }

    /// Makes sure that the account is there. Seats whose account is not known yet may be of it: their tokens tell.
    async fn look_for(&self, id: &AccountId, issuer: &Arc<dyn Issuer>) -> Result<(), Unavailable> {
        let deadline = Instant::now() + MAX_LOOKUP;
        let mut retry_after: Option<Instant> = None;
        let is_it = |group: &Arc<Group>| group.state.as_ref().is_some_and(|it| it.id == *id);
        let is_there = || self.groups().iter().any(is_it);
        if is_there() {
            return Ok(());
        }
        let groups = self.groups();
        for group in groups.iter().filter(|group| group.state.is_none()) {
            if Instant::now() >= deadline {
                return Err(later());
            }
            self.renew(group, issuer).await;
            if is_there() {
                return Ok(());
            }
            if let Fitness::Waiting { until } | Fitness::Limited { until, .. } =
                group.readiness(&self.cx)
            {
                retry_after = Some(retry_after.map_or(until, |known| known.min(until)));
            }
        }
        match retry_after {
            Some(until) => Err(Unavailable::Later {
                retry_after: until.saturating_duration_since(Instant::now()),
            }),
            None if self.is_empty() => Err(Unavailable::NoAccounts),
            None => Err(Unavailable::PinnedGone),
        }
    }

    async fn renew(&self, group: &Group, issuer: &Arc<dyn Issuer>) {
        if let Some(seat) = group.renewable(&self.cx) {
            let seen = seat.source.access().map_or(0, |access| access.number);
            seat.source.renew(seen, issuer, &self.cx).await;
        }
    }

    /// The account that is next for `want`: one that is free, else the one with the shortest queue.
    fn choose(&self, want: &Want<'_>) -> Result<Arc<Group>, Unavailable> {
        let groups = self.groups();
        if groups.is_empty() {
            return Err(Unavailable::NoAccounts);
        }
        let mut tally = Tally::default();
        let fit: Vec<&Arc<Group>> = groups
            .iter()
            .filter(|group| tally.admits(group, want, &self.cx))
            .collect();
        // Devices serve where no login does.
        let has_login = fit.iter().any(|group| group.is_login());
        let fit = fit
            .into_iter()
            .filter(|group| group.is_login() == has_login);
        let fit: Vec<&Arc<Group>> = fit.collect();
        if fit.is_empty() {
            return Err(tally.verdict(want));
        }
        if !want.turn {
            return self.next(fit.into_iter()).ok_or_else(later);
        }
        if let Some(free) = self.next(fit.iter().copied().filter(|group| group.is_free())) {
            return Ok(free);
        }
        let shortest = fit.into_iter().min_by_key(|group| group.queued());
        shortest.cloned().ok_or_else(later)
    }

    fn next<'g>(&self, groups: impl Iterator<Item = &'g Arc<Group>>) -> Option<Arc<Group>> {
        let mut groups = groups;
        let next = match self.cx.settings.strategy {
            Strategy::RoundRobin => groups.min_by_key(|group| group.used()),
            Strategy::LeastBusy => groups.min_by_key(|group| (group.load(), group.used())),
            Strategy::Sticky => groups.next(),
        };
        next.cloned()
    }

    /// Waits for the turn of `group`, or of another account that gets free first.
    async fn wait(
        &self,
        group: &Arc<Group>,
        state: &Arc<State>,
        want: &Want<'_>,
        deadline: Instant,
    ) -> Result<(Arc<Group>, Turn), Unavailable> {
        let busy = Unavailable::Busy {
            retry_after: TRY_AGAIN,
        };
        let Some(place) = state.turns.queue() else {
            return Err(busy);
        };
        let shared = &self.cx.shared;
        let turn = place.turn(shared);
        tokio::pin!(turn);
        loop {
            let freed = shared.freed.notified();
            tokio::pin!(freed);
            // From here on no end of a turn is missed.
            freed.as_mut().enable();
            if let Some(other) = self.take_free(want) {
                return Ok(other);
            }
            tokio::select! {
                biased;
                turn = &mut turn => return turn.map(|turn| (Arc::clone(group), turn)).ok_or(busy),
                () = freed => {}
                () = sleep_until(deadline) => return Err(busy),
            }
        }
    }

    /// The turn of an account that is free, for one that waits elsewhere.
    fn take_free(&self, want: &Want<'_>) -> Option<(Arc<Group>, Turn)> {
        let group = self.choose(want).ok()?;
        group.seated(&self.cx)?;
        let turn = group.state.as_ref()?.turns.take(&self.cx.shared)?;
        Some((group, turn))
    }

    fn give(
        &self,
        group: &Arc<Group>,
        state: &Arc<State>,
        want: &Want<'_>,
        turn: Option<Turn>,
    ) -> Option<Lease> {
        if want.pinned.is_none() {
            for entry in &group.entries {
                entry.seat.mark_used(&self.cx);
            }
        }
        grant(group, state, turn, (&self.cx, Shares::Account))
    }
}

/// The lease of an account whose token can be used; `None` where it cannot any more.
pub(crate) fn grant(
    group: &Arc<Group>,
    state: &Arc<State>,
    turn: Option<Turn>,
    (cx, shares): (&Context, Shares),
) -> Option<Lease> {
    let (seat, access) = group.seated(cx)?;
    state.probe(Instant::now(), cx.settings.probe_dead);
    Some(Lease {
        cx: cx.clone(),
        group: Arc::clone(group),
        seat,
        access,
        shares,
        _turn: turn,
        _count: Count::new(state),
        state: Arc::clone(state),
    })
}

pub(crate) fn later() -> Unavailable {
    Unavailable::Later {
        retry_after: TRY_AGAIN,
    }
}

/// Why accounts cannot serve a request.
#[derive(Default)]
struct Tally {
    limited: Option<(Instant, Limit)>,
    waiting: Option<Instant>,
    reasons: Vec<String>,
    has_login: bool,
    has_tried: bool,
}

impl Tally {
    /// Whether `group` can serve `want`; if not, why.
    fn admits(&mut self, group: &Group, want: &Want<'_>, cx: &Context) -> bool {
        let id = group.state.as_ref().map(|state| &state.id);
        if want.pinned.is_some_and(|pinned| id != Some(pinned)) {
            return false;
        }
        self.has_login |= group.is_login();
        if want.login && !group.is_login() {
            return false;
        }
        match group.fitness(want, cx) {
            Fitness::Fit => {
                let is_tried = id.is_some_and(|id| want.tried.contains(id));
                self.has_tried |= is_tried;
                return !is_tried;
            }
            Fitness::Limited { until, limit } => {
                if self.limited.is_none_or(|(known, _)| until < known) {
                    self.limited = Some((until, limit));
                }
            }
            Fitness::Waiting { until } => {
                self.waiting = Some(self.waiting.map_or(until, |known| known.min(until)));
            }
            Fitness::Expired(reason) | Fitness::Dead(reason) => {
                if self.reasons.len() < MAX_REASONS {
                    self.reasons.push(reason);
                }
            }
        }
        false
    }

    fn verdict(self, want: &Want<'_>) -> Unavailable {
        let from_now = |until: Instant| until.saturating_duration_since(Instant::now());
        if want.login && !self.has_login {
            return Unavailable::NeedsLogin;
        }
        match (self.limited, self.waiting) {
            (Some((until, kind)), _) => Unavailable::Limited {
                retry_after: from_now(until),
                kind,
            },
            (None, Some(until)) => Unavailable::Later {
                retry_after: from_now(until),
            },
            (None, None) if self.has_tried => later(),
            (None, None) => Unavailable::Dead {
                reasons: self.reasons,
            },
        }
    }
}
