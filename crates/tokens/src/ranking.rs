//! Who serves next: the tokens of one pool in order, so that neither a lease nor a refusal looks at all of them.
//!
//! The tokens hold the truth and report each change here, under their own lock. Locks are taken in this order only:
//! a token's, then a ranking's.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use crate::pool::{PoolExhausted, Strategy};
use crate::token::{Health, Standing};

/// Where a token stands among those that may be used: dead ones behind others, then by requests under way, then as
/// written. The first two count for [`Strategy::LeastBusy`] only and are 0 elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    dead: bool,
    busy: u32,
    number: u32,
}

impl Rank {
    /// The rank of token `number` where load does not count.
    pub(crate) const fn numbered(number: u32) -> Self {
        Self {
            dead: false,
            busy: 0,
            number,
        }
    }

    /// The token's number in its pool.
    pub(crate) const fn number(self) -> u32 {
        self.number
    }
}

/// The tokens of a pool in order.
#[derive(Debug)]
pub(crate) struct Ranking {
    by_load: bool,
    ranks: Mutex<Ranks>,
}

#[derive(Debug, Default)]
struct Ranks {
    usable: BTreeSet<Rank>,
    /// Those that rest, by the end of it.
    resting: BTreeSet<(Instant, Rank)>,
    /// Those whose rest is over though no request took them since; they are among `usable` too.
    rested: BTreeSet<(Instant, Rank)>,
    cooling: usize,
    dead: usize,
}

impl Ranking {
    pub(crate) fn new(strategy: Strategy) -> Self {
        Self {
            by_load: strategy == Strategy::LeastBusy,
            ranks: Mutex::default(),
        }
    }

    /// Held for the time of a few steps in a tree.
    fn ranks(&self) -> MutexGuard<'_, Ranks> {
        self.ranks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rank(&self, number: u32, standing: &Standing) -> Rank {
        if self.by_load {
            Rank {
                dead: matches!(standing.health, Health::Dead { .. }),
                busy: standing.busy,
                number,
            }
        } else {
            Rank::numbered(number)
        }
    }

    fn enter(&self, number: u32, standing: &Standing) {
        let rank = self.rank(number, standing);
        self.ranks().insert(rank, &standing.health);
    }

    /// The first token within `bounds` that may be used at `now` and is `wanted`.
    pub(crate) fn first(
        &self,
        now: Instant,
        bounds: (Bound<Rank>, Bound<Rank>),
        wanted: impl Fn(u32) -> bool,
    ) -> Option<Rank> {
        let mut ranks = self.ranks();
        ranks.end_rests(now);
        let mut usable = ranks.usable.range(bounds);
        usable.find(|rank| wanted(rank.number)).copied()
    }

    /// What there is to say when no token may be used.
    pub(crate) fn exhausted(&self, now: Instant) -> PoolExhausted {
        let ranks = self.ranks();
        let ends = [ranks.rested.first(), ranks.resting.first()];
        let soonest = ends.into_iter().flatten().map(|(end, _)| *end).min();
        PoolExhausted {
            retry_after: soonest.map(|end| end.saturating_duration_since(now)),
            cooling: ranks.cooling,
            dead: ranks.dead,
        }
    }
}

impl Ranks {
    fn count(&mut self, health: &Health) -> Option<&mut usize> {
        match health {
            Health::Ok => None,
            Health::Cooling { .. } => Some(&mut self.cooling),
            Health::Dead { .. } => Some(&mut self.dead),
        }
    }

    fn insert(&mut self, rank: Rank, health: &Health) {
        match health.ready_at() {
            None => self.usable.insert(rank),
            Some(end) => self.resting.insert((end, rank)),
        };
        if let Some(count) = self.count(health) {
            *count += 1;
        }
    }

    fn remove(&mut self, rank: Rank, health: &Health) {
        let rests = health.ready_at().is_some_and(|end| {
            self.resting.remove(&(end, rank)) || !self.rested.remove(&(end, rank))
        });
        if !rests {
            self.usable.remove(&rank);
        }
        if let Some(count) = self.count(health) {
            *count -= 1;
        }
    }

    fn end_rests(&mut self, now: Instant) {
        while let Some(first) = self.resting.first().copied()
            && first.0 <= now
        {
            self.resting.remove(&first);
            self.rested.insert(first);
            self.usable.insert(first.1);
        }
    }
}

/// A token's place in the ranking of a pool.
#[derive(Debug)]
pub(crate) struct Place {
    /// Pools come and go with snapshots of the config; tokens outlive them.
    ranking: Weak<Ranking>,
    number: u32,
    by_load: bool,
}

impl Place {
    /// Enters token `number` with the `standing` that it has.
    pub(crate) fn enter(ranking: &Arc<Ranking>, number: u32, standing: &Standing) -> Self {
        ranking.enter(number, standing);
        Self {
            ranking: Arc::downgrade(ranking),
            number,
            by_load: ranking.by_load,
        }
    }

    /// Whether the pool is still there.
    pub(crate) fn is_live(&self) -> bool {
        self.ranking.strong_count() > 0
    }

    /// Tells that the token's standing changed.
    pub(crate) fn changed(&self, before: &Standing, after: &Standing) {
        // Where load does not count, most requests end here, before anything that threads share.
        if before.health == after.health && (!self.by_load || before.busy == after.busy) {
            return;
        }
        let Some(ranking) = self.ranking.upgrade() else {
            return;
        };
        let (old, new) = (
            ranking.rank(self.number, before),
            ranking.rank(self.number, after),
        );
        let mut ranks = ranking.ranks();
        ranks.remove(old, &before.health);
        ranks.insert(new, &after.health);
    }
}
