//! The time of day, which tokens carry.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Says the time of day; in tests it moves with the runtime's clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock {
    began: Option<(u64, Instant)>,
}

impl Clock {
    /// A clock that shows `seconds` since 1970 now.
    #[cfg(test)]
    pub(crate) fn at(seconds: u64) -> Self {
        Self {
            began: Some((seconds, Instant::now())),
        }
    }

    /// Seconds since 1970.
    pub(crate) fn seconds(self) -> u64 {
        match self.began {
            Some((seconds, began)) => seconds + began.elapsed().as_secs(),
            None => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs(),
        }
    }

    /// The time of day at `instant`.
    pub(crate) fn time_of(self, instant: Instant) -> SystemTime {
        let now = UNIX_EPOCH + Duration::from_secs(self.seconds());
        now + instant.saturating_duration_since(Instant::now())
    }
}
