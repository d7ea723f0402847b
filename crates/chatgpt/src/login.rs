//! Exchanges of long-lived tokens for access tokens: what is asked, and what the answers mean.

mod cookie;
mod refresh;
mod session;

pub use cookie::session_cookies;
pub use refresh::{RefreshSettings, read_refresh, refresh_request};
pub use session::read_session;

use std::time::Duration;

use secrecy::SecretString;

use crate::fault::{Fault, FaultKind, Refusal};

/// What an exchange gives.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The access token; never empty.
    pub access_token: SecretString,
    /// The long-lived token that replaces the one that was exchanged; never empty. `None`: the old one stays good.
    pub rotated: Option<SecretString>,
    /// How long the access token lasts, where the answer says it.
    pub expires_in: Option<Duration>,
}

/// Why an exchange gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The long-lived token is dead for good.
    #[error("{0}")]
    Dead(String),
    /// It may work later.
    #[error("{message}")]
    Later {
        /// Why, without secrets.
        message: String,
        /// When to try again, as far as the service told.
        retry_after: Option<Duration>,
    },
    /// A browser challenge is demanded; it is not answered.
    #[error("{0}")]
    Challenge(String),
}

impl IssueError {
    /// The error with the wait of a `retry-after` header, where the body named none.
    #[must_use]
    pub fn or_retry_after(self, wait: Option<Duration>) -> Self {
        match self {
            Self::Later {
                message,
                retry_after,
            } => Self::Later {
                message,
                retry_after: retry_after.or(wait),
            },
            other => other,
        }
    }

    fn later(message: impl Into<String>) -> Self {
        Self::Later {
            message: message.into(),
            retry_after: None,
        }
    }
}

/// What an answer means that is no success and no dead token.
fn refused(status: u16, content_type: &str, body: &[u8]) -> IssueError {
    let refusal = Refusal {
        status,
        content_type,
        body,
        ..Refusal::default()
    };
    let Fault {
        kind,
        message,
        clears_in,
        ..
    } = refusal.classify();
    match kind {
        FaultKind::Challenge => IssueError::Challenge(message),
        _ => IssueError::Later {
            message: format!("{message} (status {status})"),
            retry_after: clears_in,
        },
    }
}

#[cfg(test)]
mod tests;
