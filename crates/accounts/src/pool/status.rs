//! What status shows.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::AccountPool;
use crate::group::Entry;
use crate::id::AccountId;
use crate::seat::Shares;
use crate::settings::Kind;
use crate::source::Readiness;
use crate::state::{Cooling, Limit, Standing};
use crate::want::Feature;

/// Whether a line can serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountState {
    /// It can.
    Ready,
    /// It has no access token yet; the next request or the renewal ahead gets one.
    Pending,
    /// The whole account rests.
    Cooling,
    /// Its token could not be renewed; this is tried again.
    Waiting,
    /// Its access token is too old, and there is nothing to renew it with.
    Expired,
    /// The service refuses it.
    Dead(String),
}

/// A line of a file, as status shows it; never a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountStatus {
    /// The account; `None` until a token has told.
    pub id: Option<AccountId>,
    /// What the line is.
    pub kind: Kind,
    /// Where it is written: `path:line`.
    pub origin: String,
    /// The plan that the access token names.
    pub plan: Option<String>,
    /// When the access token expires.
    pub expires_at: Option<SystemTime>,
    /// Whether it can serve.
    pub state: AccountState,
    /// What rests, and how long.
    pub cooling: Vec<Cooling>,
    /// Requests that use the account.
    pub busy: usize,
    /// Requests that wait for its turn.
    pub queued: usize,
    /// Whether its token of now could not be written into the file, and is lost at a restart.
    pub is_unsaved: bool,
}

impl AccountPool {
    /// Every line, in the order written.
    pub fn status(&self) -> Vec<AccountStatus> {
        self.entries
            .iter()
            .map(|entry| self.status_of(entry))
            .collect()
    }

    fn status_of(&self, entry: &Entry) -> AccountStatus {
        let seat = &entry.seat;
        let state = seat.state(&self.cx, Shares::Account);
        let access = seat.source.access();
        let expires_at = access.as_ref().and_then(|access| access.expires_at);
        AccountStatus {
            id: state.as_ref().map(|state| state.id.clone()),
            kind: seat.source.kind,
            origin: entry
                .origin
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            plan: access.and_then(|access| access.claims.plan),
            expires_at: expires_at.and_then(|at| UNIX_EPOCH.checked_add(Duration::from_secs(at))),
            state: self.state_of(entry),
            cooling: state
                .as_ref()
                .map(|state| state.cooling(&self.cx.settings))
                .unwrap_or_default(),
            busy: state
                .as_ref()
                .map_or(0, |state| state.busy.load(Ordering::Relaxed)),
            queued: state.as_ref().map_or(0, |state| state.turns.queued()),
            is_unsaved: seat.source.is_unsaved(),
        }
    }

    fn state_of(&self, entry: &Entry) -> AccountState {
        let state = entry.seat.state(&self.cx, Shares::Account);
        let standing = state
            .as_ref()
            .map(|state| state.standing(None, Feature::Other, Instant::now()));
        match (standing, entry.seat.source.readiness(&self.cx)) {
            (Some(Standing::Dead(reason)), _) | (_, Readiness::Dead(reason)) => {
                AccountState::Dead(reason)
            }
            (_, Readiness::Expired(_)) => AccountState::Expired,
            (Some(Standing::Limited { limit, .. }), _) if limit != Limit::Feature => {
                AccountState::Cooling
            }
            (_, Readiness::Waiting { .. }) => AccountState::Waiting,
            (_, Readiness::Renewable) => AccountState::Pending,
            (_, Readiness::Ready) => AccountState::Ready,
        }
    }
}
