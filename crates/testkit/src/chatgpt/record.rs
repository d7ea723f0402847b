//! What the fake was asked.

use bytes::Bytes;
use serde_json::Value;

/// Which listener, and which kind of exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// The API, OAuth and the session exchange.
    Service,
    /// The blob store: a foreign origin.
    Blob,
    /// The websocket's handshake.
    Websocket,
}

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Where it went.
    pub host: Host,
    /// `GET`, `POST`, ...
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Without the question mark; empty where there is none.
    pub query: String,
    /// In the order sent, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body without its transfer coding.
    pub body: Bytes,
    /// The account that its token was issued to, or `device:ID` of an anonymous one.
    pub account: Option<String>,
    /// What `ChatGPT-Account-ID` said.
    pub workspace: Option<String>,
}

impl Recorded {
    /// The first header called `name`, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The decoded query parameter `name`.
    pub fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// `POST /files`: the method and the path without its API prefix.
    pub fn call(&self) -> String {
        format!("{} {}", self.method, self.route())
    }

    /// The path without `/backend-api` or `/backend-anon`.
    pub(super) fn route(&self) -> &str {
        ["/backend-api", "/backend-anon"]
            .iter()
            .find_map(|base| self.path.strip_prefix(base))
            .filter(|rest| rest.starts_with('/'))
            .unwrap_or(&self.path)
    }
}
