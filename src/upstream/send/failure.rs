//! What went wrong so far, and what the client hears of it in the end.

use std::time::Duration;

use aurora_config::RetryOn;
use aurora_sdk::{Error, ErrorKind, Origin, Response};

/// What a client is told to wait where nothing says when an upstream will be there.
const RETRY_UNKNOWN: Duration = Duration::from_secs(30);

/// The last thing that went wrong.
pub(super) enum Failure {
    /// An attempt failed.
    Attempt(Failed),
    /// No attempt could be made at all.
    Unavailable {
        reasons: Vec<String>,
        retry_after: Option<Duration>,
    },
}

/// A failed attempt.
pub(super) struct Failed {
    /// What the client gets if no other attempt does better.
    pub(super) answer: Result<Response, Error>,
    /// The word of `retry.on` that allows another attempt.
    pub(super) retry_on: Option<RetryOn>,
    /// Whether the same upstream may be asked again.
    pub(super) again: bool,
    /// How long it took to fail.
    pub(super) took: Duration,
    /// When the upstream's first token is free again.
    pub(super) token_wait: Option<Duration>,
}

impl Failure {
    /// An upstream cannot be asked, for `reason`, and not before `wait` is over.
    pub(super) fn unavailable(failure: &mut Option<Self>, reason: String, wait: Option<Duration>) {
        match failure {
            // What an upstream really answered says more.
            Some(Self::Attempt(_)) => {}
            Some(Self::Unavailable {
                reasons,
                retry_after,
            }) => {
                // Later rounds repeat what the first one said.
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
                *retry_after = [*retry_after, wait].into_iter().flatten().min();
            }
            None => {
                *failure = Some(Self::Unavailable {
                    reasons: vec![reason],
                    retry_after: wait,
                });
            }
        }
    }

    /// The answer when nothing is left to try.
    pub(super) fn answer(failure: Option<Self>) -> Result<Response, Error> {
        match failure {
            Some(Self::Attempt(Failed {
                answer: Err(error),
                token_wait: Some(wait),
                ..
            })) if error.kind() == ErrorKind::RateLimited => Err(error.with_retry_after(wait)),
            Some(Self::Attempt(failed)) => failed.answer,
            Some(Self::Unavailable {
                reasons,
                retry_after,
            }) => Err(no_upstream(&reasons.join("; "), retry_after)),
            None => Err(no_upstream("the route lists none", None)),
        }
    }
}

fn no_upstream(reasons: &str, retry_after: Option<Duration>) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        Origin::Gateway,
        "no_upstream_available",
        format!("no upstream can take this request now: {reasons}"),
    )
    .with_retry_after(retry_after.unwrap_or(RETRY_UNKNOWN))
}
