//! Upstreams: pick a target, lease a token, send, judge, settle; or try the next while nothing is lost by it.

mod answer;
pub(crate) mod classify;
pub(crate) mod client;
pub(crate) mod dialect;
mod exchange;
pub(crate) mod fetch;
mod form;
mod headers;
pub(crate) mod pool;
mod redact;
mod relay;
mod send;
pub(crate) mod trace;

pub(crate) use exchange::{Audience, Exchange};
pub(crate) use send::{order, send};

use std::sync::Arc;

use aurora_config::{DoneMarker, Protocol};
use aurora_tokens::TokenPool;
use tokio::sync::Semaphore;

use crate::providers::Provider;

/// A configured upstream, ready to be called.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// Its name in the config.
    pub(crate) name: String,
    /// Its settings.
    pub(crate) settings: aurora_config::Upstream,
    /// Speaks its protocol.
    pub(crate) provider: Arc<dyn Provider>,
    /// Its credentials.
    pub(crate) pool: Option<Arc<TokenPool>>,
    /// One permit a request under way.
    pub(crate) slots: Arc<Semaphore>,
}

impl Upstream {
    /// The upstream's name for a client's `model`; `None` where it is no alias here.
    pub(crate) fn alias(&self, model: Option<&str>) -> Option<&str> {
        self.settings.models.get(model?).map(String::as_str)
    }

    fn done_marker(&self) -> DoneMarker {
        match &self.settings.protocol {
            Protocol::OpenAi(settings) => settings.done_marker,
            Protocol::ChatGptWeb(_) | Protocol::Mock(_) => DoneMarker::Required,
        }
    }
}
