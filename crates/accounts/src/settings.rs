//! What holds for all accounts of a pool.

use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::clock::Clock;

/// What the lines of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Access tokens.
    Access,
    /// Refresh tokens.
    Refresh,
    /// Session tokens, each good for one exchange.
    Session,
    /// Ids of devices: no login.
    Device,
}

impl Kind {
    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Access => "access token",
            Self::Refresh => "refresh token",
            Self::Session => "session token",
            Self::Device => "device id",
        }
    }

    /// Whether its lines can be exchanged for access tokens.
    pub(crate) fn is_exchanged(self) -> bool {
        matches!(self, Self::Refresh | Self::Session)
    }
}

/// How a pool picks among the accounts that may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// The one whose last use is longest ago.
    #[default]
    RoundRobin,
    /// The one with the fewest requests under way.
    LeastBusy,
    /// The first one, until it may not be used.
    Sticky,
}

/// What holds for all accounts of a pool.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// How an account is picked.
    pub strategy: Strategy,
    /// Rest after a limit that names no time.
    pub cooldown: Duration,
    /// When an account that the service refuses is tried again.
    pub probe_dead: Duration,
    /// Runs the exchanges: shutdown can wait for them.
    pub tasks: TaskTracker,
    pub(crate) clock: Clock,
}

impl PoolSettings {
    /// Settings whose exchanges run in `tasks`.
    pub fn new(
        strategy: Strategy,
        cooldown: Duration,
        probe_dead: Duration,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            strategy,
            cooldown,
            probe_dead,
            tasks,
            clock: Clock::default(),
        }
    }
}
