//! Providers speak an upstream's protocol. They send one attempt and judge nothing: `upstream` does that.

pub(crate) mod mock;
pub(crate) mod openai;

use aurora_sdk::{Body, BoxFuture, Error, Operation};
use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderMap, Method, StatusCode};
use secrecy::SecretString;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// Chunks of an upstream's body.
pub(crate) type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Fault>> + Send>>;

/// One attempt at an upstream.
#[derive(Debug)]
pub(crate) struct Call {
    /// What is asked for.
    pub(crate) operation: Operation,
    /// The method.
    pub(crate) method: Method,
    /// Below the API root, with the query.
    pub(crate) path: String,
    /// Already only those that the upstream may see.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Body,
    /// The credential to add.
    pub(crate) credential: Option<SecretString>,
    /// Whose stored things the call may reach (the mock keeps files).
    pub(crate) owner: Arc<str>,
}

/// What an upstream answered.
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: StatusCode,
    /// All its headers.
    pub(crate) headers: HeaderMap,
    /// Its body.
    pub(crate) body: Chunks,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Why there is no answer, or why its body broke off.
#[derive(Debug)]
pub(crate) enum Fault {
    /// No connection: DNS, refused, TLS, or gone before the head.
    Unreachable(String),
    /// The connection did not stand in time.
    ConnectTimeout,
    /// The head did not come in time.
    FirstByteTimeout,
    /// The whole exchange may take no longer.
    TotalTimeout,
    /// What came is not a response.
    Garbled(String),
    /// The body broke off.
    Truncated(String),
    /// No fault of the upstream: the client's own body failed while it was passed on, or the gateway stops.
    Client(Error),
}

/// Speaks one upstream's protocol.
pub(crate) trait Provider: Send + Sync + fmt::Debug {
    /// Whether the upstream speaks the client's API for `operation`.
    fn native(&self, operation: Operation) -> bool;

    /// Sends one attempt and waits for the head. Dropping the future or the body cancels it.
    fn forward(&self, call: Call) -> BoxFuture<'_, Result<Answer, Fault>>;
}
