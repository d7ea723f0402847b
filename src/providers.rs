//! Providers speak an upstream's protocol. They send one attempt and judge nothing: `upstream` does that.

pub(crate) mod chatgpt;
pub(crate) mod mock;
pub(crate) mod openai;

use aurora_chatgpt::credential::Credential;
use aurora_config::{Retry, RetryOn};
use aurora_sdk::{Body, BoxFuture, Error, Operation};
use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderMap, Method, StatusCode};
use secrecy::SecretString;
use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::upstream::trace::Trace;

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
    /// The model as the client names it; the body has the upstream's name already.
    pub(crate) model: Option<String>,
    /// What a provider may try by itself, with accounts of its own.
    pub(crate) tries: Tries,
    /// Who asks.
    pub(crate) visitor: Arc<Visitor>,
}

/// What may be tried again, and where attempts are written down.
#[derive(Debug, Clone)]
pub(crate) struct Tries {
    /// The route's `retry`.
    pub(crate) retry: Retry,
    /// What happened, for the log.
    pub(crate) trace: Arc<Trace>,
}

/// Who asks, as far as an upstream's protocol must know.
#[derive(Debug)]
pub(crate) struct Visitor {
    /// Whose stored things the call may reach.
    pub(crate) owner: Arc<str>,
    /// The client's own ChatGPT credential.
    pub(crate) brought: Brought,
    /// `scheme://host[:port]` under which the client reaches the gateway, for links in answers.
    pub(crate) origin: Option<String>,
}

/// What a client brought beside a key of the gateway, or in its place.
#[derive(Debug)]
pub(crate) enum Brought {
    /// Nothing: the operator's own accounts serve.
    Nothing,
    /// A token, refresh token or device id of its own, and the workspace to use.
    Credential {
        /// The credential.
        credential: Credential,
        /// The workspace.
        team: Option<String>,
    },
    /// A credential, which `upstream_tokens = false` refuses.
    Refused,
}

/// What an upstream answered.
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: StatusCode,
    /// All its headers.
    pub(crate) headers: HeaderMap,
    /// Its body.
    pub(crate) body: Chunks,
    /// Whether the provider has judged it already: it goes to the client as it is.
    pub(crate) judged: bool,
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
    /// The body was silent for too long.
    IdleTimeout,
    /// What came is not a response.
    Garbled(String),
    /// The body broke off.
    Truncated(String),
    /// No fault of the upstream: the client's own body failed while it was passed on, or the gateway stops.
    Client(Error),
    /// A provider that translates has judged for itself.
    Judged {
        /// What the client gets if no other upstream does better.
        error: Error,
        /// The word of `retry.on` under which another upstream may be tried.
        retry_on: Option<RetryOn>,
    },
}

/// Speaks one upstream's protocol.
pub(crate) trait Provider: Any + Send + Sync + fmt::Debug {
    /// Whether the upstream speaks the client's API for `operation`.
    fn native(&self, operation: Operation) -> bool;

    /// Sends one attempt and waits for the head. Dropping the future or the body cancels it.
    fn forward(&self, call: Call) -> BoxFuture<'_, Result<Answer, Fault>>;

    /// Looks after what must not wait for a request, such as tokens that expire. Called every few seconds.
    fn tend(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// How often the upstream demanded a browser challenge since the start, as far as the provider knows.
    fn challenges(&self) -> u64 {
        0
    }
}
