//! How much of a minute's allowance is used: the generic cell rate algorithm of `governor`.
//!
//! `governor` is handed its state and its clock for each question, since it can neither be asked without taking, nor change a
//! limit, nor take back. Only its judgement is needed, and time stays an argument.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

/// The furthest that anything can be used ahead, nanoseconds: a century is never, and far from where numbers end.
const MAX_AHEAD: u64 = 100 * 366 * 24 * 60 * 60 * 1_000_000_000;

/// So many a minute: all at once, or as they come back one by one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    limit: NonZeroU32,
    /// When nothing is used any more, nanoseconds since the counters began.
    unused_at: u64,
}

impl Bucket {
    /// Nothing used.
    pub(super) fn new(limit: NonZeroU32) -> Self {
        Self {
            limit,
            unused_at: 0,
        }
    }

    /// Another limit. What was used counts on; nobody waits longer than a minute for what fewer requests would have been.
    pub(super) fn limit(&mut self, limit: NonZeroU32, now: Duration) {
        if limit == self.limit {
            return;
        }
        let ahead = self.ahead(now);
        let used =
            u128::from(ahead) * u128::from(interval(limit)) / u128::from(interval(self.limit));
        let full = interval(limit).saturating_mul(u64::from(limit.get()));
        let used = u64::try_from(used).unwrap_or(u64::MAX).min(full.max(ahead));
        self.limit = limit;
        self.unused_at = nanos(now).saturating_add(used);
    }

    /// Takes one.
    ///
    /// # Errors
    /// The time until there is one.
    pub(super) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        let ahead = self.judged(now, 0)?;
        self.unused_at = nanos(now).saturating_add(ahead);
        Ok(())
    }

    /// Whether there is one beside `reserved` others.
    ///
    /// # Errors
    /// The time until there is, should the others be used.
    pub(super) fn check(&self, now: Duration, reserved: u64) -> Result<(), Duration> {
        self.judged(now, reserved).map(|_| ())
    }

    /// Uses `amount`, be it there or not: what is too much is paid off in the time that follows.
    pub(super) fn add(&mut self, amount: u64, now: Duration) {
        let more = interval(self.limit).saturating_mul(amount);
        let ahead = self.ahead(now).saturating_add(more).min(MAX_AHEAD);
        self.unused_at = nanos(now).saturating_add(ahead);
    }

    /// How many are used.
    pub(super) fn used(&self, now: Duration) -> u64 {
        self.ahead(now).div_ceil(interval(self.limit))
    }

    /// The time until `reserved` and all that is used are back.
    pub(super) fn unused_in(&self, now: Duration, reserved: u64) -> Duration {
        let reserved = interval(self.limit).saturating_mul(reserved);
        Duration::from_nanos(self.ahead(now).saturating_add(reserved).min(MAX_AHEAD))
    }

    fn ahead(&self, now: Duration) -> u64 {
        self.unused_at.saturating_sub(nanos(now))
    }

    /// What is used with one more.
    fn judged(&self, now: Duration, reserved: u64) -> Result<u64, Duration> {
        let ahead = nanos(self.unused_in(now, reserved));
        let limiter = RateLimiter::<_, _, _, NoOpMiddleware<Duration>>::new(
            Quota::per_minute(self.limit),
            Ahead(Cell::new(ahead)),
            At(now),
        );
        match limiter.check() {
            Ok(()) => Ok(limiter.into_state_store().0.get()),
            Err(until) => Err(until.wait_time_from(now)),
        }
    }
}

/// The time in which one comes back, nanoseconds; never 0.
fn interval(limit: NonZeroU32) -> u64 {
    nanos(Quota::per_minute(limit).replenish_interval()).max(1)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The moment of the question.
struct At(Duration);

impl Clock for At {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0
    }
}

/// What is used, as time from the moment of the question on. `governor` counts from the moment a limiter is made: from this one.
struct Ahead(Cell<u64>);

impl StateStore for Ahead {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, judge: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (outcome, next) = judge(Some(self.0.get().into()))?;
        self.0.set(next.as_u64());
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bucket(limit: u32) -> Bucket {
        Bucket::new(NonZeroU32::new(limit).unwrap())
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1000 + seconds)
    }

    #[test]
    fn so_many_at_once_and_then_one_by_one() {
        let mut bucket = bucket(60);

        let burst = (0..100).filter(|_| bucket.take(at(0)).is_ok()).count();
        assert_eq!((burst, bucket.used(at(0))), (60, 60));
        assert_eq!(bucket.take(at(0)), Err(Duration::from_secs(1)));
        assert_eq!(bucket.take(at(1)), Ok(()));
        assert_eq!(bucket.take(at(1)), Err(Duration::from_secs(1)));
        assert_eq!(bucket.used(at(31)), 30);
        assert_eq!(bucket.used(at(61)), 0);
    }

    #[test]
    fn what_is_reserved_is_not_there_and_comes_back() {
        let mut bucket = bucket(60);
        bucket.add(50, at(0));

        assert_eq!(bucket.check(at(0), 9), Ok(()));
        assert_eq!(bucket.check(at(0), 10), Err(Duration::from_secs(1)));
        assert_eq!(bucket.check(at(0), 0), Ok(()));
        assert_eq!(bucket.used(at(0)), 50);
        assert_eq!(bucket.unused_in(at(0), 11), Duration::from_secs(61));
    }

    #[test]
    fn what_was_too_much_is_paid_off() {
        let mut bucket = bucket(60);
        bucket.add(180, at(0));

        assert_eq!(bucket.check(at(0), 0), Err(Duration::from_secs(121)));
        assert_eq!(bucket.check(at(121), 0), Ok(()));
        bucket.add(u64::MAX, at(121));
        bucket.add(u64::MAX, at(121));
        assert!(bucket.check(at(121), u64::MAX).is_err());
    }

    #[test]
    fn what_was_used_counts_against_another_limit() {
        let limit = |number| NonZeroU32::new(number).unwrap();
        let mut bucket = bucket(60);
        bucket.add(30, at(0));

        bucket.limit(limit(120), at(0));
        assert_eq!(bucket.used(at(0)), 30);
        bucket.limit(limit(40), at(0));
        assert_eq!(bucket.used(at(0)), 30);
        // It would take five minutes to get back what was used; a minute ago it was allowed.
        bucket.limit(limit(6), at(0));
        assert_eq!(bucket.take(at(0)), Err(Duration::from_secs(10)));
        assert_eq!(bucket.used(at(60)), 0);
    }

    proptest! {
        #[test]
        fn no_order_of_requests_gets_more_than_the_burst_and_what_came_back(
            limit in 1..2000_u32,
            steps in prop::collection::vec((0..5_000_u64, 1..50_usize), 1..60),
        ) {
            let mut bucket = bucket(limit);
            let (mut now, mut taken, mut passed) = (at(0), 0_u64, 0);
            for (millis, tries) in steps {
                now += Duration::from_millis(millis);
                passed += millis * 1_000_000;
                taken += (0..tries).filter(|_| bucket.take(now).is_ok()).count() as u64;
                prop_assert!(taken <= u64::from(limit) + passed / interval(bucket.limit));
            }
        }

        #[test]
        fn amounts_add_up(amounts in prop::collection::vec(0..10_000_u64, 0..50), limit in 1..1_000_000_u32) {
            let mut bucket = bucket(limit);
            for amount in &amounts {
                bucket.add(*amount, at(0));
            }
            prop_assert_eq!(bucket.used(at(0)), amounts.iter().sum::<u64>());
        }
    }
}
