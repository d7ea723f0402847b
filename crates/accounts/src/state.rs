//! What an account may do now: limits, refusals, its turn.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use aurora_chatgpt::fault::{Blame, Fault, FaultKind};
use tokio::time::Instant;

use crate::id::AccountId;
use crate::settings::PoolSettings;
use crate::shared::locked;
use crate::turn::Turns;
use crate::want::Feature;

/// Limits of so many models are remembered for one account.
const MAX_MODELS: usize = 64;

/// Which limit an account has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// That of a model.
    ModelCap,
    /// That of the account.
    RateLimit,
    /// That of a feature.
    Feature,
    /// The service demands a browser challenge, which is not answered.
    Challenge,
}

/// A rest, as status shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cooling {
    /// Why.
    pub limit: Limit,
    /// The model that rests; `None` for a feature or the whole account.
    pub model: Option<String>,
    /// The feature that rests; `None` for a model or the whole account.
    pub feature: Option<Feature>,
    /// Its end.
    pub until: SystemTime,
}

/// Whether an account may serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may.
    Ready,
    /// It rests.
    Limited { until: Instant, limit: Limit },
    /// The service refuses it.
    Dead(String),
}

/// An account, whatever seats it has.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) id: AccountId,
    pub(crate) turns: Turns,
    /// Leases that are out.
    pub(crate) busy: AtomicUsize,
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    account: Option<(Instant, Limit)>,
    models: BTreeMap<String, Instant>,
    features: BTreeMap<Feature, Instant>,
    dead: Option<Dead>,
}

#[derive(Debug)]
struct Dead {
    reason: String,
    /// When one request tries it again; `None`: when its line changes.
    probe_at: Option<Instant>,
}

impl State {
    pub(crate) fn new(id: AccountId) -> Self {
        Self {
            id,
            turns: Turns::new(),
            busy: AtomicUsize::new(0),
            health: Mutex::default(),
        }
    }

    /// What serves now: turns, side calls and the queue.
    pub(crate) fn load(&self) -> usize {
        self.busy.load(Ordering::Relaxed) + self.turns.queued()
    }

    pub(crate) fn standing(&self, model: Option<&str>, feature: Feature, now: Instant) -> Standing {
        let health = locked(&self.health);
        if let Some(dead) = &health.dead
            && dead.probe_at.is_none_or(|at| at > now)
        {
            return Standing::Dead(dead.reason.clone());
        }
        let model = model.and_then(|model| health.models.get(model));
        let rests = [
            health.account,
            health
                .features
                .get(&feature)
                .map(|until| (*until, Limit::Feature)),
            model.map(|until| (*until, Limit::ModelCap)),
        ];
        let longest = rests
            .into_iter()
            .flatten()
            .filter(|(until, _)| *until > now)
            .max_by_key(|(until, _)| *until);
        longest.map_or(Standing::Ready, |(until, limit)| Standing::Limited {
            until,
            limit,
        })
    }

    /// A request takes it: a refused account is tried by one request in a period.
    pub(crate) fn probe(&self, now: Instant, period: Duration) {
        if let Some(dead) = &mut locked(&self.health).dead {
            dead.probe_at = Some(now + period);
        }
    }

    /// The service has taken it. Ends no rest: a success may have begun before the limit was reached.
    pub(crate) fn accept(&self) {
        locked(&self.health).dead = None;
    }

    /// Its line has changed.
    pub(crate) fn revive(&self) {
        self.accept();
    }

    pub(crate) fn die(&self, reason: String, probe_at: Option<Instant>) {
        locked(&self.health).dead = Some(Dead { reason, probe_at });
    }

    /// Takes in a fault of a model, a feature or the account as a whole; those of its token are the source's.
    pub(crate) fn settle(
        &self,
        fault: &Fault,
        model: Option<&str>,
        feature: Feature,
        settings: &PoolSettings,
    ) {
        let now = Instant::now();
        let until = now + fault.clears_in.unwrap_or(settings.cooldown);
        match (fault.kind, fault.kind.blame()) {
            (FaultKind::Challenge, _) => self.rest(until, Limit::Challenge),
            (FaultKind::AccountDeactivated, _) => self.die(fault.message.clone(), None),
            (FaultKind::Forbidden | FaultKind::WorkspaceForbidden, _) => {
                self.die(fault.message.clone(), Some(now + settings.probe_dead));
            }
            (FaultKind::ImageLimit, _) => self.rest_feature(Feature::Images, until),
            (_, Blame::Feature) => self.rest_feature(feature, until),
            (_, Blame::Model) => match model {
                Some(model) => self.rest_model(model, until, now),
                // What has no model, such as uploads, has a limit of its own.
                None => self.rest_feature(feature, until),
            },
            (_, Blame::Account) => self.rest(until, Limit::RateLimit),
            (_, Blame::Token | Blame::Client | Blame::Upstream) => {}
        }
    }

    /// A rest never gets shorter: parallel requests may hear of several limits.
    fn rest(&self, until: Instant, limit: Limit) {
        let mut health = locked(&self.health);
        if health.account.is_none_or(|(known, _)| known < until) {
            health.account = Some((until, limit));
        }
    }

    fn rest_feature(&self, feature: Feature, until: Instant) {
        let mut health = locked(&self.health);
        let known = health.features.entry(feature).or_insert(until);
        *known = until.max(*known);
    }

    fn rest_model(&self, model: &str, until: Instant, now: Instant) {
        let mut health = locked(&self.health);
        health.models.retain(|_, until| *until > now);
        if health.models.len() < MAX_MODELS || health.models.contains_key(model) {
            let known = health.models.entry(model.to_owned()).or_insert(until);
            *known = until.max(*known);
        }
    }

    /// The rests of now.
    pub(crate) fn cooling(&self, settings: &PoolSettings) -> Vec<Cooling> {
        let now = Instant::now();
        let health = locked(&self.health);
        let account = health
            .account
            .iter()
            .map(|(at, limit)| (*limit, None, None, *at));
        let models = health.models.iter();
        let models = models.map(|(name, at)| (Limit::ModelCap, Some(name.clone()), None, *at));
        let features = health.features.iter();
        let features = features.map(|(feature, at)| (Limit::Feature, None, Some(*feature), *at));
        account
            .chain(models)
            .chain(features)
            .filter(|(.., at)| *at > now)
            .map(|(limit, model, feature, at)| Cooling {
                limit,
                model,
                feature,
                until: settings.clock.time_of(at),
            })
            .collect()
    }
}
