//! Limits of client keys: requests and tokens within a minute, requests at once, tokens within a day.
//!
//! A request is admitted while nothing is used up. What it will cost is not known then: an estimate is reserved, and settled
//! with what it did cost. Counters stand outside of the snapshot, so a reload takes nothing from them.

mod bucket;
mod counters;
mod day;
mod ledger;

pub(crate) use counters::{Level, Refused};
pub(crate) use ledger::Ledger;

use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use aurora_config::Limits;

use counters::{Counters, Standing};

/// Both clocks: one that never jumps, and the one that knows the day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// For minutes.
    pub(crate) instant: Instant,
    /// For days.
    pub(crate) time: SystemTime,
}

impl Now {
    /// What the clocks say.
    pub(crate) fn read() -> Self {
        Self {
            instant: Instant::now(),
            time: SystemTime::now(),
        }
    }
}

/// One limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// `requests_per_minute`.
    RequestsPerMinute(u64),
    /// `tokens_per_minute`.
    TokensPerMinute(u64),
    /// `concurrent`.
    Concurrent(u64),
    /// `tokens_per_day`.
    TokensPerDay(u64),
}

impl Limit {
    /// The name of its setting.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RequestsPerMinute(_) => "requests_per_minute",
            Self::TokensPerMinute(_) => "tokens_per_minute",
            Self::Concurrent(_) => "concurrent",
            Self::TokensPerDay(_) => "tokens_per_day",
        }
    }

    fn number(self) -> u64 {
        match self {
            Self::RequestsPerMinute(number)
            | Self::TokensPerMinute(number)
            | Self::Concurrent(number)
            | Self::TokensPerDay(number) => number,
        }
    }
}

/// As an operator writes it.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.name(), self.number())
    }
}

/// The limits of a key, and what is used of them.
#[derive(Debug)]
pub(crate) struct KeyLimits {
    name: Arc<str>,
    settings: Limits,
    counters: Arc<Counters>,
}

impl KeyLimits {
    /// `settings` of the key called `name`, over `counters`.
    pub(crate) fn new(name: Arc<str>, settings: Limits, counters: Arc<Counters>) -> Self {
        Self {
            name,
            settings,
            counters,
        }
    }

    /// The key's name, which is not secret.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether tokens are counted.
    pub(crate) fn count_tokens(&self) -> bool {
        self.settings.count_tokens()
    }

    /// Lets a request in that may cost about `estimate` tokens; `None` where it costs none.
    ///
    /// # Errors
    /// The limit that is reached. Nothing is counted then.
    pub(crate) fn admit(
        self: &Arc<Self>,
        estimate: Option<u64>,
        now: Now,
    ) -> Result<Place, Refused> {
        self.counters.admit(&self.settings, estimate, now)?;
        Ok(Place {
            counters: Arc::clone(&self.counters),
            reserved: estimate.unwrap_or_default(),
            cost: 0,
        })
    }

    /// How much there is, and how much of it is left.
    pub(crate) fn standing(&self, now: Now) -> Standing {
        self.counters.standing(&self.settings, now)
    }
}

/// A request that was let in. It is under way until this drops, and is settled then.
#[derive(Debug)]
pub(crate) struct Place {
    counters: Arc<Counters>,
    reserved: u64,
    /// What it has cost, tokens.
    pub(crate) cost: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.counters.settle(self.reserved, self.cost, Now::read());
    }
}
