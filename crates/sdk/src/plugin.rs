//! A plugin builds handlers and filters; a handler serves a route.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{BoxFuture, Context, Error, Filter, Manifest, PluginHost, Request, Response};

/// What an operator names in `plugin = "..."` or `filters = ["..."]`.
pub trait Plugin: Send + Sync + 'static {
    /// What it says of itself.
    fn manifest(&self) -> Manifest;

    /// Makes the handler of one route, while a snapshot is prepared: bad options fail the reload, never a request.
    ///
    /// # Errors
    /// The option at fault and what is wrong with it.
    fn build(
        &self,
        host: &Arc<dyn PluginHost>,
        options: &Map<String, Value>,
    ) -> Result<Box<dyn Handler>, BuildError> {
        let (_, _) = (host, options);
        Err(BuildError::new("", "it is no handler"))
    }

    /// Makes a filter, as [`Plugin::build`] does a handler.
    ///
    /// # Errors
    /// The option at fault and what is wrong with it.
    fn build_filter(
        &self,
        host: &Arc<dyn PluginHost>,
        options: &Map<String, Value>,
    ) -> Result<Box<dyn Filter>, BuildError> {
        let (_, _) = (host, options);
        Err(BuildError::new("", "it is no filter"))
    }
}

/// Serves the requests of one route. Shared by all of them.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. Dropping the future or the response's body cancels everything that it started.
    fn handle<'a>(
        &'a self,
        cx: &'a Context,
        request: Request,
    ) -> BoxFuture<'a, Result<Response, Error>>;

    /// Whether clients need no key of the gateway for it: an operator must have asked for that.
    fn is_public(&self) -> bool {
        false
    }

    /// A test of itself before it serves; has 10 s.
    ///
    /// # Errors
    /// Why it must not serve.
    fn probe(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// No new requests will come: the time to end work in the background. Requests under way go on.
    fn drain(&self) {}
}

/// Options that a plugin cannot be built with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildError {
    /// The option at fault; empty when it is not one alone. A path into a nested option has slashes, as in `rules/0/name`.
    pub option: String,
    /// What is wrong with it.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

impl BuildError {
    /// An error about `option`.
    pub fn new(option: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            option: option.into(),
            message: message.into(),
            hint: None,
        }
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Refuses every option that is not in `known`.
    ///
    /// # Errors
    /// The first unknown option.
    pub fn unknown_options(options: &Map<String, Value>, known: &[&str]) -> Result<(), Self> {
        match options.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) if known.is_empty() => Err(Self::new(key, format!("unknown option `{key}`"))
                .with_hint("this plugin has no options")),
            Some(key) => Err(Self::new(key, format!("unknown option `{key}`"))
                .with_hint(format!("known options: {}", known.join(", ")))),
        }
    }
}
