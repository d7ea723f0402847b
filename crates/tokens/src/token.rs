//! One token: its health, and the lease under which a request uses it.

use std::fmt;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::pool::Settings;
use crate::ranking::{Place, Ranking};

/// Names a token in logs and status: the first eight hex digits of its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(String);

impl TokenId {
    /// The id of `secret`.
    pub fn of(secret: &SecretString) -> Self {
        let digest = Sha256::digest(secret.expose_secret().as_bytes());
        let mut id = String::with_capacity(8);
        for byte in digest.iter().take(4) {
            // Writing to a string cannot fail.
            write!(id, "{byte:02x}").unwrap_or_default();
        }
        Self(id)
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a token may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It may.
    Ok,
    /// Not before `until`.
    Cooling {
        /// The end of the rest.
        until: Instant,
    },
    /// Refused by the upstream; one request tries it again at `probe_at`.
    Dead {
        /// Why, as a stable word.
        reason: &'static str,
        /// When it is tried again.
        probe_at: Instant,
    },
}

impl Health {
    /// The end of its rest; `None` when it has none.
    pub(crate) fn ready_at(&self) -> Option<Instant> {
        match *self {
            Self::Ok => None,
            Self::Cooling { until } => Some(until),
            Self::Dead { probe_at, .. } => Some(probe_at),
        }
    }
}

/// What a request says about its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The upstream took it.
    Accepted,
    /// 429: it rests for the time given, else for the pool's cooldown.
    RateLimited {
        /// What the upstream asked for.
        retry_after: Option<Duration>,
    },
    /// 401 or 403: dead until a probe passes.
    Refused,
    /// Its quota is used up: dead until a probe passes.
    QuotaExhausted,
}

/// A token as status shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenStatus {
    /// Its id.
    pub id: TokenId,
    /// Where it was written.
    pub origin: String,
    /// Its health.
    pub health: Health,
    /// Requests that use it now.
    pub busy: usize,
    /// Whether one of them tries a dead token again.
    pub is_probed: bool,
}

/// All about a token that changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) health: Health,
    /// Requests that use it now.
    pub(crate) busy: u32,
}

/// A token with its standing. Survives reloads as long as it stays listed.
pub(crate) struct Token {
    pub(crate) id: TokenId,
    secret: SecretString,
    state: Mutex<State>,
}

struct State {
    standing: Standing,
    /// Requests that try it again while it is dead.
    probes: u32,
    /// One for each pool that has it: the newest, and those that older requests still use.
    places: Vec<Place>,
}

impl State {
    fn set(&mut self, standing: Standing) {
        let before = std::mem::replace(&mut self.standing, standing);
        for place in &self.places {
            place.changed(&before, &standing);
        }
    }
}

impl Token {
    pub(crate) fn new(id: TokenId, secret: SecretString) -> Self {
        Self {
            id,
            secret,
            state: Mutex::new(State {
                standing: Standing {
                    health: Health::Ok,
                    busy: 0,
                },
                probes: 0,
                places: Vec::new(),
            }),
        }
    }

    /// Held for nanoseconds and never across an await.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn standing(&self) -> Standing {
        self.state().standing
    }

    pub(crate) fn is_probed(&self) -> bool {
        self.state().probes > 0
    }

    /// Enters it in the ranking of a new pool, as its token `number`.
    pub(crate) fn enter(&self, ranking: &Arc<Ranking>, number: u32) {
        let mut state = self.state();
        state.places.retain(Place::is_live);
        let place = Place::enter(ranking, number, &state.standing);
        // Nearly always the only one: room for four would be half of a large pool's memory.
        state.places.reserve_exact(1);
        state.places.push(place);
    }

    /// Leases it if it may serve at `now`; a dead token whose time has come is given out once per `probe_dead`.
    pub(crate) fn lease(self: &Arc<Self>, now: Instant, settings: &Settings) -> Option<Lease> {
        let mut state = self.state();
        let Standing { health, busy } = state.standing;
        let health = match health {
            Health::Ok => Health::Ok,
            Health::Cooling { until } if until <= now => Health::Ok,
            Health::Dead { reason, probe_at } if probe_at <= now => Health::Dead {
                reason,
                probe_at: now + settings.probe_dead,
            },
            Health::Cooling { .. } | Health::Dead { .. } => return None,
        };
        state.set(Standing {
            health,
            busy: busy + 1,
        });
        let is_probe = matches!(health, Health::Dead { .. });
        state.probes += u32::from(is_probe);
        Some(Lease {
            token: Arc::clone(self),
            is_probe,
            cooldown: settings.cooldown,
            probe_dead: settings.probe_dead,
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The use of a token by one request. Dropping it frees the slot and judges nothing.
#[derive(Debug)]
pub struct Lease {
    token: Arc<Token>,
    /// It tries a dead token again.
    is_probe: bool,
    cooldown: Duration,
    probe_dead: Duration,
}

impl Lease {
    /// The credential.
    pub fn secret(&self) -> &SecretString {
        &self.token.secret
    }

    /// The token's id.
    pub fn id(&self) -> &TokenId {
        &self.token.id
    }

    /// Tells what came of it. The slot stays taken until the lease is dropped.
    pub fn settle(&self, outcome: Outcome, now: Instant) {
        let mut state = self.token.state();
        let Standing { health, busy } = state.standing;
        let health = match outcome {
            Outcome::Accepted => match health {
                // A success that began before a later 429 does not end the rest.
                Health::Cooling { until } if until > now => Health::Cooling { until },
                Health::Ok | Health::Cooling { .. } | Health::Dead { .. } => Health::Ok,
            },
            Outcome::RateLimited { retry_after } => Health::Cooling {
                until: now + retry_after.unwrap_or(self.cooldown),
            },
            Outcome::Refused => Health::Dead {
                reason: "refused",
                probe_at: now + self.probe_dead,
            },
            Outcome::QuotaExhausted => Health::Dead {
                reason: "quota_exhausted",
                probe_at: now + self.probe_dead,
            },
        };
        state.set(Standing { health, busy });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.token.state();
        let Standing { health, busy } = state.standing;
        state.probes = state.probes.saturating_sub(u32::from(self.is_probe));
        state.set(Standing {
            health,
            busy: busy.saturating_sub(1),
        });
    }
}
