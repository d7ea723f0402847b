//! What a handler knows about the request beside the request itself.

use std::fmt;
use std::sync::Arc;

use crate::Host;

/// Everything about one request that is not on the wire. Cheap to clone; a response stream may keep one.
#[derive(Clone)]
pub struct Context {
    host: Arc<dyn Host>,
}

impl Context {
    /// A context bound to `host`.
    pub fn new(host: Arc<dyn Host>) -> Self {
        Self { host }
    }

    /// The way to the outside.
    pub fn host(&self) -> &dyn Host {
        self.host.as_ref()
    }

    /// The id in `x-request-id`.
    pub fn request_id(&self) -> &str {
        &self.host.facts().request_id
    }

    /// Who asks.
    pub fn client(&self) -> &Client {
        &self.host.facts().client
    }

    /// Values of the route pattern's parameters.
    pub fn params(&self) -> &Params {
        &self.host.facts().params
    }

    /// Whether answers may be streamed at all (`[server] stream`).
    pub fn stream(&self) -> bool {
        self.host.facts().stream
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Context").field(self.host.facts()).finish()
    }
}

/// What there is to know about a request from the moment that it is routed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The id in `x-request-id`.
    pub request_id: Arc<str>,
    /// The route's path as configured.
    pub route: Arc<str>,
    /// Who asks.
    pub client: Client,
    /// Values of the route pattern's parameters.
    pub params: Params,
    /// Whether answers may be streamed at all (`[server] stream`).
    pub stream: bool,
}

/// The client by its key; never the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The key's name in the config; `anonymous` where no key is asked for.
    pub name: Arc<str>,
    /// A stable word that owns this client's stored things. Two clients never share it.
    pub owner: Arc<str>,
}

/// Values of `{name}` and `{*rest}` in the route's path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// The decoded value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Names and decoded values, in the order of the path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Params {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}
