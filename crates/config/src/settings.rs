//! The settings as meant: parsed, defaulted, cross-checked, every reference resolved.
//!
//! `aurora.toml` as written never leaves this crate; the rest of Aurora sees only these types.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use url::Url;

use limits::Limits;
use plugins::Plugins;
use tls::Tls;
use tokens::Tokens;
use upstreams::Upstream;

pub(crate) mod limits;
pub(crate) mod plugins;
pub(crate) mod tls;
pub(crate) mod tokens;
pub(crate) mod upstreams;

/// Everything that one `aurora.toml`, its environment and the files it names say.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[server]`.
    pub server: Server,
    /// `[admin]`; `None` when the section is absent: no admin listener then.
    pub admin: Option<Admin>,
    /// `[auth]`.
    pub auth: Auth,
    /// `[tokens.NAME]`, by name.
    pub tokens: BTreeMap<String, Tokens>,
    /// `[upstreams.NAME]`, by name.
    pub upstreams: BTreeMap<String, Upstream>,
    /// `[[routes]]`, in the order written.
    pub routes: Vec<Route>,
    /// `[[expect]]`, in the order written; already known to hold.
    pub expects: Vec<Expect>,
    /// `[plugins]`.
    pub plugins: Plugins,
}

/// `[server]`: the public listeners and what every request shares.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// `listen`: `host:port` each; port 0 lets the system choose. Default `127.0.0.1:8080`.
    pub listen: Vec<String>,
    /// `max_body`, bytes: the largest JSON body. Default 32 MiB. Streamed bodies have `Route::max_body`.
    pub max_body: u64,
    /// `max_upload`, bytes: the largest streamed (multipart, passthrough) body. Default 2 GiB.
    pub max_upload: u64,
    /// `max_in_flight`: requests served at once; more are answered 503 at once. Default 10,000.
    pub max_in_flight: usize,
    /// `header_read`: time a client has to send its request head. Default 10 s.
    pub header_read: Duration,
    /// `body_read_gap`: the longest silence inside a request body. Default 30 s.
    pub body_read_gap: Duration,
    /// `body_write_gap`: the longest time that a client may take nothing of an answer. Default 60 s.
    pub body_write_gap: Duration,
    /// `idle`: time an idle client connection is kept. Default 120 s.
    pub idle: Duration,
    /// `drain`: time running requests have to finish at shutdown. Default 30 s.
    pub drain: Duration,
    /// `keep_alive_comment`: silence after which an event stream gets a comment line; `None` (`"off"`) never. Default 15 s.
    pub keep_alive_comment: Option<Duration>,
    /// `stream`: false answers JSON even where the client asked for a stream. Default true.
    pub stream: bool,
    /// `data_dir`: where state is kept, absolute. Default: the folder of `aurora.toml`.
    pub data_dir: PathBuf,
    /// `cors`: allowed origins, `["*"]` for any. Default: none, no CORS headers at all.
    pub cors: Vec<String>,
    /// `tls`, with the files' contents.
    pub tls: Option<Tls>,
    /// `fetch_private`: picture URLs of clients may point to loopback, private and link-local addresses. Default false.
    pub fetch_private: bool,
    /// `public_url`: how clients reach this gateway. `None` (default): what a request's `Host` header says.
    pub public_url: Option<Url>,
}

/// `[admin]`: health, readiness, status, reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// `listen`. Default `127.0.0.1:9090`.
    pub listen: String,
}

/// `[auth]`: who may use this gateway.
#[derive(Debug, Clone)]
pub struct Auth {
    /// The client keys of `keys`, `keys_file` and the environment; empty lets everybody in.
    pub keys: Vec<ClientKey>,
    /// `open`: allow a non-loopback listener without keys. Default false.
    pub open: bool,
    /// `upstream_tokens`: clients may bring their own ChatGPT token. Default true.
    pub upstream_tokens: bool,
}

/// One client key with what it may do.
#[derive(Debug, Clone)]
pub struct ClientKey {
    /// `name`, or `key-N` by position: for logs and status, never secret.
    pub name: String,
    /// How a presented key is compared.
    pub secret: KeySecret,
    /// `models`: client-facing model names that are allowed; `None` all, empty none.
    pub models: Option<Vec<String>>,
    /// `routes`: route paths, as written in the config, that are allowed; `None` all, empty none.
    pub routes: Option<Vec<String>>,
    /// `expires`: the key is refused from then on.
    pub expires: Option<SystemTime>,
    /// `limits` over those of `[auth]`.
    pub limits: Limits,
}

/// The stored form of a client key.
#[derive(Debug, Clone)]
pub enum KeySecret {
    /// The key itself.
    Plain(SecretString),
    /// Its SHA-256.
    Sha256([u8; 32]),
}

/// `[[routes]]`: a path, the plugin that serves it, and the upstreams it uses.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// `path`: exact, or a pattern with `{name}` and `{*rest}`.
    pub path: String,
    /// `methods`, upper case; `None`: those that the plugin serves.
    pub methods: Option<Vec<String>>,
    /// `plugin`: at least one, with its share of the traffic each; the first is the main one.
    pub plugins: Vec<PluginShare>,
    /// The filters of `[plugins]`, then those of the route's own `filters` that are not among them.
    pub filters: Vec<String>,
    /// `upstream`: in order of preference, or weighted.
    pub upstreams: Vec<Target>,
    /// Whether `upstreams` was written with weights: a share of traffic each, not an order.
    pub weighted: bool,
    /// `retry`.
    pub retry: Retry,
    /// `hold`; `None` (default) passes everything on at once.
    pub hold: Option<Hold>,
    /// `max_body`, bytes; overrides both limits of `[server]`.
    pub max_body: Option<u64>,
    /// `debug_headers`: adds `x-aurora-upstream` and `x-aurora-attempts` to responses. Default false.
    pub debug_headers: bool,
    /// `options`: given to `build` of the plugin that serves, over `[plugins.NAME]`; not to filters.
    pub options: serde_json::Map<String, serde_json::Value>,
    /// 1-based line of the route in the file; 0 when it came from elsewhere.
    pub line: usize,
}

impl Route {
    /// The main plugin: the first of `plugins`.
    pub fn plugin(&self) -> &str {
        self.plugins.first().map_or("", |share| &share.name)
    }
}

/// One plugin of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginShare {
    /// Name of the plugin.
    pub name: String,
    /// `weight`: its share of the traffic. Default 1; at least one of a route is above 0.
    pub weight: u32,
}

/// One upstream of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name of the upstream.
    pub name: String,
    /// `weight`. Default 1.
    pub weight: u32,
}

/// `hold` of a route: how long the first bytes of an answer are kept back, so that another upstream can still answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// `bytes` after which they go out. Default 4096.
    pub bytes: usize,
    /// `time` after which they go out. Default 300 ms.
    pub time: Duration,
}

/// `retry` of a route: what may be tried again while nothing has reached the client.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// `attempts`: all tokens and upstreams together. Default 3.
    pub attempts: u32,
    /// `budget`: no attempt starts later than this. Default 30 s.
    pub budget: Duration,
    /// `on`. Default all.
    pub on: Vec<RetryOn>,
    /// `not_after`: an attempt that took longer to fail is the last one, first-byte timeouts excepted. Default 10 s.
    pub not_after: Option<Duration>,
    /// `backoff` before an upstream is asked once more; doubles each time. Default 100 ms.
    pub backoff: Duration,
    /// `max_share`: how often an upstream is asked once more for one request, as a share of its requests. Default 0.2.
    pub max_share: f64,
}

impl Default for Retry {
    /// As where a route says nothing.
    fn default() -> Self {
        Self {
            attempts: 3,
            budget: Duration::from_secs(30),
            on: vec![
                RetryOn::Connect,
                RetryOn::Auth,
                RetryOn::RateLimit,
                RetryOn::ServerError,
                RetryOn::FirstByte,
                RetryOn::ContextLength,
            ],
            not_after: Some(Duration::from_secs(10)),
            backoff: Duration::from_millis(100),
            max_share: 0.2,
        }
    }
}

/// An outcome that a route retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryOn {
    /// `"connect"`: no connection, or it broke before the head.
    Connect,
    /// `"auth"`: 401, 402 and 403 for a pool token.
    Auth,
    /// `"429"`.
    RateLimit,
    /// `"5xx"`.
    ServerError,
    /// `"first_byte"`: the head did not come in time.
    FirstByte,
    /// `"context_length"`: too long for this upstream, and another has a larger window.
    ContextLength,
}

/// `[[expect]]`: a routing assertion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// `request.method`. Default `POST`.
    pub method: String,
    /// `request.path`.
    pub path: String,
    /// `request.model`.
    pub model: Option<String>,
    /// `goes_to`: the first upstream that must be chosen.
    pub goes_to: String,
}
