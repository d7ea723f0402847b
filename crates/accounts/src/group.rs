//! The seats of one account.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tokio::time::Instant;

use crate::seat::Seat;
use crate::shared::Context;
use crate::source::{Access, Readiness};
use crate::state::{Limit, Standing, State};
use crate::want::Want;

/// A seat and where it is written.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) seat: Arc<Seat>,
    /// `None` for a client's token.
    pub(crate) origin: Option<Origin>,
}

/// A line of a file.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) path: Arc<Path>,
    /// From 1.
    pub(crate) line: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

/// The seats of one account; one alone while its account is not known.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) state: Option<Arc<State>>,
    pub(crate) entries: Vec<Entry>,
}

/// Whether an account can serve a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fitness {
    /// It can, after an exchange perhaps.
    Fit,
    /// Later, because of a limit.
    Limited { until: Instant, limit: Limit },
    /// Later, because of its token.
    Waiting { until: Instant },
    /// Not with a token that is too old.
    Expired(String),
    /// Not by itself.
    Dead(String),
}

impl Group {
    /// Whether it can serve `want`.
    pub(crate) fn fitness(&self, want: &Want<'_>, cx: &Context) -> Fitness {
        let now = Instant::now();
        let standing = self
            .state
            .as_ref()
            .map(|state| state.standing(want.model, want.feature, now));
        match standing {
            Some(Standing::Limited { until, limit }) => Fitness::Limited { until, limit },
            Some(Standing::Dead(reason)) => Fitness::Dead(self.say(&reason)),
            Some(Standing::Ready) | None => self.readiness(cx),
        }
    }

    /// Whether one of its tokens can be used, or exchanged for one that can.
    pub(crate) fn readiness(&self, cx: &Context) -> Fitness {
        let mut best: Option<Fitness> = None;
        for entry in &self.entries {
            let fitness = match entry.seat.source.readiness(cx) {
                Readiness::Ready | Readiness::Renewable => return Fitness::Fit,
                Readiness::Waiting { until, limit: None } => Fitness::Waiting { until },
                Readiness::Waiting {
                    until,
                    limit: Some(limit),
                } => Fitness::Limited { until, limit },
                Readiness::Expired(reason) => Fitness::Expired(say(entry, &reason)),
                Readiness::Dead(reason) => Fitness::Dead(say(entry, &reason)),
            };
            if best
                .as_ref()
                .is_none_or(|best| fitness.rank() < best.rank())
            {
                best = Some(fitness);
            }
        }
        best.unwrap_or_else(|| Fitness::Dead(String::new()))
    }

    fn say(&self, reason: &str) -> String {
        self.entries
            .first()
            .map_or_else(|| reason.to_owned(), |entry| say(entry, reason))
    }

    /// The seat whose access token can be used, and that token; a device has none.
    pub(crate) fn seated(&self, cx: &Context) -> Option<(Arc<Seat>, Option<Access>)> {
        let device = self.entries.iter().find(|entry| !entry.seat.is_login());
        if let Some(entry) = device {
            return Some((Arc::clone(&entry.seat), None));
        }
        let seats = self.entries.iter().map(|entry| &entry.seat);
        let usable = seats.filter_map(|seat| Some((seat, seat.source.usable(cx)?)));
        // Of several the one that lasts longest; one that does not say lasts longer than all.
        let longest = usable.max_by_key(|(_, access)| access.expires_at.unwrap_or(u64::MAX));
        longest.map(|(seat, access)| (Arc::clone(seat), Some(access)))
    }

    /// A seat whose token can be exchanged now.
    pub(crate) fn renewable(&self, cx: &Context) -> Option<&Arc<Seat>> {
        let seats = self.entries.iter().map(|entry| &entry.seat);
        seats
            .filter(|seat| seat.source.kind.is_exchanged())
            .find(|seat| seat.source.readiness(cx) == Readiness::Renewable)
    }

    pub(crate) fn is_login(&self) -> bool {
        self.entries.iter().any(|entry| entry.seat.is_login())
    }

    /// The last use of any of its seats.
    pub(crate) fn used(&self) -> u64 {
        let used = self.entries.iter().map(|entry| entry.seat.used());
        used.max().unwrap_or_default()
    }

    /// Whether nobody has or waits for its turn. Who it is shows only after the exchange, so then it counts as free.
    pub(crate) fn is_free(&self) -> bool {
        self.state
            .as_ref()
            .is_none_or(|state| state.turns.is_free() && state.turns.queued() == 0)
    }

    pub(crate) fn load(&self) -> usize {
        self.state.as_ref().map_or(0, |state| state.load())
    }

    pub(crate) fn queued(&self) -> usize {
        self.state.as_ref().map_or(0, |state| state.turns.queued())
    }
}

impl Fitness {
    /// What will be fit sooner comes first.
    fn rank(&self) -> u8 {
        match self {
            Self::Fit => 0,
            Self::Waiting { .. } => 1,
            Self::Limited { .. } => 2,
            Self::Expired(_) => 3,
            Self::Dead(_) => 4,
        }
    }
}

fn say(entry: &Entry, reason: &str) -> String {
    match &entry.origin {
        Some(origin) => format!("{origin}: {reason}"),
        None => reason.to_owned(),
    }
}
