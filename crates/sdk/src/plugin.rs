//! A plugin builds handlers; a handler serves a route.

use serde_json::{Map, Value};

use crate::{BoxFuture, Context, Error, Request, Response};

/// What an operator names in `plugin = "..."`.
pub trait Plugin: Send + Sync + 'static {
    /// The name, `[a-z][a-z0-9-]{0,62}`.
    fn name(&self) -> &str;

    /// The methods that its handlers serve where the route lists none; empty for any.
    fn methods(&self) -> &[&'static str];

    /// Whether a route of this plugin makes sense without an upstream.
    fn needs_upstream(&self) -> bool {
        true
    }

    /// Makes the handler of one route, while a snapshot is prepared: bad options fail the reload, never a request.
    ///
    /// # Errors
    /// The option at fault and what is wrong with it.
    fn build(&self, options: &Map<String, Value>) -> Result<Box<dyn Handler>, BuildError>;
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
}

/// Options that a plugin cannot be built with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildError {
    /// The option at fault; empty when it is not one alone.
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
