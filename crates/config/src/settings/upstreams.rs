//! `[upstreams.NAME]`, as meant.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use super::tls::UpstreamTls;

/// `[upstreams.NAME]`: a service that Aurora calls.
#[derive(Debug, Clone, PartialEq)]
pub struct Upstream {
    /// `protocol` with the settings that only it has.
    pub protocol: Protocol,
    /// `tokens`: name of the pool; `None` calls without a credential.
    pub tokens: Option<String>,
    /// `timeouts`.
    pub timeouts: Timeouts,
    /// `models`: alias to upstream's name.
    pub models: BTreeMap<String, String>,
    /// `max_concurrency`: requests under way at once. Default 256.
    pub max_concurrency: usize,
    /// `max_queue`: requests that may wait for one of those places. Default 64.
    pub max_queue: usize,
    /// `queue_wait`: how long a request waits for a place, or for a ChatGPT account's turn. Default 30 s.
    pub queue_wait: Duration,
    /// `breaker`: when it is left alone; `None` never (`enabled = false`).
    pub breaker: Option<Breaker>,
    /// `health`: whether it is asked regularly. Default no.
    pub health: Option<HealthCheck>,
    /// `context_window`, tokens: what its models take; `None` unknown.
    pub context_window: Option<u64>,
    /// `forward_headers`: client headers, lower case, passed on beside the few that always are.
    pub forward_headers: Vec<String>,
    /// `tls`, with the files' contents.
    pub tls: Option<UpstreamTls>,
    /// `proxy`: `http`, `https` or `socks5` URL.
    pub proxy: Option<Url>,
}

/// `protocol` of an upstream.
#[derive(Debug, Clone, PartialEq)]
pub enum Protocol {
    /// `"openai"`: any OpenAI-compatible server.
    OpenAi(OpenAi),
    /// `"chatgpt-web"`: the ChatGPT web backend.
    ChatGptWeb(Box<ChatGptWeb>),
    /// `"mock"`: built in.
    Mock(Mock),
}

/// Settings of an upstream that speaks the OpenAI API.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenAi {
    /// `base_url`, required: up to and including the API root, such as `https://api.openai.com/v1`.
    pub base_url: Url,
    /// `responses`: `"native"` (default) or `"emulate"` through chat completions.
    pub responses: ResponsesMode,
    /// `done_marker`: `"required"` (default), or `"optional"` for servers that end a chat stream after the finish reason without `[DONE]`.
    pub done_marker: DoneMarker,
}

/// Whether an upstream serves the Responses API itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResponsesMode {
    /// It does.
    #[default]
    Native,
    /// It does not: Aurora works through its chat completions.
    Emulate,
}

/// Whether a chat stream must end with `[DONE]` to count as complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DoneMarker {
    /// It must.
    #[default]
    Required,
    /// A finish reason followed by the end of the body is enough.
    Optional,
}

/// Settings of a ChatGPT web upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatGptWeb {
    /// `base_url`. Default `https://chatgpt.com/backend-api`.
    pub base_url: Url,
    /// `max_continue`: how often a cut answer is continued (`MAX_CONTINUE_COUNT`). Default 3.
    pub max_continue: u32,
    /// `history`: keep conversations in the account's history (`ENABLE_HISTORY`). Default false.
    pub history: bool,
    /// `prepare`: announce each turn before it is sent (init and prepare). Default false.
    pub prepare: bool,
    /// `tool_calling`: emulate tool calls in text (`TOOL_CALLING_ENABLED`). Default true.
    pub tool_calling: bool,
    /// `refusal_retries`: how often a refused tool call is asked for again (`REFUSAL_RETRIES`). Default 3.
    pub refusal_retries: u32,
    /// `oauth_url`: where refresh tokens are exchanged. Default `https://auth.openai.com/oauth/token`.
    pub oauth_url: Url,
    /// `oauth_client_id`: the client that the refresh tokens were issued for. Default: the service's mobile app.
    pub oauth_client_id: String,
    /// `oauth_redirect_uri`: of the same client.
    pub oauth_redirect_uri: String,
    /// `session_url`: where session tokens are exchanged. Default `https://chatgpt.com/api/auth/session`.
    pub session_url: Url,
    /// `timeouts.image`: until a picture is ready. Default 5 min.
    pub image_timeout: Duration,
    /// `timeouts.handoff`: until an answer that the service works on beside the stream is ready. Default 20 min.
    pub handoff_timeout: Duration,
}

/// Settings of the built-in mock: what goes wrong on purpose. Defaults: nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mock {
    /// `delay`: wait before the response head.
    pub delay: Duration,
    /// `chunk_delay`: wait before each further piece of a stream.
    pub chunk_delay: Duration,
    /// `fail_rate`: share of requests that fail, 0 to 1.
    pub fail_rate: f64,
    /// `fail_status`: status of a failing request. Default 500.
    pub fail_status: u16,
    /// `cut_after`: a stream breaks off after that many events.
    pub cut_after: Option<u64>,
}

/// `breaker` of an upstream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Breaker {
    /// `failures` within `window` that open it. Default 5.
    pub failures: u32,
    /// `share` of the attempts that they must be, 0 to 1. Default 0.5.
    pub share: f64,
    /// `window`. Default 30 s.
    pub window: Duration,
    /// `open`: the longest time until one request tries it again. Default 10 s.
    pub open: Duration,
}

/// `health` of an upstream: it is asked regularly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// `path` below the API root. Default `/models`.
    pub path: String,
    /// `interval`. Default 10 s.
    pub interval: Duration,
    /// `timeout` of a check. Default 5 s.
    pub timeout: Duration,
    /// `failures` in a row after which nothing is sent there. Default 2.
    pub failures: u32,
}

/// `timeouts` of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands. Default 5 s.
    pub connect: Duration,
    /// From the request sent to the response head. Default 60 s.
    pub first_byte: Duration,
    /// The longest silence inside a response body. Default 120 s.
    pub idle: Duration,
    /// The whole exchange; `None` (default) no limit.
    pub total: Option<Duration>,
}
