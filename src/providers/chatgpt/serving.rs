//! The account that serves a request: leased, renewed, judged, and another one where nothing is lost by it.

use std::sync::Arc;
use std::time::Duration;

use aurora_accounts::{AccountId, Feature, Lease, Unavailable, Want};
use aurora_chatgpt::credential::Credential;
use aurora_chatgpt::fault::FaultKind;
use aurora_sdk::{Error, ErrorKind, Origin};

use super::failure::{Failure, Standing, error_of_unavailable, needs_login};
use super::{Service, decided};
use crate::providers::{self, Brought, Visitor};

/// The wait before the service is asked again after it failed.
const BACKOFF: Duration = Duration::from_millis(300);

/// What a request needs of an account.
#[derive(Debug)]
pub(super) struct Asking<'a> {
    /// Who asks.
    pub(super) visitor: &'a Visitor,
    /// How many accounts may be tried.
    pub(super) attempts: u32,
    /// The service's name of the model.
    pub(super) model: Option<&'a str>,
    /// What is used.
    pub(super) feature: Feature,
    /// What a device account cannot do, in words for the client.
    pub(super) login_for: Option<&'static str>,
    /// The only account that will do.
    pub(super) pinned: Option<AccountId>,
    /// Whether a turn is taken: an account answers one message at a time.
    pub(super) turn: bool,
}

impl Service {
    /// Runs `attempt` with an account, and with others while that may help. Gives its lease along, which holds the turn.
    ///
    /// # Errors
    /// What the client gets, or why another upstream should be tried.
    pub(super) async fn with_account<T, F>(
        &self,
        asking: &Asking<'_>,
        attempt: impl Fn(Arc<Lease>) -> F,
    ) -> Result<(T, Arc<Lease>), providers::Fault>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut tried: Vec<AccountId> = Vec::new();
        let mut last = None;
        let mut is_challenged = false;
        loop {
            let mut lease = match self.lease(asking, &tried).await {
                Ok(lease) => Arc::new(lease),
                // What the service really said tells more.
                Err(fault) => return Err(last.unwrap_or(fault)),
            };
            let mut outcome = attempt(Arc::clone(&lease)).await;
            if let Err(Failure::Service(fault)) = &outcome
                && is_about_token(fault.kind)
                && self.renewed(&mut lease).await
            {
                outcome = attempt(Arc::clone(&lease)).await;
            }
            let failure = match outcome {
                Ok(value) => {
                    lease.accepted();
                    return Ok((value, lease));
                }
                Err(failure) => failure,
            };
            let standing = Standing {
                is_external: lease.is_external(),
                is_pinned: asking.pinned.is_some(),
            };
            let Failure::Service(fault) = &failure else {
                return Err(failure.into_fault(standing));
            };
            lease.settle(fault, asking.model, asking.feature);
            tried.push(lease.id().clone());
            let may_try = tried.len() < asking.attempts as usize;
            let is_stuck = standing.is_external || standing.is_pinned;
            let helps = match fault.kind {
                FaultKind::Challenge => !std::mem::replace(&mut is_challenged, true),
                FaultKind::ServerError => true,
                kind => kind.is_worth_another_account(),
            };
            tracing::info!(
                upstream = self.web.name,
                account = %lease.id(),
                kind = ?fault.kind,
                another = may_try && helps && !is_stuck,
                "an account could not serve"
            );
            if fault.kind == FaultKind::ServerError {
                tokio::time::sleep(BACKOFF).await;
            }
            let fault = failure.into_fault(standing);
            if !may_try || !helps || is_stuck {
                return Err(fault);
            }
            last = Some(fault);
        }
    }

    async fn renewed(&self, lease: &mut Arc<Lease>) -> bool {
        // A failed attempt keeps nothing of its lease.
        match Arc::get_mut(lease) {
            Some(lease) => lease.renew(&self.exchanges).await,
            None => false,
        }
    }

    async fn lease(
        &self,
        asking: &Asking<'_>,
        tried: &[AccountId],
    ) -> Result<Lease, providers::Fault> {
        let want = Want {
            model: asking.model,
            feature: asking.feature,
            login: asking.login_for.is_some(),
            pinned: asking.pinned.as_ref(),
            tried,
            turn: asking.turn,
            wait: self.web.settings.queue_wait,
        };
        let leased = match &asking.visitor.brought {
            Brought::Nothing => self.accounts.lease(want, &self.exchanges).await,
            Brought::Refused => return Err(decided(not_accepted())),
            Brought::Credential { credential, team } => {
                if let (Credential::Device(_), Some(feature)) = (credential, asking.login_for) {
                    return Err(decided(needs_login(feature)));
                }
                self.externals
                    .lease(credential, team.as_deref(), want, &self.exchanges)
                    .await
            }
        };
        leased.map_err(|unavailable| self.unavailable(&unavailable, asking))
    }

    fn unavailable(&self, unavailable: &Unavailable, asking: &Asking<'_>) -> providers::Fault {
        let error = error_of_unavailable(unavailable, &self.web.name);
        let is_stuck =
            asking.pinned.is_some() || !matches!(asking.visitor.brought, Brought::Nothing);
        providers::Fault::Judged {
            error,
            retry_on: (!is_stuck).then_some(aurora_config::RetryOn::RateLimit),
        }
    }
}

fn is_about_token(kind: FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::TokenExpired | FaultKind::TokenInvalidated | FaultKind::TokenInvalid
    )
}

fn not_accepted() -> Error {
    Error::new(
        ErrorKind::Forbidden,
        Origin::Downstream,
        "upstream_tokens_disabled",
        "this gateway takes no ChatGPT tokens of clients (`upstream_tokens = false` in [auth]); send a key of the gateway alone",
    )
}
