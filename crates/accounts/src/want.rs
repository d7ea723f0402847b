//! What a request wants of an account, and why it may get none.

use std::time::Duration;

use crate::id::AccountId;
use crate::state::Limit;

/// What a request uses: limits can hold for one of these alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Feature {
    /// Chat turns.
    Chat,
    /// Pictures.
    Images,
    /// Uploads.
    Files,
    /// Speech.
    Speech,
    /// Transcription.
    Transcription,
    /// Anything else.
    Other,
}

/// What a request wants.
#[derive(Debug, Clone, Copy)]
pub struct Want<'a> {
    /// The service's name of the model.
    pub model: Option<&'a str>,
    /// What is used.
    pub feature: Feature,
    /// Whether a device account will not do.
    pub login: bool,
    /// The account that owns what the request is about; no other will do.
    pub pinned: Option<&'a AccountId>,
    /// Accounts that have failed this request.
    pub tried: &'a [AccountId],
    /// Whether the account's one turn is taken; side calls go without.
    pub turn: bool,
    /// How long to wait for a turn.
    pub wait: Duration,
}

/// No account may be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// There are none.
    #[error("there are no accounts")]
    NoAccounts,
    /// There are device accounts alone.
    #[error("a logged-in account is needed, and there are only device ids")]
    NeedsLogin,
    /// Every one rests after a limit.
    #[error("every account has reached a limit")]
    Limited {
        /// Until the first one may be used.
        retry_after: Duration,
        /// The limit of that one.
        kind: Limit,
    },
    /// Every one is busy, and its queue is full or the wait is over.
    #[error("every account is busy")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// None will come back by itself.
    #[error("no account has a valid token")]
    Dead {
        /// Why, a few of them with their lines; for logs.
        reasons: Vec<String>,
    },
    /// The account that owns it is not configured any more.
    #[error("the account that owns this is not configured any more")]
    PinnedGone,
    /// The client's token is too old.
    #[error("the access token is expired")]
    ExternalExpired,
    /// The client's token is not accepted.
    #[error("the token is not accepted: {0}")]
    ExternalDead(String),
    /// Tokens could not be renewed for now, or every account has failed this request.
    #[error("no account can be used for now")]
    Later {
        /// When to try again.
        retry_after: Duration,
    },
    /// The client's word is no token that is known.
    #[error("this is no token that is known")]
    Unknown,
}
