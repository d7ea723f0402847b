//! What all attempts of one request share.

use std::sync::Arc;

use aurora_config::{Hold, Retry};
use tokio_util::sync::CancellationToken;

use super::Upstream;
use super::trace::Trace;
use crate::providers::Visitor;

/// Who reads the answer's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// The client: it gets an error event when the upstream fails.
    Client,
    /// Aurora itself: it gets the bare events and a bare error.
    Aurora,
}

/// What all attempts of one request share.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    /// The upstreams in the order of this request.
    pub(crate) targets: Vec<Arc<Upstream>>,
    /// What may be tried again.
    pub(crate) retry: Retry,
    /// How much of an answer is kept back.
    pub(crate) hold: Option<Hold>,
    /// Fires when running streams must end.
    pub(crate) ending: CancellationToken,
    /// What happened, for the log.
    pub(crate) trace: Arc<Trace>,
    /// Who asks.
    pub(crate) visitor: Arc<Visitor>,
}
