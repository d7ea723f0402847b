//! Upstreams: pick a target, lease a token, send, judge, settle; or try the next while nothing is lost by it.

mod answer;
pub(crate) mod checks;
pub(crate) mod classify;
pub(crate) mod client;
pub(crate) mod dialect;
mod exchange;
pub(crate) mod fetch;
mod form;
mod headers;
pub(crate) mod health;
mod hold;
pub(crate) mod outcome;
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
use health::{By, Health};

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
    /// How it has fared.
    pub(crate) health: Arc<Health>,
}

impl Upstream {
    /// The upstream's name for a client's `model`; `None` where it is no alias here.
    pub(crate) fn alias(&self, model: Option<&str>) -> Option<&str> {
        self.settings.models.get(model?).map(String::as_str)
    }

    /// Requests that it serves now.
    pub(crate) fn busy(&self) -> usize {
        let places = self.settings.max_concurrency;
        places.saturating_sub(self.slots.available_permits())
    }

    /// Who it is to its health.
    pub(crate) fn by(&self) -> By<'_> {
        By {
            upstream: &self.name,
            settings: self.settings.breaker,
        }
    }

    fn done_marker(&self) -> DoneMarker {
        match &self.settings.protocol {
            Protocol::OpenAi(settings) => settings.done_marker,
            Protocol::ChatGptWeb(_) | Protocol::Mock(_) => DoneMarker::Required,
        }
    }
}
