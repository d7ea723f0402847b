//! What came of one attempt at an upstream: one word for logs, metrics and the breaker.

use aurora_config::RetryOn;
use aurora_sdk::{Error, Origin};

use super::classify::Verdict;
use crate::providers::Fault;

/// What came of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An answer for the client.
    Answered,
    /// The client's own mistake, in the upstream's words.
    ClientError,
    /// 429.
    RateLimited,
    /// 401 or 403 for a token of ours.
    Refused,
    /// The money of a token is gone.
    QuotaExhausted,
    /// The edge asked for a browser.
    Challenged,
    /// 5xx.
    ServerError,
    /// No answer of an API.
    Unusable,
    /// No connection, or gone before the head.
    Unreachable,
    /// No connection in time.
    ConnectTimeout,
    /// No head in time.
    FirstByteTimeout,
    /// Not done in time.
    TotalTimeout,
    /// Silent for too long before anything went to the client.
    IdleTimeout,
    /// No HTTP.
    Garbled,
    /// Broken off before anything went to the client.
    Truncated,
    /// The client or the gateway ended it.
    Cancelled,
}

impl Outcome {
    /// All of them.
    pub(crate) const ALL: [Self; 16] = [
        Self::Answered,
        Self::ClientError,
        Self::RateLimited,
        Self::Refused,
        Self::QuotaExhausted,
        Self::Challenged,
        Self::ServerError,
        Self::Unusable,
        Self::Unreachable,
        Self::ConnectTimeout,
        Self::FirstByteTimeout,
        Self::TotalTimeout,
        Self::IdleTimeout,
        Self::Garbled,
        Self::Truncated,
        Self::Cancelled,
    ];

    /// The word for logs and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::ClientError => "client_error",
            Self::RateLimited => "rate_limited",
            Self::Refused => "refused",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Challenged => "challenged",
            Self::ServerError => "server_error",
            Self::Unusable => "unusable",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::TotalTimeout => "total_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::Garbled => "garbled",
            Self::Truncated => "truncated",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it counts against the upstream.
    pub(crate) fn is_upstreams_fault(self) -> bool {
        match self {
            Self::ServerError
            | Self::Unusable
            | Self::Unreachable
            | Self::ConnectTimeout
            | Self::FirstByteTimeout
            | Self::TotalTimeout
            | Self::IdleTimeout
            | Self::Garbled
            | Self::Truncated => true,
            Self::Answered
            | Self::ClientError
            | Self::RateLimited
            | Self::Refused
            | Self::QuotaExhausted
            | Self::Challenged
            | Self::Cancelled => false,
        }
    }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Relay | Verdict::TooLong => Self::ClientError,
            Verdict::RateLimited { .. } => Self::RateLimited,
            Verdict::Refused => Self::Refused,
            Verdict::QuotaExhausted => Self::QuotaExhausted,
            Verdict::Challenged => Self::Challenged,
            Verdict::ServerError => Self::ServerError,
            Verdict::Redirected | Verdict::NotAnApi => Self::Unusable,
        }
    }
}

impl From<&Fault> for Outcome {
    fn from(fault: &Fault) -> Self {
        match fault {
            Fault::Unreachable(_) => Self::Unreachable,
            Fault::ConnectTimeout => Self::ConnectTimeout,
            Fault::FirstByteTimeout => Self::FirstByteTimeout,
            Fault::TotalTimeout => Self::TotalTimeout,
            Fault::IdleTimeout => Self::IdleTimeout,
            Fault::Garbled(_) => Self::Garbled,
            Fault::Truncated(_) => Self::Truncated,
            Fault::Client(_) => Self::Cancelled,
            Fault::Judged { error, retry_on } => of_judged(error, *retry_on),
        }
    }
}

/// What a provider that translates has judged for itself.
fn of_judged(error: &Error, retry_on: Option<RetryOn>) -> Outcome {
    if error.code() == "upstream_challenge_required" {
        return Outcome::Challenged;
    }
    match retry_on {
        Some(RetryOn::Connect) => Outcome::Unreachable,
        Some(RetryOn::FirstByte) => Outcome::FirstByteTimeout,
        Some(RetryOn::Auth) => Outcome::Refused,
        Some(RetryOn::RateLimit) => Outcome::RateLimited,
        Some(RetryOn::ServerError) => Outcome::ServerError,
        None if error.origin() == Origin::Upstream && error.status().is_server_error() => {
            Outcome::ServerError
        }
        Some(RetryOn::ContextLength) | None => Outcome::ClientError,
    }
}
