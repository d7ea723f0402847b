//! What can go wrong between a request and the service, and what the client reads of it.

use std::time::Duration;

use aurora_accounts::{Limit, Unavailable};
use aurora_chatgpt::fault::{Blame, Fault, FaultKind};
use aurora_config::RetryOn;
use aurora_sdk::{Error, ErrorKind, Origin};
use http::StatusCode;

use crate::providers;

/// Why a step of a request failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The service refused or failed; its account may be at fault.
    Service(Fault),
    /// No answer came at all.
    Transport(providers::Fault),
    /// Decided: no other account changes it.
    Decided(Error),
}

impl From<providers::Fault> for Failure {
    fn from(fault: providers::Fault) -> Self {
        Self::Transport(fault)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Service(fault)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Decided(error)
    }
}

/// For whom a request is made, as far as blame goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// The token is the client's own.
    pub(super) is_external: bool,
    /// Only this account can serve the request.
    pub(super) is_pinned: bool,
}

impl Failure {
    /// A failure of the service without words of its own.
    pub(super) fn of_kind(kind: FaultKind, message: impl Into<String>) -> Self {
        Self::Service(Fault {
            kind,
            message: message.into(),
            upstream_code: None,
            clears_in: None,
        })
    }

    /// As a fault for the caller of a provider. What is pinned goes to no other upstream.
    pub(super) fn into_fault(self, standing: Standing) -> providers::Fault {
        match self {
            Self::Transport(fault) if !standing.is_pinned => fault,
            Self::Transport(providers::Fault::Judged { error, .. }) | Self::Decided(error) => {
                providers::Fault::Judged {
                    error,
                    retry_on: None,
                }
            }
            Self::Transport(fault) => fault,
            Self::Service(fault) => providers::Fault::Judged {
                retry_on: retry_on(fault.kind).filter(|_| !standing.is_pinned),
                error: error_of(&fault, standing.is_external),
            },
        }
    }
}

/// The word of `retry.on` for a failure; `None` where nobody else would do better.
pub(super) fn retry_on(kind: FaultKind) -> Option<RetryOn> {
    if kind == FaultKind::TooLong {
        return Some(RetryOn::ContextLength);
    }
    match kind.blame() {
        Blame::Client => None,
        Blame::Token => Some(RetryOn::Auth),
        Blame::Account | Blame::Model | Blame::Feature => Some(RetryOn::RateLimit),
        Blame::Upstream => Some(RetryOn::ServerError),
    }
}

/// The client's error for a fault of the service.
///
/// A client's own token is its own to mend (401, 403); the operator's is not (502).
pub(super) fn error_of(fault: &Fault, is_external: bool) -> Error {
    let status = match fault.kind {
        FaultKind::TokenExpired
        | FaultKind::TokenInvalidated
        | FaultKind::TokenInvalid
        | FaultKind::AccountDeactivated
            if is_external =>
        {
            401
        }
        FaultKind::WorkspaceForbidden | FaultKind::Forbidden if is_external => 403,
        kind => kind.status(),
    };
    let kind = match status {
        400 => ErrorKind::InvalidRequest,
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        429 => ErrorKind::RateLimited,
        504 => ErrorKind::GatewayTimeout,
        _ => ErrorKind::BadGateway,
    };
    let error = Error::new(
        kind,
        Origin::Upstream,
        fault.kind.code(),
        fault.message.clone(),
    );
    let error = match StatusCode::from_u16(status) {
        Ok(status) => error.with_status(status),
        Err(_) => error,
    };
    let error = match fault.kind {
        FaultKind::ConversationNotFound => error.with_param("conversation_id"),
        FaultKind::TooLong => error.with_param("messages"),
        _ => error,
    };
    match fault.clears_in {
        Some(wait) if status == 429 => error.with_retry_after(wait),
        _ => error,
    }
}

/// The client's error where no account can serve.
pub(super) fn error_of_unavailable(unavailable: &Unavailable, upstream: &str) -> Error {
    let minute = Duration::from_mins(1);
    let (kind, code, wait) = match unavailable {
        Unavailable::NoAccounts | Unavailable::NeedsLogin | Unavailable::Dead { .. } => {
            (ErrorKind::Unavailable, "no_account_available", Some(minute))
        }
        Unavailable::Later { retry_after } => (
            ErrorKind::Unavailable,
            "no_account_available",
            Some(*retry_after),
        ),
        Unavailable::Limited {
            retry_after,
            kind: Limit::Challenge,
        } => (
            ErrorKind::BadGateway,
            "upstream_challenge_required",
            Some(*retry_after),
        ),
        Unavailable::Limited { retry_after, .. } => (
            ErrorKind::RateLimited,
            "upstream_rate_limited",
            Some(*retry_after),
        ),
        Unavailable::Busy { retry_after } => {
            (ErrorKind::RateLimited, "upstream_busy", Some(*retry_after))
        }
        Unavailable::PinnedGone => (ErrorKind::NotFound, "account_gone", None),
        Unavailable::ExternalExpired => {
            (ErrorKind::Unauthenticated, "upstream_token_expired", None)
        }
        Unavailable::ExternalDead(_) => {
            (ErrorKind::Unauthenticated, "upstream_invalid_token", None)
        }
        Unavailable::Unknown => (ErrorKind::Unauthenticated, "invalid_api_key", None),
    };
    let origin = match kind {
        ErrorKind::RateLimited | ErrorKind::BadGateway => Origin::Upstream,
        ErrorKind::Unauthenticated => Origin::Downstream,
        _ => Origin::Gateway,
    };
    let error = Error::new(kind, origin, code, words_of(unavailable, upstream));
    match wait {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
}

fn words_of(unavailable: &Unavailable, upstream: &str) -> String {
    match unavailable {
        Unavailable::NoAccounts => format!(
            "upstream `{upstream}` has no ChatGPT account that can be used; the operator must add a token"
        ),
        Unavailable::NeedsLogin => format!(
            "upstream `{upstream}` has device ids only, and this needs a logged-in ChatGPT account"
        ),
        Unavailable::Limited {
            kind: Limit::Challenge,
            ..
        } => format!(
            "the accounts of upstream `{upstream}` rest: the ChatGPT service asked for a browser challenge, which this \
             gateway does not answer"
        ),
        Unavailable::Limited { .. } => format!(
            "every account of upstream `{upstream}` has reached a limit of the ChatGPT service for this"
        ),
        Unavailable::Busy { .. } => format!(
            "every account of upstream `{upstream}` is answering, one message at a time, and the queue is full or slow"
        ),
        Unavailable::Dead { .. } => format!(
            "no token of upstream `{upstream}` is accepted by the ChatGPT service any more; the operator must replace them"
        ),
        Unavailable::PinnedGone => {
            "the ChatGPT account that holds this conversation or file is not configured any more".to_owned()
        }
        Unavailable::Later { .. } => {
            format!("the tokens of upstream `{upstream}` could not be renewed just now")
        }
        Unavailable::ExternalExpired => {
            "the ChatGPT access token in `Authorization` has expired; send a new one".to_owned()
        }
        Unavailable::ExternalDead(_) => {
            "the ChatGPT service did not accept the token in `Authorization`".to_owned()
        }
        Unavailable::Unknown => {
            "the word in `Authorization` is no key of this gateway, no ChatGPT token and no device id".to_owned()
        }
    }
}

/// 403 `capability_not_available`.
pub(super) fn needs_login(feature: &str) -> Error {
    Error::new(
        ErrorKind::Forbidden,
        Origin::Downstream,
        "capability_not_available",
        format!(
            "{feature} needs a logged-in ChatGPT account; a device id can only chat in plain text"
        ),
    )
}
