//! What a handler knows about the request beside the request itself.

use std::fmt;
use std::sync::Arc;

use crate::Host;

/// Everything about one request that is not on the wire. Cheap to clone; a response stream may keep one.
#[derive(Clone)]
pub struct Context {
    /// The id in `x-request-id`.
    pub request_id: Arc<str>,
    /// Who asks.
    pub client: Client,
    /// Values of the route pattern's parameters.
    pub params: Params,
    /// Whether answers may be streamed at all (`[server] stream`).
    pub stream: bool,
    host: Arc<dyn Host>,
}

impl Context {
    /// A context bound to `host`.
    pub fn new(
        request_id: Arc<str>,
        client: Client,
        params: Params,
        stream: bool,
        host: Arc<dyn Host>,
    ) -> Self {
        Self {
            request_id,
            client,
            params,
            stream,
            host,
        }
    }

    /// The way to the outside.
    pub fn host(&self) -> &dyn Host {
        self.host.as_ref()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("request_id", &self.request_id)
            .field("client", &self.client)
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
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
}

impl FromIterator<(String, String)> for Params {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}
