//! How often an upstream may be asked once more for one request: a share of its requests, so that repeats cannot multiply
//! an outage. It has no clock: time is an argument.

use std::time::Instant;

/// Repeats that are free, at once and again at one a second: few requests shall not have to earn theirs.
const FREE: f64 = 10.0;

/// The most that can be saved up.
const MOST: f64 = 100.0;

/// See the module.
#[derive(Debug)]
pub(super) struct Repeats {
    earned: f64,
    free: f64,
    at: Option<Instant>,
}

impl Default for Repeats {
    fn default() -> Self {
        Self {
            earned: 0.0,
            free: FREE,
            at: None,
        }
    }
}

impl Repeats {
    /// A request came: `share` of a repeat is earned.
    pub(super) fn earn(&mut self, share: f64) {
        self.earned = (self.earned + share).min(MOST);
    }

    /// Whether there is one to spend, which it then is.
    pub(super) fn spend(&mut self, now: Instant) -> bool {
        let passed = self
            .at
            .map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.at = Some(now);
        self.free = (self.free + passed).min(FREE);
        for purse in [&mut self.earned, &mut self.free] {
            if *purse >= 1.0 {
                *purse -= 1.0;
                return true;
            }
        }
        false
    }
}
