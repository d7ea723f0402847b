use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};
use secrecy::ExposeSecret;

use super::*;
use crate::{Health, Outcome};

mod model;

const SETTINGS: Settings = Settings {
    strategy: Strategy::RoundRobin,
    cooldown: Duration::from_mins(1),
    probe_dead: Duration::from_mins(10),
};

fn tokens(names: &[&str]) -> Vec<(SecretString, String)> {
    names
        .iter()
        .enumerate()
        .map(|(i, name)| ((*name).into(), format!("keys.txt:{}", i + 1)))
        .collect()
}

fn pool(strategy: Strategy) -> TokenPool {
    TokenPool::rebuild(
        None,
        tokens(&["a", "b", "c"]),
        Settings {
            strategy,
            ..SETTINGS
        },
    )
}

fn leased(pool: &TokenPool, now: Instant) -> String {
    pool.lease(now, &[])
        .unwrap()
        .secret()
        .expose_secret()
        .to_owned()
}

#[test]
fn a_dead_token_is_probed_by_one_request_at_its_time() {
    let (pool, now) = (pool(Strategy::Sticky), Instant::now());
    pool.lease(now, &[]).unwrap().settle(Outcome::Refused, now);
    let state = || {
        let first = pool.status().swap_remove(0);
        (matches!(first.health, Health::Dead { .. }), first.is_probed)
    };
    assert_eq!(state(), (true, false));

    let later = now + SETTINGS.probe_dead;
    let probe = pool.lease(later, &[]).unwrap();
    assert_eq!(state(), (true, true));
    let other = pool.lease(later, &[]).unwrap();
    assert_ne!(other.id(), probe.id());
    drop(probe);
    assert_eq!(state(), (true, false), "it came to nothing");

    let probe = pool.lease(later + SETTINGS.probe_dead, &[]).unwrap();
    probe.settle(Outcome::Accepted, later);
    assert_eq!(state(), (false, true));
    drop(probe);
    assert_eq!(state(), (false, false));
}

#[test]
fn round_robin_takes_turns() {
    let (pool, now) = (pool(Strategy::RoundRobin), Instant::now());

    let order: String = (0..6).map(|_| leased(&pool, now)).collect();

    assert_eq!(order, "abcabc");
}

#[test]
fn least_busy_prefers_idle_tokens() {
    let (pool, now) = (pool(Strategy::LeastBusy), Instant::now());

    let first = pool.lease(now, &[]).unwrap();
    let second = pool.lease(now, &[]).unwrap();
    let third = pool.lease(now, &[]).unwrap();
    drop(second);

    assert_eq!(first.secret().expose_secret(), "a");
    assert_eq!(third.secret().expose_secret(), "c");
    assert_eq!(leased(&pool, now), "b");
}

#[test]
fn sticky_stays_with_one_until_it_fails() {
    let (pool, now) = (pool(Strategy::Sticky), Instant::now());

    assert_eq!([leased(&pool, now), leased(&pool, now)], ["a", "a"]);
    pool.lease(now, &[])
        .unwrap()
        .settle(Outcome::RateLimited { retry_after: None }, now);

    assert_eq!(leased(&pool, now), "b");
}

#[test]
fn a_rate_limited_token_rests_and_the_next_one_serves() {
    let (pool, now) = (pool(Strategy::Sticky), Instant::now());
    let wait = Duration::from_secs(7);

    pool.lease(now, &[]).unwrap().settle(
        Outcome::RateLimited {
            retry_after: Some(wait),
        },
        now,
    );

    assert_eq!(leased(&pool, now), "b");
    assert_eq!(leased(&pool, now + wait), "a");
}

#[test]
fn a_dead_token_is_probed_once_per_period() {
    let now = Instant::now();
    let pool = TokenPool::rebuild(None, tokens(&["a"]), SETTINGS);

    pool.lease(now, &[]).unwrap().settle(Outcome::Refused, now);
    let later = now + SETTINGS.probe_dead;

    assert!(pool.lease(now, &[]).is_err());
    let probe = pool.lease(later, &[]).unwrap();
    assert_eq!(
        pool.lease(later, &[]).unwrap_err(),
        PoolExhausted {
            retry_after: Some(SETTINGS.probe_dead),
            cooling: 0,
            dead: 1
        }
    );
    probe.settle(Outcome::Accepted, later);
    assert!(pool.lease(later, &[]).is_ok());
}

#[test]
fn a_tried_token_is_not_leased_again() {
    let (pool, now) = (pool(Strategy::Sticky), Instant::now());
    let first = pool.lease(now, &[]).unwrap();

    let second = pool.lease(now, std::slice::from_ref(first.id())).unwrap();

    assert_eq!(second.secret().expose_secret(), "b");
}

#[test]
fn a_late_success_does_not_end_a_rest() {
    let now = Instant::now();
    let pool = TokenPool::rebuild(None, tokens(&["a"]), SETTINGS);
    let slow = pool.lease(now, &[]).unwrap();
    let limited = pool.lease(now, &[]).unwrap();

    limited.settle(Outcome::RateLimited { retry_after: None }, now);
    slow.settle(Outcome::Accepted, now);

    assert!(pool.lease(now, &[]).is_err());
}

#[test]
fn an_exhausted_pool_says_when_the_first_token_is_free() {
    let (pool, now) = (pool(Strategy::RoundRobin), Instant::now());
    for seconds in [30, 10, 20] {
        let wait = Some(Duration::from_secs(seconds));
        pool.lease(now, &[])
            .unwrap()
            .settle(Outcome::RateLimited { retry_after: wait }, now);
    }

    let exhausted = pool.lease(now, &[]).unwrap_err();

    assert_eq!(exhausted.retry_after, Some(Duration::from_secs(10)));
    assert_eq!(exhausted.cooling, 3);
}

#[test]
fn an_empty_pool_has_no_time_to_offer() {
    let pool = TokenPool::rebuild(None, [], SETTINGS);

    assert_eq!(
        pool.lease(Instant::now(), &[]).unwrap_err(),
        PoolExhausted {
            retry_after: None,
            cooling: 0,
            dead: 0
        }
    );
}

#[test]
fn health_survives_a_rebuild_and_new_tokens_start_well() {
    let now = Instant::now();
    let old = TokenPool::rebuild(None, tokens(&["a", "b"]), SETTINGS);
    old.lease(now, &[]).unwrap().settle(Outcome::Refused, now);

    let new = TokenPool::rebuild(Some(&old), tokens(&["c", "a", "a"]), SETTINGS);

    let health: Vec<_> = new
        .status()
        .iter()
        .map(|status| matches!(status.health, Health::Ok))
        .collect();
    assert_eq!(health, [true, false]);
    assert_eq!(new.status()[1].origin, "keys.txt:2");
}

#[test]
fn debug_never_shows_a_secret() {
    let pool = TokenPool::rebuild(None, tokens(&["sk-very-secret"]), SETTINGS);

    let lease = pool.lease(Instant::now(), &[]).unwrap();

    assert!(!format!("{pool:?} {lease:?}").contains("very-secret"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_happens_a_lease_is_only_given_while_usable(
        steps in proptest::collection::vec((0u64..200, 0u8..5), 1..60),
        least_busy in any::<bool>(),
    ) {
        let start = Instant::now();
        let pool = pool(if least_busy { Strategy::LeastBusy } else { Strategy::RoundRobin });
        let mut now = start;
        for (wait, outcome) in steps {
            now += Duration::from_secs(wait);
            let before = pool.status();
            match pool.lease(now, &[]) {
                Ok(lease) => {
                    let health = before.iter().find(|s| &s.id == lease.id()).unwrap().health;
                    let usable = match health {
                        Health::Ok => true,
                        Health::Cooling { until } => until <= now,
                        Health::Dead { probe_at, .. } => probe_at <= now,
                    };
                    prop_assert!(usable);
                    match outcome {
                        0 => lease.settle(Outcome::Accepted, now),
                        1 => lease.settle(Outcome::RateLimited { retry_after: None }, now),
                        2 => lease.settle(Outcome::Refused, now),
                        3 => lease.settle(Outcome::QuotaExhausted, now),
                        _ => {}
                    }
                }
                Err(exhausted) => prop_assert!(exhausted.retry_after.unwrap() > Duration::ZERO),
            }
            prop_assert!(pool.status().iter().all(|status| status.busy == 0));
        }
    }
}
