//! Pools beside a model of them that looks at every token each time.

use proptest::prelude::{Just, Strategy as _, prop_assert_eq, prop_oneof};
use proptest::sample::subsequence;

use super::*;

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    /// Lease from one of the pools, at a time that lies `back` seconds before the latest, without the tokens of the last
    /// `tried` leases.
    Lease {
        pool: usize,
        back: u64,
        tried: usize,
    },
    Settle(usize, Outcome),
    Drop(usize),
    /// A new pool after the newest one, which stays or goes.
    Rebuild {
        names: Vec<&'static str>,
        strategy: Strategy,
        stays: bool,
    },
}

fn strategies() -> impl proptest::strategy::Strategy<Value = Strategy> {
    prop_oneof![
        Just(Strategy::RoundRobin),
        Just(Strategy::LeastBusy),
        Just(Strategy::Sticky)
    ]
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    let outcome = prop_oneof![
        Just(Outcome::Accepted),
        Just(Outcome::Refused),
        Just(Outcome::QuotaExhausted),
        Just(Outcome::RateLimited { retry_after: None }),
        (0u64..90).prop_map(|seconds| Outcome::RateLimited {
            retry_after: Some(Duration::from_secs(seconds)),
        }),
    ];
    let step = prop_oneof![
        2 => (0u64..300).prop_map(Step::Wait),
        8 => (0usize..4, 0u64..9, 0usize..4)
            .prop_map(|(pool, back, tried)| Step::Lease { pool, back, tried }),
        4 => (0usize..9, outcome).prop_map(|(lease, outcome)| Step::Settle(lease, outcome)),
        3 => (0usize..9).prop_map(Step::Drop),
        1 => (subsequence(NAMES.to_vec(), 0..=8).prop_shuffle(), strategies(), any::<bool>())
            .prop_map(|(names, strategy, stays)| Step::Rebuild { names, strategy, stays }),
    ];
    proptest::collection::vec(step, 1..120)
}

struct ModelPool {
    /// Name, and place in [`Model::tokens`].
    tokens: Vec<(&'static str, usize)>,
    strategy: Strategy,
    next: usize,
}

#[derive(Default)]
struct Model {
    tokens: Vec<(Health, usize)>,
}

impl Model {
    fn rebuild(
        &mut self,
        previous: Option<&ModelPool>,
        names: &[&'static str],
        strategy: Strategy,
    ) -> ModelPool {
        let known = |name| {
            let tokens = previous.map_or(&[][..], |pool| &pool.tokens);
            tokens.iter().find(|(known, _)| *known == name).copied()
        };
        let tokens = names.iter().map(|name| {
            known(*name).unwrap_or_else(|| {
                self.tokens.push((Health::Ok, 0));
                (*name, self.tokens.len() - 1)
            })
        });
        ModelPool {
            tokens: tokens.collect(),
            strategy,
            next: previous.map_or(0, |pool| pool.next),
        }
    }

    fn lease(
        &mut self,
        pool: &mut ModelPool,
        now: Instant,
        tried: &[&str],
    ) -> Result<(&'static str, usize), PoolExhausted> {
        let mut order = pool.tokens.clone();
        match pool.strategy {
            Strategy::RoundRobin => {
                order.rotate_left(pool.next % pool.tokens.len().max(1));
                pool.next += 1;
            }
            Strategy::Sticky => {}
            Strategy::LeastBusy => order.sort_by_key(|(_, token)| {
                let (health, busy) = self.tokens[*token];
                (matches!(health, Health::Dead { .. }), busy)
            }),
        }
        let usable = |health: Health| health.ready_at().is_none_or(|at| at <= now);
        let found = order
            .iter()
            .find(|(name, token)| !tried.contains(name) && usable(self.tokens[*token].0));
        let Some(found) = found else {
            return Err(self.exhausted(pool, now));
        };
        let (health, busy) = &mut self.tokens[found.1];
        *busy += 1;
        *health = match *health {
            Health::Dead { reason, .. } => Health::Dead {
                reason,
                probe_at: now + SETTINGS.probe_dead,
            },
            Health::Ok | Health::Cooling { .. } => Health::Ok,
        };
        Ok(*found)
    }

    fn exhausted(&self, pool: &ModelPool, now: Instant) -> PoolExhausted {
        let healths = || pool.tokens.iter().map(|(_, token)| self.tokens[*token].0);
        let soonest = healths().filter_map(|health| health.ready_at()).min();
        PoolExhausted {
            retry_after: soonest.map(|at| at.saturating_duration_since(now)),
            cooling: healths()
                .filter(|health| matches!(health, Health::Cooling { .. }))
                .count(),
            dead: healths()
                .filter(|health| matches!(health, Health::Dead { .. }))
                .count(),
        }
    }

    fn settle(&mut self, token: usize, outcome: Outcome, now: Instant) {
        let health = &mut self.tokens[token].0;
        let dead = |reason| Health::Dead {
            reason,
            probe_at: now + SETTINGS.probe_dead,
        };
        *health = match (outcome, *health) {
            (Outcome::Accepted, Health::Cooling { until }) if until > now => *health,
            (Outcome::Accepted, _) => Health::Ok,
            (Outcome::RateLimited { retry_after }, _) => Health::Cooling {
                until: now + retry_after.unwrap_or(SETTINGS.cooldown),
            },
            (Outcome::Refused, _) => dead("refused"),
            (Outcome::QuotaExhausted, _) => dead("quota_exhausted"),
        };
    }
}

/// A lease, with its token's name and place in the model.
type Held = (Lease, &'static str, usize);

struct World {
    start: Instant,
    seconds: u64,
    model: Model,
    pools: Vec<(TokenPool, ModelPool)>,
    leases: Vec<Held>,
}

impl World {
    fn new(strategy: Strategy) -> Self {
        let mut world = Self {
            start: Instant::now(),
            // Room for times before it.
            seconds: 60,
            model: Model::default(),
            pools: Vec::new(),
            leases: Vec::new(),
        };
        world.rebuild(&NAMES[..4], strategy);
        world
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    fn rebuild(&mut self, names: &[&'static str], strategy: Strategy) {
        let (real, modelled) = self.pools.last().map(|(a, b)| (a, b)).unzip();
        let settings = Settings {
            strategy,
            ..SETTINGS
        };
        let pool = TokenPool::rebuild(real, tokens(names), settings);
        let model = self.model.rebuild(modelled, names, strategy);
        self.pools.push((pool, model));
    }

    fn step(&mut self, step: Step) -> Result<(), proptest::test_runner::TestCaseError> {
        match step {
            Step::Wait(seconds) => self.seconds += seconds,
            Step::Lease { pool, back, tried } => {
                let now = self.at(self.seconds - back);
                let newest_first = self.leases.iter().rev().take(tried);
                let (ids, names): (Vec<_>, Vec<_>) = newest_first
                    .map(|(lease, name, _)| (lease.id().clone(), *name))
                    .unzip();
                let pool = pool % self.pools.len();
                let (pool, modelled) = &mut self.pools[pool];
                let lease = pool.lease(now, &ids);
                let expected = self.model.lease(modelled, now, &names);
                let name = |lease: &Lease| lease.secret().expose_secret().to_owned();
                prop_assert_eq!(
                    lease.as_ref().map(name),
                    expected.as_ref().map(|found| found.0.to_owned())
                );
                self.leases
                    .extend(lease.ok().zip(expected.ok()).map(|(a, (b, c))| (a, b, c)));
            }
            Step::Settle(lease, outcome) => {
                let now = self.at(self.seconds);
                if let Some((lease, _, token)) = self.leases.get(lease) {
                    lease.settle(outcome, now);
                    self.model.settle(*token, outcome, now);
                }
            }
            Step::Drop(lease) => {
                if lease < self.leases.len() {
                    let (_, _, token) = self.leases.remove(lease);
                    self.model.tokens[token].1 -= 1;
                }
            }
            Step::Rebuild {
                names,
                strategy,
                stays,
            } => {
                self.rebuild(&names, strategy);
                if !stays {
                    self.pools.remove(self.pools.len() - 2);
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn a_pool_does_what_looking_at_every_token_would(strategy in strategies(), steps in steps()) {
        let mut world = World::new(strategy);
        for step in steps {
            world.step(step)?;
            for (pool, modelled) in &world.pools {
                let expected = modelled.tokens.iter().map(|(_, token)| world.model.tokens[*token]);
                let status = pool.status();
                prop_assert_eq!(
                    status.iter().map(|token| (token.health, token.busy)).collect::<Vec<_>>(),
                    expected.collect::<Vec<_>>()
                );
            }
        }
    }
}
