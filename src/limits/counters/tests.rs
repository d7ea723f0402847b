use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use proptest::prelude::*;

use super::*;

fn limits(requests: u32, tokens: u32, concurrent: u32, day: u64) -> Limits {
    Limits {
        requests_per_minute: NonZeroU32::new(requests),
        tokens_per_minute: NonZeroU32::new(tokens),
        concurrent: NonZeroU32::new(concurrent),
        tokens_per_day: NonZeroU64::new(day),
    }
}

/// Noon of some day, and `seconds`.
fn at(began: Instant, seconds: u64) -> Now {
    let noon = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 20_000 + 12);
    Now {
        instant: began + Duration::from_secs(seconds),
        time: noon + Duration::from_secs(seconds),
    }
}

#[test]
fn a_refused_request_costs_nothing() {
    let began = Instant::now();
    let counters = Counters::new(began);
    let limits = limits(2, 0, 1, 0);

    counters.admit(&limits, None, at(began, 0)).unwrap();
    for _ in 0..5 {
        let refused = counters.admit(&limits, None, at(began, 0)).unwrap_err();
        assert_eq!((refused.limit, refused.wait), (Limit::Concurrent(1), SOON));
    }
    counters.settle(0, 0, at(began, 0));
    counters.admit(&limits, None, at(began, 0)).unwrap();
    counters.settle(0, 0, at(began, 0));

    let refused = counters.admit(&limits, None, at(began, 0)).unwrap_err();
    assert_eq!(refused.limit, Limit::RequestsPerMinute(2));
    assert_eq!(refused.wait, Duration::from_secs(30));
    counters.admit(&limits, None, at(began, 30)).unwrap();
}

#[test]
fn tokens_are_reserved_and_then_settled() {
    let began = Instant::now();
    let counters = Counters::new(began);
    let limits = limits(0, 60, 0, 0);
    let used = |seconds| {
        counters
            .standing(&limits, at(began, seconds))
            .tokens
            .unwrap()
            .used
    };

    counters.admit(&limits, Some(100), at(began, 0)).unwrap();
    assert_eq!(used(0), 100);
    let refused = counters.admit(&limits, Some(1), at(began, 0)).unwrap_err();
    assert_eq!(
        (refused.limit, refused.wait, refused.is_used_up),
        (Limit::TokensPerMinute(60), SOON, false)
    );

    counters.settle(100, 20, at(began, 0));
    assert_eq!(used(0), 20);
    counters.admit(&limits, Some(5), at(began, 0)).unwrap();
    counters.settle(5, 50, at(began, 0));
    let refused = counters.admit(&limits, Some(1), at(began, 0)).unwrap_err();
    assert_eq!(
        (refused.wait, refused.is_used_up),
        (Duration::from_secs(11), true)
    );
    // What costs no tokens is still let in.
    counters.admit(&limits, None, at(began, 0)).unwrap();
    assert_eq!(used(40), 30);
}

#[test]
fn a_day_that_is_used_up_comes_back_at_midnight() {
    let began = Instant::now();
    let counters = Counters::new(began);
    let limits = limits(0, 0, 0, 100);

    counters.admit(&limits, Some(1), at(began, 0)).unwrap();
    counters.settle(1, 99, at(began, 0));
    counters.admit(&limits, Some(1), at(began, 0)).unwrap();
    let held = counters.admit(&limits, Some(1), at(began, 0)).unwrap_err();
    assert_eq!((held.wait, held.is_used_up), (SOON, false));
    counters.settle(1, 1, at(began, 0));

    let refused = counters
        .admit(&limits, Some(1), at(began, 3600))
        .unwrap_err();
    assert_eq!(refused.limit, Limit::TokensPerDay(100));
    assert_eq!(
        (refused.wait, refused.is_used_up),
        (Duration::from_hours(11), true)
    );
    counters
        .admit(&limits, Some(1), at(began, 12 * 3600))
        .unwrap();
}

#[test]
fn other_limits_find_what_was_used() {
    let began = Instant::now();
    let counters = Counters::new(began);
    let now = at(began, 0);
    for _ in 0..3 {
        counters
            .admit(&limits(60, 1000, 0, 0), Some(0), now)
            .unwrap();
    }
    counters.settle(0, 500, now);

    let standing = counters.standing(&limits(10, 600, 2, 400), now);
    assert_eq!(standing.requests.map(|level| level.left()), Some(7));
    assert_eq!(standing.tokens.map(|level| level.left()), Some(100));
    assert_eq!(standing.concurrent.map(|level| level.used), Some(2));
    assert_eq!(standing.day.map(|level| level.left()), Some(0));
}

#[test]
fn a_cost_beyond_belief_locks_nobody_out_for_good() {
    let began = Instant::now();
    let counters = Counters::new(began);
    let limits = limits(0, 1_000_000, 0, 0);

    counters
        .admit(&limits, Some(u64::MAX), at(began, 0))
        .unwrap();
    counters.settle(u64::MAX, u64::MAX, at(began, 0));

    assert!(counters.admit(&limits, Some(1), at(began, 0)).is_err());
    counters.admit(&limits, Some(1), at(began, 600)).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn racing_clients_never_get_more_than_there_is(
        requests in 1..200_u32,
        concurrent in 1..6_u32,
        costs in prop::collection::vec(1..1000_u64, 8),
    ) {
        let began = Instant::now();
        let (counters, now) = (Counters::new(began), at(began, 0));
        let limits = limits(requests, 0, concurrent, u64::MAX);
        let (admitted, spent) = (AtomicU64::new(0), AtomicU64::new(0));
        let (running, most) = (AtomicU64::new(0), AtomicU64::new(0));

        std::thread::scope(|scope| {
            for cost in &costs {
                scope.spawn(|| for _ in 0..100 {
                    if counters.admit(&limits, Some(7), now).is_err() {
                        continue;
                    }
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    admitted.fetch_add(1, Ordering::SeqCst);
                    spent.fetch_add(*cost, Ordering::SeqCst);
                    running.fetch_sub(1, Ordering::SeqCst);
                    counters.settle(7, *cost, now);
                });
            }
        });

        prop_assert!(most.into_inner() <= u64::from(concurrent));
        let standing = counters.standing(&limits, now);
        prop_assert!(admitted.into_inner() <= u64::from(requests));
        prop_assert_eq!(standing.concurrent.unwrap().used, 0);
        prop_assert_eq!(standing.day.unwrap().used, spent.into_inner());
    }
}
