//! What a refusal of the service means: whose fault it is, how long it lasts, what a client may be told.

mod classify;
mod kind;
mod wait;
mod words;

pub use classify::{Refusal, of_gate};
pub use kind::{Blame, FaultKind};
pub use wait::wait_in;
pub use words::{MAX_MESSAGE_CHARS, redact};

use std::time::Duration;

/// A classified failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What it is.
    pub kind: FaultKind,
    /// Words for the client: no markup, no tokens, at most [`MAX_MESSAGE_CHARS`].
    pub message: String,
    /// The service's own code, for logs.
    pub upstream_code: Option<String>,
    /// When to try again, as far as the service told or is known for this kind.
    pub clears_in: Option<Duration>,
}
