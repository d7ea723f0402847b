//! The account that serves a request: leased, renewed, judged, and another one where nothing is lost by it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aurora_accounts::{AccountId, Feature, Lease, Unavailable, Want};
use aurora_chatgpt::credential::Credential;
use aurora_chatgpt::fault::FaultKind;
use aurora_config::Retry;
use aurora_sdk::{Error, ErrorKind, Origin};

use super::failure::{Failure, Standing, error_of_unavailable, needs_login, retry_on};
use super::{Service, decided};
use crate::providers::{self, Brought, Tries, Visitor};

/// The wait before the service is asked again after it failed.
const BACKOFF: Duration = Duration::from_millis(300);

/// What a request needs of an account.
#[derive(Debug)]
pub(super) struct Asking<'a> {
    /// Who asks.
    pub(super) visitor: &'a Visitor,
    /// What may be tried again.
    pub(super) tries: &'a Tries,
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
        let started = Instant::now();
        let mut last = None;
        let mut again = Again::default();
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
            let kind = fault.kind;
            let is_again = again.may(kind, standing, &asking.tries.retry)
                && started.elapsed() < asking.tries.retry.budget;
            tracing::info!(
                upstream = self.web.name,
                account = %lease.id(),
                ?kind,
                is_again,
                "an account could not serve"
            );
            let fault = failure.into_fault(standing);
            if !is_again {
                return Err(fault);
            }
            if kind == FaultKind::ServerError {
                // The service's fault, not the account's: the same one may serve a moment later.
                tokio::time::sleep(BACKOFF).await;
            } else {
                tried.push(lease.id().clone());
            }
            asking.tries.trace.attempt(&self.web.name);
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
            wait: self.queue_wait,
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

/// How often a request was tried.
#[derive(Debug, Default)]
struct Again {
    attempts: u32,
    is_challenged: bool,
}

impl Again {
    /// Whether another attempt may be made after one that failed with `kind`. A challenge is worth one other account.
    fn may(&mut self, kind: FaultKind, standing: Standing, retry: &Retry) -> bool {
        self.attempts += 1;
        let helps = match kind {
            FaultKind::Challenge => !std::mem::replace(&mut self.is_challenged, true),
            FaultKind::ServerError => true,
            // What is the client's own, or belongs to one account, is served by that one or not at all.
            kind => kind.is_worth_another_account() && !standing.is_external && !standing.is_pinned,
        };
        helps
            && self.attempts < retry.attempts
            && retry_on(kind).is_some_and(|on| retry.on.contains(&on))
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
