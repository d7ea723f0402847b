use super::breaker::{BROKEN_OFF, Breaker, Change, FAILED};
use super::repeats::Repeats;
use super::*;

const SETTINGS: Settings = Settings {
    failures: 4,
    share: 0.5,
    window: Duration::from_secs(8),
    open: Duration::from_secs(10),
};

fn after(start: Instant, ms: u64) -> Instant {
    start + Duration::from_millis(ms)
}

/// A breaker that has just opened at `now`.
fn opened(now: Instant) -> Breaker {
    let mut breaker = Breaker::default();
    for _ in 0..3 {
        assert_eq!(breaker.failed(FAILED, now, &SETTINGS), Change::None);
    }
    let change = breaker.failed(FAILED, now, &SETTINGS);
    assert_eq!(change, Change::Rests(Reason::Failing));
    breaker
}

#[test]
fn so_many_failures_open_it_and_the_rest_ends_with_one_probe() {
    let start = Instant::now();
    let mut breaker = opened(start);

    let rest = breaker.admit(after(start, 400)).unwrap_err();
    assert_eq!(rest.retry_after, Some(Duration::from_millis(600)));
    assert_eq!(rest.reason, Reason::Failing);
    assert_eq!(breaker.admit(after(start, 1_000)), Ok(true));
    let second = breaker.admit(after(start, 1_001)).unwrap_err();
    assert!(second.is_probed);
    let change = breaker.probe_succeeded(after(start, 1_002));
    assert_eq!(change, Change::Recovered);
    assert_eq!(breaker.admit(after(start, 1_003)), Ok(false));
    // The failures of before are forgotten.
    let change = breaker.failed(FAILED, after(start, 1_004), &SETTINGS);
    assert_eq!(change, Change::None);
}

#[test]
fn a_probe_that_fails_opens_it_again() {
    let start = Instant::now();
    let mut breaker = opened(start);

    assert_eq!(breaker.admit(after(start, 1_000)), Ok(true));
    let change = breaker.probe_failed(after(start, 1_500), &SETTINGS);

    assert_eq!(change, Change::Rests(Reason::Failing));
    let rest = breaker.admit(after(start, 2_000)).unwrap_err();
    assert_eq!(rest.retry_after, Some(Duration::from_millis(1_500)));
}

#[test]
fn rests_grow_up_to_a_limit_and_peace_begins_anew() {
    let start = Instant::now();
    let (mut breaker, mut now) = (opened(start), start);
    let mut rests = Vec::new();
    for _ in 0..6 {
        let rest = breaker.rest(now).unwrap().retry_after.unwrap();
        rests.push(rest.as_secs());
        now += rest;
        assert_eq!(breaker.admit(now), Ok(true));
        breaker.probe_failed(now, &SETTINGS);
    }
    assert_eq!(rests, [1, 2, 4, 8, 10, 10]);

    now += SETTINGS.open;
    for (peace, secs) in [(SETTINGS.window, 10), (SETTINGS.window * 2, 1)] {
        assert_eq!(breaker.admit(now), Ok(true));
        breaker.probe_succeeded(now);
        now += peace;
        for _ in 0..4 {
            breaker.failed(FAILED, now, &SETTINGS);
        }
        let rest = breaker.rest(now).unwrap().retry_after.unwrap();
        assert_eq!(rest.as_secs(), secs);
        now += rest;
    }
}

#[test]
fn a_probe_that_comes_to_nothing_makes_room_for_another() {
    let start = Instant::now();
    let mut breaker = opened(start);

    assert_eq!(breaker.admit(after(start, 1_000)), Ok(true));
    breaker.probe_is_off(after(start, 1_100));

    assert_eq!(breaker.admit(after(start, 1_100)), Ok(true));
}

#[test]
fn failures_that_are_few_among_many_leave_it_closed() {
    let start = Instant::now();
    let mut breaker = Breaker::default();

    for step in 0..1_000 {
        let now = after(start, step);
        breaker.succeeded(now, &SETTINGS);
        breaker.succeeded(now, &SETTINGS);
        assert_eq!(breaker.failed(FAILED, now, &SETTINGS), Change::None);
    }
}

#[test]
fn failures_are_forgotten_when_the_window_has_passed() {
    let start = Instant::now();
    let mut breaker = Breaker::default();

    for step in 0..100 {
        // Three within any eight seconds.
        let now = after(start, step * 3_000);
        assert_eq!(breaker.failed(FAILED, now, &SETTINGS), Change::None);
    }
}

#[test]
fn an_answer_that_breaks_off_counts_half() {
    let start = Instant::now();
    let mut breaker = Breaker::default();

    for _ in 0..7 {
        breaker.succeeded(start, &SETTINGS);
        assert_eq!(breaker.failed(BROKEN_OFF, start, &SETTINGS), Change::None);
    }
    breaker.succeeded(start, &SETTINGS);
    // Half of the weight of eight: the share is met exactly.
    let change = breaker.failed(BROKEN_OFF, start, &SETTINGS);
    assert_eq!(change, Change::Rests(Reason::Failing));
}

#[test]
fn the_longer_of_two_rests_holds() {
    let start = Instant::now();
    let mut breaker = Breaker::default();

    breaker.rests(after(start, 60_000), Reason::EdgeBlock);
    let change = breaker.rests(after(start, 1_000), Reason::AskedToWait);

    assert_eq!(change, Change::None);
    let rest = breaker.rest(start).unwrap();
    assert_eq!(rest.reason, Reason::EdgeBlock);
    assert_eq!(rest.retry_after, Some(Duration::from_mins(1)));
}

#[test]
fn a_failed_check_rests_it_until_one_passes() {
    let health = Health::default();
    let by = By {
        upstream: "one",
        settings: Some(SETTINGS),
    };

    health.checked("one", false, 2);
    assert!(health.admit(by, Instant::now()).is_ok());
    health.checked("one", false, 2);
    let rest = health.admit(by, Instant::now()).unwrap_err();
    assert_eq!((rest.reason, rest.retry_after), (Reason::FailsCheck, None));
    health.checked("one", true, 2);

    assert!(health.admit(by, Instant::now()).is_ok());
}

#[test]
fn a_pass_that_is_dropped_is_a_cancelled_attempt_and_frees_the_probe() {
    let health = Health::default();
    let by = By {
        upstream: "one",
        settings: Some(SETTINGS),
    };
    let now = Instant::now();
    health.state().breaker = opened(now.checked_sub(SETTINGS.open).unwrap());

    drop(health.admit(by, now).unwrap());
    let again = health.admit(by, Instant::now()).unwrap();
    assert!(health.admit(by, Instant::now()).is_err());
    again.settle(Outcome::Answered, None);

    assert!(health.rest(Instant::now()).is_none());
    let counted: Vec<_> = health.counts.by_outcome().filter(|(_, n)| *n > 0).collect();
    assert_eq!(counted, [(Outcome::Answered, 1), (Outcome::Cancelled, 1)]);
}

#[test]
fn without_settings_only_its_own_words_make_it_rest() {
    let health = Health::default();
    let by = By {
        upstream: "one",
        settings: None,
    };
    for _ in 0..100 {
        let pass = health.admit(by, Instant::now()).unwrap();
        pass.settle(Outcome::ServerError, None);
    }

    let pass = health.admit(by, Instant::now()).unwrap();
    pass.settle(Outcome::ServerError, Some(Duration::from_secs(7)));

    let rest = health.admit(by, Instant::now()).unwrap_err();
    assert_eq!(rest.reason, Reason::AskedToWait);
    let probe = health
        .admit(by, Instant::now() + Duration::from_secs(8))
        .unwrap();
    probe.settle(Outcome::ServerError, None);
    assert!(health.admit(by, Instant::now()).is_ok());
}

#[test]
fn so_many_wait_in_line_and_no_more() {
    let health = Arc::new(Health::default());

    let (first, second) = (health.queue(2), health.queue(2));
    assert!(first.is_some() && second.is_some());
    assert!(health.queue(2).is_none());
    assert_eq!(health.queued(), 2);
    drop(first);

    assert!(health.queue(2).is_some());
}

proptest::proptest! {
    /// Whatever happens: no more repeats than were earned, and those that are free.
    #[test]
    fn repeats_stay_within_their_share(
        share in 0.0..1.0_f64,
        steps in proptest::collection::vec((0_u64..500, proptest::bool::ANY), 0..400),
    ) {
        let start = Instant::now();
        let (mut repeats, mut ms) = (Repeats::default(), 0);
        let (mut requests, mut spent) = (0.0, 0.0);
        for (wait, is_repeat) in steps {
            ms += wait;
            if is_repeat {
                spent += f64::from(u8::from(repeats.spend(after(start, ms))));
            } else {
                repeats.earn(share);
                requests += 1.0;
            }
            let free = 10.0 + Duration::from_millis(ms).as_secs_f64();
            proptest::prop_assert!(spent <= share * requests + free + 1e-6);
        }
    }

    /// A breaker that is open lets nothing through before its time, and never two at once after it.
    #[test]
    fn an_open_breaker_lets_one_through_after_its_time(
        steps in proptest::collection::vec((0_u64..6_000, 0_u8..5), 1..200),
    ) {
        let start = Instant::now();
        let mut breaker = opened(start);
        let (mut ms, mut open_until, mut probing) = (0, Some(1_000), false);
        for (wait, what) in steps {
            ms += wait;
            let now = after(start, ms);
            match what {
                0 | 1 => {
                    let admitted = breaker.admit(now);
                    match open_until {
                        Some(until) if ms < until => proptest::prop_assert!(admitted.is_err()),
                        Some(_) if probing => proptest::prop_assert!(admitted.is_err()),
                        Some(_) => {
                            proptest::prop_assert_eq!(admitted, Ok(true));
                            probing = true;
                        }
                        None => proptest::prop_assert_eq!(admitted, Ok(false)),
                    }
                }
                2 if probing => {
                    breaker.probe_failed(now, &SETTINGS);
                    let rest = breaker.rest(now).and_then(|rest| rest.retry_after);
                    (open_until, probing) = (rest.map(|rest| ms + u64::try_from(rest.as_millis()).unwrap()), false);
                }
                3 if probing => {
                    breaker.probe_succeeded(now);
                    (open_until, probing) = (None, false);
                }
                // What began before the rest changes nothing.
                _ if open_until.is_some() => {
                    breaker.failed(FAILED, now, &SETTINGS);
                }
                _ => breaker.succeeded(now, &SETTINGS),
            }
        }
    }
}
