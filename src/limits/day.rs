//! What is used within a day of UTC, whatever clocks do.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

const SECONDS: u64 = 24 * 60 * 60;

/// A day and what is used of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Day {
    /// Counted from 1970.
    number: u64,
    used: u64,
    /// What was used when this day began: it counts again where the clock goes back.
    before: u64,
}

impl Day {
    /// Goes with the clock. The next day begins with nothing used. A clock that is put back takes its day along with all that is
    /// used, so that nothing is given twice, and the next midnight is the next one by that clock.
    pub(super) fn turn(&mut self, time: SystemTime) {
        let number = since_1970(time) / SECONDS;
        if number > self.number {
            *self = Self {
                number,
                used: 0,
                before: self.used,
            };
        } else if number < self.number {
            *self = Self {
                number,
                used: self.used.saturating_add(self.before),
                before: 0,
            };
        }
    }

    /// Uses `amount`.
    pub(super) fn add(&mut self, amount: u64, time: SystemTime) {
        self.turn(time);
        self.used = self.used.saturating_add(amount);
    }

    /// What is used.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// Whether there is anything to remember.
    pub(super) fn is_empty(&self) -> bool {
        self.used == 0 && self.before == 0
    }
}

/// The time until the next day.
pub(super) fn rest(time: SystemTime) -> Duration {
    Duration::from_secs(SECONDS - since_1970(time) % SECONDS)
}

fn since_1970(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(day: u64, hour: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_hours(24 * day + hour)
    }

    #[test]
    fn midnight_gives_a_fresh_budget() {
        let mut day = Day::default();
        day.add(5, at(20_000, 1));
        day.add(6, at(20_000, 23));
        assert_eq!(day.used(), 11);

        day.turn(at(20_001, 0));
        assert_eq!(day.used(), 0);
        assert_eq!(rest(at(20_001, 5)), Duration::from_hours(19));
        assert_eq!(rest(at(20_001, 0)), Duration::from_hours(24));
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_and_takes_nothing_for_good() {
        let mut day = Day::default();
        day.add(100, at(20_000, 23));
        // A year ahead by mistake, and back.
        day.add(5, at(20_365, 0));
        day.turn(at(20_000, 23));
        assert_eq!(day.used(), 105);
        day.turn(at(20_000, 1));
        assert_eq!(day.used(), 105);

        day.turn(at(20_001, 0));
        assert_eq!(day.used(), 0);
    }

    proptest! {
        #[test]
        fn only_a_later_midnight_gives_anything(
            jumps in prop::collection::vec((0..4_u64, 0..24_u64, 0..1000_u64), 1..40),
        ) {
            let mut day = Day::default();
            let mut last: u64 = 0;
            for (number, hour, amount) in jumps {
                let before = day.used();
                day.add(amount, at(number, hour));
                if number <= last {
                    prop_assert!(day.used() >= before + amount);
                }
                last = number;
            }
        }
    }
}
