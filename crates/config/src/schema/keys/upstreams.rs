//! Keys of `[tokens.NAME]` and `[upstreams.NAME]`.

use super::{PROTOCOLS, PROXIES, key, section};
use crate::schema::{Kind, Section};

const OPENAI: &[&str] = &["openai"];
const CHATGPT: &[&str] = &["chatgpt-web"];
const MOCK: &[&str] = &["mock"];
const NETWORK: &[&str] = &["openai", "chatgpt-web"];
const HTTP: &[&str] = &["http", "https"];

pub(super) static TOKENS: Section = section(&[
    key(
        "file",
        Kind::Path,
        "File with one API key a line; blank lines and # comments are skipped.",
    ),
    key(
        "env",
        Kind::Variable,
        "Environment variable with API keys, separated by commas or line breaks.",
    ),
    key("values", Kind::List(&Kind::Secret), "API keys."),
    key("access", Kind::Path, "File with ChatGPT access tokens."),
    key("refresh", Kind::Path, "File with ChatGPT refresh tokens."),
    key("session", Kind::Path, "File with ChatGPT session tokens."),
    key("device", Kind::Path, "File with ChatGPT device ids."),
    key(
        "strategy",
        Kind::Word(&["round_robin", "least_busy", "sticky"]),
        "How a token is picked.",
    )
    .or("round_robin"),
    key(
        "cooldown",
        Kind::Duration,
        "Rest of a token after a failure that gives no time of its own.",
    )
    .or("60s"),
    key(
        "probe_dead",
        Kind::Duration,
        "When a dead token is tried again.",
    )
    .or("10m"),
]);

pub(super) static UPSTREAM: Section = section(&[
    key(
        "protocol",
        Kind::Word(&PROTOCOLS),
        "What the upstream speaks.",
    )
    .needed(),
    key(
        "base_url",
        Kind::Url(HTTP),
        "URL up to and including the API root, such as https://api.openai.com/v1.",
    )
    .only(NETWORK),
    key(
        "tokens",
        Kind::Text,
        "Name of the token pool; without one no credential is sent.",
    ),
    key(
        "timeouts",
        Kind::Table(&TIMEOUTS),
        "How long to wait for what.",
    )
    .or("{}"),
    key(
        "models",
        Kind::Map,
        "Model names of clients, each with the upstream's own name.",
    )
    .or("{}"),
    key(
        "max_concurrency",
        Kind::Integer {
            min: 1,
            max: 1_000_000,
        },
        "Requests under way at once.",
    )
    .or("256"),
    key(
        "max_queue",
        Kind::Integer {
            min: 0,
            max: 100_000,
        },
        "Requests that may wait while `max_concurrency` are under way; more are answered 503.",
    )
    .or("64"),
    key(
        "queue_wait",
        Kind::Duration,
        "How long a request waits for a free place, or for a ChatGPT account that answers another one.",
    )
    .or("30s"),
    key(
        "breaker",
        Kind::Table(&BREAKER),
        "When an upstream that fails is left alone for a while.",
    )
    .or("{}"),
    key(
        "health",
        Kind::Table(&HEALTH),
        "Asks the upstream regularly whether it serves; off if absent.",
    ),
    key(
        "context_window",
        Kind::Integer {
            min: 1,
            max: 1_000_000_000,
        },
        "Tokens that its models take: what is too long for another upstream may be sent to one with a larger window.",
    ),
    key(
        "forward_headers",
        Kind::List(&Kind::Header),
        "Client headers to pass on beside the few that always are.",
    )
    .or("[]"),
    key(
        "proxy",
        Kind::Proxy(PROXIES),
        "Outgoing proxy; a URL, or { env = \"NAME\" } to keep its password out of this file.",
    )
    .only(NETWORK),
    key(
        "tls",
        Kind::Table(&TLS),
        "Whom to trust, and what to show, where the upstream is reached by https; reloaded when the files change.",
    )
    .only(NETWORK),
    key(
        "responses",
        Kind::Word(&["native", "emulate"]),
        "Whether the upstream serves the Responses API, or Aurora emulates it.",
    )
    .or("native")
    .only(OPENAI),
    key(
        "done_marker",
        Kind::Word(&["required", "optional"]),
        "Whether a complete chat stream ends with [DONE].",
    )
    .or("required")
    .only(OPENAI),
    key(
        "max_continue",
        Kind::Integer { min: 0, max: 100 },
        "How often a cut answer is continued.",
    )
    .or("3")
    .only(CHATGPT),
    key(
        "history",
        Kind::Bool,
        "Keep conversations in the account's history.",
    )
    .or("false")
    .only(CHATGPT),
    key(
        "prepare",
        Kind::Bool,
        "Announce each turn to the service before it is sent, as its web application does; failures are ignored.",
    )
    .or("false")
    .only(CHATGPT),
    key("tool_calling", Kind::Bool, "Emulate tool calls in text.")
        .or("true")
        .only(CHATGPT),
    key(
        "refusal_retries",
        Kind::Integer { min: 0, max: 100 },
        "How often a refused tool call is asked for again.",
    )
    .or("3")
    .only(CHATGPT),
    key(
        "oauth_url",
        Kind::Url(HTTP),
        "Where refresh tokens are exchanged for access tokens.",
    )
    .or("https://auth.openai.com/oauth/token")
    .only(CHATGPT),
    key(
        "oauth_client_id",
        Kind::Text,
        "Client that the refresh tokens were issued for.",
    )
    .or("pdlLIX2Y72MIl2rhLhTE9VV9bN905kBh")
    .only(CHATGPT),
    key(
        "oauth_redirect_uri",
        Kind::Text,
        "Redirect address of that client.",
    )
    .or("com.openai.chat://auth.openai.com/ios/com.openai.chat/callback")
    .only(CHATGPT),
    key(
        "session_url",
        Kind::Url(HTTP),
        "Where session tokens are exchanged for access tokens.",
    )
    .or("https://chatgpt.com/api/auth/session")
    .only(CHATGPT),
    key("delay", Kind::Duration, "Wait before the response head.")
        .or("0s")
        .only(MOCK),
    key(
        "chunk_delay",
        Kind::Duration,
        "Wait before each further piece of a stream.",
    )
    .or("0s")
    .only(MOCK),
    key(
        "fail_rate",
        Kind::Number { min: 0.0, max: 1.0 },
        "Share of requests that fail.",
    )
    .or("0.0")
    .only(MOCK),
    key(
        "fail_status",
        Kind::Integer { min: 400, max: 599 },
        "Status of a failing request.",
    )
    .or("500")
    .only(MOCK),
    key(
        "cut_after",
        Kind::Integer {
            min: 0,
            max: i64::MAX,
        },
        "A stream breaks off after that many events.",
    )
    .only(MOCK),
]);

static TLS: Section = section(&[
    key(
        "ca",
        Kind::Path,
        "File with certificate authorities, PEM, trusted in place of the system's.",
    ),
    key(
        "cert",
        Kind::Path,
        "File with the certificate chain that Aurora shows, PEM.",
    ),
    key("key", Kind::Path, "File with its private key, PEM."),
]);

static BREAKER: Section = section(&[
    key("enabled", Kind::Bool, "Whether it is ever left alone.").or("true"),
    key(
        "failures",
        Kind::Integer {
            min: 1,
            max: 1_000_000,
        },
        "Failures within `window` that open it, ...",
    )
    .or("5"),
    key(
        "share",
        Kind::Number { min: 0.0, max: 1.0 },
        "... where they are at least this share of the attempts.",
    )
    .or("0.5"),
    key("window", Kind::Duration, "Time over which is counted.").or("30s"),
    key(
        "open",
        Kind::Duration,
        "Longest time until one request tries the upstream again; a tenth of it at first, then twice as long each time.",
    )
    .or("10s"),
]);

static HEALTH: Section = section(&[
    key(
        "path",
        Kind::RoutePath,
        "Asked with GET, below `base_url`; any answer under 500 is a good one.",
    )
    .or("/models"),
    key("interval", Kind::Duration, "Time between two checks.").or("10s"),
    key("timeout", Kind::Duration, "Until a check counts as failed.").or("5s"),
    key(
        "failures",
        Kind::Integer { min: 1, max: 1000 },
        "Failed checks in a row after which no request is sent there, until one succeeds.",
    )
    .or("2"),
]);

static TIMEOUTS: Section = section(&[
    key("connect", Kind::Duration, "Until the connection stands.").or("5s"),
    key(
        "first_byte",
        Kind::Duration,
        "From the request sent to the response head.",
    )
    .or("60s"),
    key(
        "idle",
        Kind::Duration,
        "Longest silence inside a response body.",
    )
    .or("120s"),
    key("total", Kind::DurationOrOff, "The whole exchange.").or("off"),
    key("image", Kind::Duration, "Until a picture is ready.")
        .or("5m")
        .only(CHATGPT),
    key(
        "handoff",
        Kind::Duration,
        "Until an answer that the service works on beside the stream is ready.",
    )
    .or("20m")
    .only(CHATGPT),
]);
