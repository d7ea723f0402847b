//! aurora.toml as serde reads it, after the checks and with defaults: what is `None` here was absent or wrong.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::schema::words;

type Options = serde_json::Map<String, serde_json::Value>;

#[derive(Deserialize)]
pub(crate) struct Raw {
    pub(crate) version: Option<i64>,
    pub(crate) server: Server,
    pub(crate) admin: Option<Admin>,
    pub(crate) auth: Auth,
    pub(crate) tokens: BTreeMap<String, Tokens>,
    pub(crate) upstreams: BTreeMap<String, Upstream>,
    pub(crate) routes: Vec<Route>,
    pub(crate) expect: Vec<Expect>,
    pub(crate) plugins: Plugins,
}

#[derive(Deserialize)]
pub(crate) struct Server {
    pub(crate) listen: OneOrMany<String>,
    #[serde(deserialize_with = "size")]
    pub(crate) max_body: u64,
    #[serde(deserialize_with = "size")]
    pub(crate) max_upload: u64,
    pub(crate) max_in_flight: usize,
    #[serde(deserialize_with = "duration")]
    pub(crate) header_read: Duration,
    #[serde(deserialize_with = "duration")]
    pub(crate) body_read_gap: Duration,
    #[serde(deserialize_with = "duration")]
    pub(crate) body_write_gap: Duration,
    #[serde(deserialize_with = "duration")]
    pub(crate) idle: Duration,
    #[serde(deserialize_with = "duration")]
    pub(crate) drain: Duration,
    #[serde(deserialize_with = "optional_duration")]
    pub(crate) keep_alive_comment: Option<Duration>,
    pub(crate) stream: bool,
    pub(crate) data_dir: String,
    pub(crate) cors: Vec<String>,
    pub(crate) tls: Option<Tls>,
    pub(crate) fetch_private: bool,
    pub(crate) public_url: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Tls {
    pub(crate) cert: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) client_ca: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct UpstreamTls {
    pub(crate) ca: Option<String>,
    pub(crate) cert: Option<String>,
    pub(crate) key: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Admin {
    pub(crate) listen: String,
}

#[derive(Deserialize)]
pub(crate) struct Auth {
    pub(crate) keys: Vec<KeyEntry>,
    pub(crate) keys_file: Option<String>,
    pub(crate) open: bool,
    pub(crate) upstream_tokens: bool,
    pub(crate) limits: Limits,
}

#[derive(Default, Deserialize)]
pub(crate) struct Limits {
    pub(crate) requests_per_minute: Option<NonZeroU32>,
    pub(crate) tokens_per_minute: Option<NonZeroU32>,
    pub(crate) concurrent: Option<NonZeroU32>,
    pub(crate) tokens_per_day: Option<NonZeroU64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum KeyEntry {
    /// An item that the checks refused.
    Refused(Mark),
    Secret(Secret),
    Table(KeyTable),
}

#[derive(Deserialize)]
pub(crate) struct KeyTable {
    pub(crate) name: Option<String>,
    pub(crate) key: Option<Secret>,
    pub(crate) sha256: Option<String>,
    pub(crate) models: Option<Vec<String>>,
    pub(crate) routes: Option<Vec<String>>,
    pub(crate) limits: Option<Limits>,
    pub(crate) expires: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum Secret {
    /// An item that the checks refused.
    Refused(Mark),
    Text(String),
    Env {
        env: String,
    },
    File {
        file: String,
    },
}

#[derive(Deserialize)]
pub(crate) struct Tokens {
    pub(crate) file: Option<String>,
    pub(crate) env: Option<String>,
    pub(crate) values: Option<Vec<Secret>>,
    pub(crate) access: Option<String>,
    pub(crate) refresh: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) device: Option<String>,
    pub(crate) strategy: String,
    #[serde(deserialize_with = "duration")]
    pub(crate) cooldown: Duration,
    #[serde(deserialize_with = "duration")]
    pub(crate) probe_dead: Duration,
}

#[derive(Deserialize)]
pub(crate) struct Upstream {
    pub(crate) protocol: Option<String>,
    pub(crate) base_url: Option<String>,
    pub(crate) tokens: Option<String>,
    pub(crate) timeouts: Timeouts,
    pub(crate) models: BTreeMap<String, String>,
    pub(crate) max_concurrency: usize,
    pub(crate) max_queue: usize,
    #[serde(deserialize_with = "duration")]
    pub(crate) queue_wait: Duration,
    pub(crate) breaker: Breaker,
    pub(crate) health: Option<HealthCheck>,
    pub(crate) context_window: Option<u64>,
    pub(crate) tls: Option<UpstreamTls>,
    pub(crate) forward_headers: Vec<String>,
    pub(crate) proxy: Option<Secret>,
    pub(crate) responses: Option<String>,
    pub(crate) done_marker: Option<String>,
    pub(crate) max_continue: Option<u32>,
    pub(crate) history: Option<bool>,
    pub(crate) prepare: Option<bool>,
    pub(crate) tool_calling: Option<bool>,
    pub(crate) refusal_retries: Option<u32>,
    pub(crate) oauth_url: Option<String>,
    pub(crate) oauth_client_id: Option<String>,
    pub(crate) oauth_redirect_uri: Option<String>,
    pub(crate) session_url: Option<String>,
    pub(crate) delay: Option<Time>,
    pub(crate) chunk_delay: Option<Time>,
    pub(crate) fail_rate: Option<f64>,
    pub(crate) fail_status: Option<u16>,
    pub(crate) cut_after: Option<u64>,
}

#[derive(Deserialize)]
pub(crate) struct Breaker {
    pub(crate) enabled: bool,
    pub(crate) failures: u32,
    pub(crate) share: f64,
    #[serde(deserialize_with = "duration")]
    pub(crate) window: Duration,
    #[serde(deserialize_with = "duration")]
    pub(crate) open: Duration,
}

#[derive(Deserialize)]
pub(crate) struct HealthCheck {
    pub(crate) path: String,
    #[serde(deserialize_with = "duration")]
    pub(crate) interval: Duration,
    #[serde(deserialize_with = "duration")]
    pub(crate) timeout: Duration,
    pub(crate) failures: u32,
}

#[derive(Deserialize)]
pub(crate) struct Timeouts {
    #[serde(deserialize_with = "duration")]
    pub(crate) connect: Duration,
    #[serde(deserialize_with = "duration")]
    pub(crate) first_byte: Duration,
    #[serde(deserialize_with = "duration")]
    pub(crate) idle: Duration,
    #[serde(deserialize_with = "optional_duration")]
    pub(crate) total: Option<Duration>,
    pub(crate) image: Option<Time>,
    pub(crate) handoff: Option<Time>,
}

#[derive(Deserialize)]
pub(crate) struct Route {
    pub(crate) path: Option<String>,
    pub(crate) methods: Option<Vec<String>>,
    pub(crate) plugin: Option<OneOrMany<Target>>,
    pub(crate) filters: Vec<String>,
    pub(crate) upstream: OneOrMany<Target>,
    pub(crate) retry: Retry,
    pub(crate) hold: Option<Hold>,
    pub(crate) max_body: Option<Size>,
    pub(crate) debug_headers: bool,
    pub(crate) options: Options,
}

/// An upstream or a plugin, of several.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Target {
    /// An item that the checks refused.
    Refused(Mark),
    Name(String),
    Weighted {
        name: Option<String>,
        weight: u32,
    },
}

#[derive(Deserialize)]
pub(crate) struct Retry {
    pub(crate) attempts: u32,
    #[serde(deserialize_with = "duration")]
    pub(crate) budget: Duration,
    pub(crate) on: Vec<String>,
    #[serde(deserialize_with = "optional_duration")]
    pub(crate) not_after: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub(crate) backoff: Duration,
    pub(crate) max_share: f64,
}

#[derive(Deserialize)]
pub(crate) struct Hold {
    pub(crate) bytes: usize,
    #[serde(deserialize_with = "duration")]
    pub(crate) time: Duration,
}

#[derive(Deserialize)]
pub(crate) struct Expect {
    pub(crate) request: Option<ExpectRequest>,
    pub(crate) goes_to: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct ExpectRequest {
    pub(crate) method: String,
    pub(crate) path: Option<String>,
    pub(crate) model: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Plugins {
    pub(crate) dir: String,
    pub(crate) filters: Vec<String>,
    pub(crate) trust: String,
    pub(crate) allow: Vec<String>,
    pub(crate) public_keys: Vec<String>,
    pub(crate) unload: String,
    pub(crate) max_generations: usize,
    #[serde(deserialize_with = "duration")]
    pub(crate) drain: Duration,
    pub(crate) on_panic: String,
    pub(crate) panics: u32,
    #[serde(deserialize_with = "duration")]
    pub(crate) panic_window: Duration,
    #[serde(flatten)]
    pub(crate) named: BTreeMap<String, Plugin>,
}

#[derive(Deserialize)]
pub(crate) struct Plugin {
    pub(crate) file: Option<String>,
    pub(crate) grant: Grant,
    #[serde(flatten)]
    pub(crate) options: Options,
}

#[derive(Deserialize)]
pub(crate) struct Grant {
    pub(crate) upstreams: Vec<String>,
    pub(crate) max_concurrency: usize,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    pub(crate) fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Time(#[serde(deserialize_with = "duration")] pub(crate) Duration);

#[derive(Deserialize)]
pub(crate) struct Size(#[serde(deserialize_with = "size")] pub(crate) u64);

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    words::duration(&text).map_err(|fault| de::Error::custom(fault.message))
}

fn optional_duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    words::optional_duration(&text).map_err(|fault| de::Error::custom(fault.message))
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    words::size(&text).map_err(|fault| de::Error::custom(fault.message))
}

/// What [`crate::schema::check`] leaves in the place of an item that it refused.
pub(crate) struct Mark;

impl<'de> Deserialize<'de> for Mark {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bool::deserialize(deserializer).map(|_| Self)
    }
}
