//! Tokens that clients bring.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aurora_chatgpt::credential::Credential;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{Instant, timeout_at};

use crate::group::{Entry, Fitness, Group};
use crate::issuer::Issuer;
use crate::lease::Lease;
use crate::pool::{TRY_AGAIN, grant, later};
use crate::seat::{Seat, Shares};
use crate::settings::{Kind, PoolSettings};
use crate::shared::{Context, locked};
use crate::source::{Digest, Source, digest};
use crate::state::State;
use crate::turn::Turn;
use crate::want::{Unavailable, Want};

/// More tokens than this are not remembered.
const MAX_TOKENS: usize = 1024;

/// A token that is not used for so long is forgotten.
const IDLE: Duration = Duration::from_mins(10);

/// So long a refusal is remembered.
const REFUSED: Duration = Duration::from_mins(1);

/// Tokens that clients bring, each in its workspace. They live in memory and never mix with those of the files.
#[derive(Debug)]
pub struct Externals {
    cx: Context,
    seats: Mutex<HashMap<Key, Slot>>,
}

/// What the client's word is, its hash, and the workspace.
type Key = (Kind, Digest, Option<String>);

#[derive(Debug)]
struct Slot {
    seat: Arc<Seat>,
    used: Instant,
}

impl Externals {
    /// None yet.
    pub fn new(settings: PoolSettings) -> Self {
        let settings = PoolSettings {
            probe_dead: REFUSED,
            ..settings
        };
        Self {
            cx: Context {
                shared: Arc::default(),
                settings,
            },
            seats: Mutex::default(),
        }
    }

    /// Number of tokens that are remembered.
    pub fn len(&self) -> usize {
        locked(&self.seats).len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Leases the account of `credential` in the workspace `team`.
    ///
    /// A refresh token is exchanged once for all who bring it at the same time, and again when its access token gets old.
    ///
    /// # Errors
    /// Why it cannot be used; [`Unavailable::Unknown`] for a word that is no token.
    pub async fn lease(
        &self,
        credential: &Credential,
        team: Option<&str>,
        want: Want<'_>,
        issuer: &Arc<dyn Issuer>,
    ) -> Result<Lease, Unavailable> {
        let deadline = Instant::now() + want.wait;
        let (kind, token) = match credential {
            Credential::AccessToken(token) => (Kind::Access, token.clone()),
            Credential::RefreshToken(token) => (Kind::Refresh, token.clone()),
            Credential::Device(_) if want.login => return Err(Unavailable::NeedsLogin),
            Credential::Device(id) => (Kind::Device, SecretString::from(id.as_str())),
            Credential::Other(_) => return Err(Unavailable::Unknown),
        };
        let seat = self.seat(kind, &token, team);
        let mut may_renew = true;
        loop {
            let group = group(&seat, &self.cx);
            self.check(&group, &want)?;
            let Some(state) = group
                .state
                .clone()
                .filter(|_| group.seated(&self.cx).is_some())
            else {
                if !std::mem::take(&mut may_renew) {
                    return Err(later());
                }
                let seen = seat.source.access().map_or(0, |access| access.number);
                seat.source.renew(seen, issuer, &self.cx).await;
                continue;
            };
            if want.pinned.is_some_and(|pinned| *pinned != state.id) {
                return Err(Unavailable::PinnedGone);
            }
            let mut turn = None;
            if want.turn {
                turn = Some(self.turn(&state, deadline).await?);
                // While it waited, a limit may have been reached.
                self.check(&group, &want)?;
            }
            let group = Arc::new(group);
            if let Some(lease) = grant(&group, &state, turn, (&self.cx, Shares::Nothing)) {
                return Ok(lease);
            }
        }
    }

    async fn turn(&self, state: &State, deadline: Instant) -> Result<Turn, Unavailable> {
        let busy = Unavailable::Busy {
            retry_after: TRY_AGAIN,
        };
        let shared = &self.cx.shared;
        if let Some(turn) = state.turns.take(shared) {
            return Ok(turn);
        }
        let place = state.turns.queue().ok_or(busy.clone())?;
        let turn = timeout_at(deadline, place.turn(shared)).await;
        turn.ok().flatten().ok_or(busy)
    }

    fn check(&self, group: &Group, want: &Want<'_>) -> Result<(), Unavailable> {
        let from_now = |until: Instant| until.saturating_duration_since(Instant::now());
        Err(match group.fitness(want, &self.cx) {
            Fitness::Fit => return Ok(()),
            Fitness::Limited { until, limit } => Unavailable::Limited {
                retry_after: from_now(until),
                kind: limit,
            },
            Fitness::Waiting { until } => Unavailable::Later {
                retry_after: from_now(until),
            },
            Fitness::Expired(_) => Unavailable::ExternalExpired,
            Fitness::Dead(reason) => Unavailable::ExternalDead(reason),
        })
    }

    fn seat(&self, kind: Kind, token: &SecretString, team: Option<&str>) -> Arc<Seat> {
        let hash = digest(token.expose_secret());
        let key: Key = (kind, hash, team.map(str::to_owned));
        let now = Instant::now();
        let mut seats = locked(&self.seats);
        seats.retain(|_, slot| now < slot.used + IDLE || is_in_use(slot));
        if let Some(slot) = seats.get_mut(&key) {
            slot.used = now;
            return Arc::clone(&slot.seat);
        }
        if seats.len() >= MAX_TOKENS {
            let oldest = seats
                .iter()
                .min_by_key(|(_, slot)| (is_in_use(slot), slot.used))
                .map(|(key, _)| key.clone());
            oldest.and_then(|oldest| seats.remove(&oldest));
        }
        // One exchange serves all workspaces: it may use up the token.
        let same = seats
            .iter()
            .find(|((its, its_hash, _), _)| (*its, *its_hash) == (kind, hash));
        let source = same.map_or_else(
            || Arc::new(Source::new(kind, token, None, Some(REFUSED), &self.cx)),
            |(_, slot)| Arc::clone(&slot.seat.source),
        );
        let seat = Arc::new(Seat::new(source, key.2.clone()));
        let slot = Slot {
            seat: Arc::clone(&seat),
            used: now,
        };
        seats.insert(key, slot);
        seat
    }
}

/// Whether a request has it: its turn must not be given away by forgetting it.
fn is_in_use(slot: &Slot) -> bool {
    Arc::strong_count(&slot.seat) > 1
}

fn group(seat: &Arc<Seat>, cx: &Context) -> Group {
    Group {
        state: seat.state(cx, Shares::Nothing),
        entries: vec![Entry {
            seat: Arc::clone(seat),
            origin: None,
        }],
    }
}

#[cfg(test)]
mod tests;
