//! The use of an account by one request.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use aurora_chatgpt::fault::{Blame, Fault, FaultKind};
use secrecy::SecretString;
use tokio::time::Instant;

use crate::group::Group;
use crate::id::AccountId;
use crate::issuer::Issuer;
use crate::seat::{Seat, Shares};
use crate::shared::Context;
use crate::source::Access;
use crate::state::State;
use crate::turn::Turn;
use crate::want::Feature;

/// The use of an account by one request. Dropping it frees the turn and judges nothing.
#[derive(Debug)]
pub struct Lease {
    pub(crate) cx: Context,
    pub(crate) group: Arc<Group>,
    pub(crate) seat: Arc<Seat>,
    pub(crate) state: Arc<State>,
    pub(crate) access: Option<Access>,
    pub(crate) shares: Shares,
    pub(crate) _turn: Option<Turn>,
    pub(crate) _count: Count,
}

/// Counts a lease as long as it is out.
#[derive(Debug)]
pub(crate) struct Count(Arc<State>);

impl Count {
    pub(crate) fn new(state: &Arc<State>) -> Self {
        state.busy.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(state))
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lease {
    /// The account's id.
    pub fn id(&self) -> &AccountId {
        &self.state.id
    }

    /// The access token; `None` for a device account.
    pub fn access_token(&self) -> Option<SecretString> {
        self.access.as_ref().map(|access| access.token.clone())
    }

    /// The id of the device that the operator or the client gave.
    pub fn device_id(&self) -> Option<&str> {
        self.seat.source.device.as_deref()
    }

    /// The workspace that the line or the request names.
    pub fn workspace(&self) -> Option<&str> {
        self.seat.team.as_deref()
    }

    /// Whether the client brought the token.
    pub fn is_external(&self) -> bool {
        self.shares == Shares::Nothing
    }

    /// The service has taken the token.
    pub fn accepted(&self) {
        self.state.accept();
        if let Some(access) = &self.access {
            self.seat.source.accept(access.number);
        }
    }

    /// Tells what went wrong; `model` and `feature` are those of the request.
    pub fn settle(&self, fault: &Fault, model: Option<&str>, feature: Feature) {
        let settings = &self.cx.settings;
        let is_refusal = matches!(
            fault.kind,
            FaultKind::Forbidden | FaultKind::WorkspaceForbidden
        );
        match &self.access {
            Some(access) if fault.kind.blame() == Blame::Token && !is_refusal => {
                self.seat.source.refuse(access.number, fault.kind);
            }
            None if fault.kind.blame() == Blame::Token => {
                let probe_at = Instant::now() + settings.probe_dead;
                self.state.die(fault.message.clone(), Some(probe_at));
            }
            _ if self.is_external() && fault.kind == FaultKind::AccountDeactivated => {
                let probe_at = Instant::now() + settings.probe_dead;
                self.state.die(fault.message.clone(), Some(probe_at));
            }
            _ => self.state.settle(fault, model, feature, settings),
        }
    }

    /// Another access token of the same account, after the service has refused this one for its age; `false` when there is
    /// none. Where another request has renewed it meanwhile, its token is taken.
    pub async fn renew(&mut self, issuer: &Arc<dyn Issuer>) -> bool {
        let Some(access) = &self.access else {
            return false;
        };
        self.seat
            .source
            .refuse(access.number, FaultKind::TokenExpired);
        if self.take_another() {
            return true;
        }
        let Some(seat) = self.group.renewable(&self.cx).cloned() else {
            return false;
        };
        let seen = seat.source.access().map_or(0, |access| access.number);
        seat.source.renew(seen, issuer, &self.cx).await && self.take_another()
    }

    fn take_another(&mut self) -> bool {
        let Some((seat, access)) = self.group.seated(&self.cx) else {
            return false;
        };
        // An exchange can show another account, whose turn this lease does not have.
        let state = seat.state(&self.cx, self.shares);
        if state.is_none_or(|state| state.id != self.state.id) {
            return false;
        }
        (self.seat, self.access) = (seat, access);
        true
    }
}
