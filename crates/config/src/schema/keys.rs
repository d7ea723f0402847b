//! The table of keys.

use super::{Key, Kind, Section};

mod plugins;
mod routes;
mod upstreams;

use plugins::PLUGINS;
use routes::{EXPECT, ROUTE};
use upstreams::{TOKENS, UPSTREAM};

const fn key(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        default: None,
        required: false,
        only: &[],
        doc,
    }
}

/// A key without a default.
pub(crate) const fn plain(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    key(name, kind, doc)
}

impl Key {
    const fn or(self, default: &'static str) -> Self {
        Self {
            default: Some(default),
            ..self
        }
    }

    const fn needed(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }

    const fn only(self, protocols: &'static [&'static str]) -> Self {
        Self {
            only: protocols,
            ..self
        }
    }
}

const fn section(keys: &'static [Key]) -> Section {
    Section { keys, rest: None }
}

/// Upstream protocols.
pub(crate) const PROTOCOLS: [&str; 3] = ["openai", "chatgpt-web", "mock"];

/// Schemes of outgoing proxies.
pub(crate) const PROXIES: &[&str] = &["http", "https", "socks5", "socks5h"];

/// Default `base_url` of chatgpt-web upstreams.
pub(crate) const CHATGPT_BASE_URL: &str = "https://chatgpt.com/backend-api";

/// The whole file.
pub(crate) static ROOT: Section = section(&[
    key(
        "version",
        Kind::Integer {
            min: i64::MIN,
            max: i64::MAX,
        },
        "Form of this file; 1 is the only one so far.",
    ),
    key(
        "server",
        Kind::Table(&SERVER),
        "The public listeners and what every request shares.",
    )
    .or("{}"),
    key(
        "admin",
        Kind::Table(&ADMIN),
        "Health, readiness, status and reload on a listener of their own; off if absent.",
    ),
    key("auth", Kind::Table(&AUTH), "Who may use this gateway.").or("{}"),
    key(
        "tokens",
        Kind::Named(&TOKENS),
        "Pools of upstream credentials, by name.",
    )
    .or("{}"),
    key(
        "upstreams",
        Kind::Named(&UPSTREAM),
        "Services that Aurora calls, by name.",
    )
    .or("{}"),
    key(
        "routes",
        Kind::List(&Kind::Table(&ROUTE)),
        "Paths, the plugins that serve them and the upstreams they use.",
    )
    .or("[]"),
    key(
        "expect",
        Kind::List(&Kind::Table(&EXPECT)),
        "Routing assertions, checked at every reload.",
    )
    .or("[]"),
    key(
        "plugins",
        Kind::Table(&PLUGINS),
        "The plugin folder, and settings of plugins by name.",
    )
    .or("{}"),
]);

static SERVER: Section = section(&[
    key(
        "listen",
        Kind::OneOrMany(&Kind::Address),
        "Address, or list of addresses, to listen on; port 0 lets the system choose.",
    )
    .or("127.0.0.1:8080"),
    key("max_body", Kind::Size, "Largest JSON body.").or("32MiB"),
    key(
        "max_upload",
        Kind::Size,
        "Largest streamed body: multipart and passthrough.",
    )
    .or("2GiB"),
    key(
        "max_in_flight",
        Kind::Integer {
            min: 1,
            max: 10_000_000,
        },
        "Requests served at once; more are answered 503.",
    )
    .or("10000"),
    key(
        "header_read",
        Kind::Duration,
        "Time a client has to send its request head.",
    )
    .or("10s"),
    key(
        "body_read_gap",
        Kind::Duration,
        "Longest silence inside a request body.",
    )
    .or("30s"),
    key(
        "body_write_gap",
        Kind::Duration,
        "Longest time that a client may take nothing of an answer that there is.",
    )
    .or("60s"),
    key(
        "idle",
        Kind::Duration,
        "Time an idle client connection is kept.",
    )
    .or("120s"),
    key(
        "drain",
        Kind::Duration,
        "Time running requests have to finish at shutdown.",
    )
    .or("30s"),
    key(
        "keep_alive_comment",
        Kind::DurationOrOff,
        "Silence after which an event stream gets a comment line, or \"off\".",
    )
    .or("15s"),
    key(
        "stream",
        Kind::Bool,
        "false answers JSON even where the client asked for a stream.",
    )
    .or("true"),
    key(
        "data_dir",
        Kind::Path,
        "Folder for state; relative to this file.",
    )
    .or("."),
    key(
        "cors",
        Kind::List(&Kind::Origin),
        "Origins that browsers may call from, or \"*\"; none by default.",
    )
    .or("[]"),
    key(
        "tls",
        Kind::Table(&TLS),
        "Certificate and key for HTTPS, reloaded when the files change.",
    ),
    key(
        "fetch_private",
        Kind::Bool,
        "Picture URLs of clients may point to loopback, private and link-local addresses.",
    )
    .or("false"),
    key(
        "public_url",
        Kind::Url(&["http", "https"]),
        "How clients reach this gateway, for links to pictures; by default what their Host header says.",
    ),
]);

static TLS: Section = section(&[
    key("cert", Kind::Path, "File with the certificate chain, PEM.").needed(),
    key("key", Kind::Path, "File with the private key, PEM.").needed(),
    key(
        "client_ca",
        Kind::Path,
        "File with certificate authorities, PEM: clients must show a certificate that one of them signed.",
    ),
]);

static ADMIN: Section =
    section(&[key("listen", Kind::Address, "Address of the admin listener.").or("127.0.0.1:9090")]);

static AUTH: Section = section(&[
    key(
        "keys",
        Kind::List(&Kind::SecretOr(&CLIENT_KEY)),
        "Client keys; without any, everybody is let in.",
    )
    .or("[]"),
    key("keys_file", Kind::Path, "File with one client key a line."),
    key("open", Kind::Bool, "Allow a public listener without keys.").or("false"),
    key(
        "upstream_tokens",
        Kind::Bool,
        "Clients may bring their own ChatGPT token.",
    )
    .or("true"),
    key(
        "limits",
        Kind::Table(&LIMITS),
        "What each client key may use; a key's own `limits` replace single ones.",
    )
    .or("{}"),
]);

/// The most of anything within a minute: its share of time must still be whole nanoseconds.
const PER_MINUTE: Kind = Kind::Integer {
    min: 1,
    max: 1_000_000_000,
};

/// What a client key may use.
static LIMITS: Section = section(&[
    key(
        "requests_per_minute",
        PER_MINUTE,
        "Requests within a minute, in one burst or spread.",
    ),
    key(
        "tokens_per_minute",
        PER_MINUTE,
        "Tokens within a minute, of questions and answers.",
    ),
    key(
        "concurrent",
        Kind::Integer {
            min: 1,
            max: 1_000_000,
        },
        "Requests under way at once, streams among them.",
    ),
    key(
        "tokens_per_day",
        Kind::Integer {
            min: 1,
            max: i64::MAX,
        },
        "Tokens within a day of UTC.",
    ),
]);

/// A client key that is a table.
pub(crate) static CLIENT_KEY: Section = section(&[
    key("name", Kind::Text, "Name for logs and status; not secret."),
    key("key", Kind::Secret, "The key itself."),
    key(
        "sha256",
        Kind::Sha256,
        "SHA-256 of the key, 64 hexadecimal digits, in place of the key.",
    ),
    key(
        "models",
        Kind::List(&Kind::Text),
        "Models that this key may use; all if absent, none if empty.",
    ),
    key(
        "routes",
        Kind::List(&Kind::RoutePath),
        "Paths of routes that this key may use; all if absent, none if empty.",
    ),
    key(
        "limits",
        Kind::Table(&LIMITS),
        "What this key may use of its own; replaces single limits of [auth].",
    ),
    key("expires", Kind::Moment, "The key is refused from then on."),
]);
