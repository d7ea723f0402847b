//! One token: its health, and the lease under which a request uses it.

use std::fmt;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

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
}

/// A token with its health. Survives reloads as long as it stays listed.
pub(crate) struct Token {
    pub(crate) id: TokenId,
    pub(crate) secret: SecretString,
    pub(crate) busy: AtomicUsize,
    health: Mutex<Health>,
}

impl Token {
    pub(crate) fn new(id: TokenId, secret: SecretString) -> Self {
        Self {
            id,
            secret,
            busy: AtomicUsize::new(0),
            health: Mutex::new(Health::Ok),
        }
    }

    /// Held for nanoseconds and never across an await.
    fn health_mut(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn health(&self) -> Health {
        *self.health_mut()
    }

    /// Whether it may serve at `now`; a dead token whose time has come is given out once per `probe_dead`.
    pub(crate) fn take(&self, now: Instant, probe_dead: Duration) -> bool {
        let mut health = self.health_mut();
        match *health {
            Health::Ok => true,
            Health::Cooling { until } if until <= now => {
                *health = Health::Ok;
                true
            }
            Health::Dead { reason, probe_at } if probe_at <= now => {
                *health = Health::Dead {
                    reason,
                    probe_at: now + probe_dead,
                };
                true
            }
            Health::Cooling { .. } | Health::Dead { .. } => false,
        }
    }

    /// When it may serve again; `None` for now.
    pub(crate) fn ready_at(&self) -> Option<Instant> {
        match self.health() {
            Health::Ok => None,
            Health::Cooling { until } => Some(until),
            Health::Dead { probe_at, .. } => Some(probe_at),
        }
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
    cooldown: Duration,
    probe_dead: Duration,
}

impl Lease {
    pub(crate) fn new(token: Arc<Token>, cooldown: Duration, probe_dead: Duration) -> Self {
        token.busy.fetch_add(1, Ordering::Relaxed);
        Self {
            token,
            cooldown,
            probe_dead,
        }
    }

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
        let mut health = self.token.health_mut();
        *health = match outcome {
            Outcome::Accepted => match *health {
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
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.token.busy.fetch_sub(1, Ordering::Relaxed);
    }
}
