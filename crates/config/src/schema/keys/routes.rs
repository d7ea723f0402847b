//! Keys of `[[routes]]` and `[[expect]]`.

use super::{key, section};
use crate::schema::{Key, Kind, Section};

pub(super) static ROUTE: Section = section(&[
    key(
        "path",
        Kind::RoutePath,
        "Exact path, or a pattern with {name} and {*rest}.",
    )
    .needed(),
    key(
        "methods",
        Kind::List(&Kind::Method),
        "Methods; by default those that the plugin serves.",
    ),
    key(
        "plugin",
        Kind::OneOrMany(&Kind::TextOr(&SHARE)),
        "Plugin that serves the route; a list of { name, weight } shares the traffic.",
    )
    .needed(),
    key(
        "filters",
        Kind::List(&Kind::Text),
        "Filters, in this order, after those of [plugins].",
    )
    .or("[]"),
    key(
        "upstream",
        Kind::OneOrMany(&Kind::TextOr(&TARGET)),
        "Upstream; an ordered list fails over, a list of { name, weight } shares.",
    )
    .or("[]"),
    key(
        "retry",
        Kind::Table(&RETRY),
        "What is tried again while nothing has reached the client.",
    )
    .or("{}"),
    key(
        "hold",
        Kind::Table(&HOLD),
        "Keeps the first bytes of an answer back, so that an upstream that dies meanwhile is covered by another; off if absent.",
    ),
    key(
        "max_body",
        Kind::Size,
        "Largest body, in place of both limits of [server].",
    ),
    key(
        "debug_headers",
        Kind::Bool,
        "Adds x-aurora-upstream and x-aurora-attempts to responses.",
    )
    .or("false"),
    key(
        "options",
        Kind::Free,
        "Options for the plugin that serves the route, over those in [plugins.NAME].",
    )
    .or("{}"),
]);

static TARGET: Section = section(&[
    key("name", Kind::Text, "Name of the upstream.").needed(),
    WEIGHT,
]);

static SHARE: Section = section(&[
    key("name", Kind::Text, "Name of the plugin.").needed(),
    WEIGHT,
]);

const WEIGHT: Key = key(
    "weight",
    Kind::Integer {
        min: 0,
        max: 1_000_000,
    },
    "Share of the traffic.",
)
.or("1");

static RETRY: Section = section(&[
    key(
        "attempts",
        Kind::Integer { min: 1, max: 100 },
        "Attempts, all tokens and upstreams together.",
    )
    .or("3"),
    key(
        "budget",
        Kind::Duration,
        "No attempt starts later than this.",
    )
    .or("30s"),
    key(
        "on",
        Kind::List(&Kind::Word(&[
            "connect",
            "auth",
            "429",
            "5xx",
            "first_byte",
            "context_length",
        ])),
        "What is retried.",
    )
    .or("connect,auth,429,5xx,first_byte,context_length"),
    key(
        "not_after",
        Kind::DurationOrOff,
        "An attempt that took longer to fail is the last one, but for a first-byte timeout.",
    )
    .or("10s"),
    key(
        "backoff",
        Kind::Duration,
        "Wait before an upstream is asked once more, give or take; doubles each time, up to 10 s.",
    )
    .or("100ms"),
    key(
        "max_share",
        Kind::Number { min: 0.0, max: 1.0 },
        "How often an upstream is asked once more for one request, as a share of its requests; 10 and one a second are always free.",
    )
    .or("0.2"),
]);

static HOLD: Section = section(&[
    key(
        "bytes",
        Kind::Integer {
            min: 1,
            max: 1_048_576,
        },
        "Bytes after which they go out.",
    )
    .or("4096"),
    key("time", Kind::Duration, "Time after which they go out.").or("300ms"),
]);

pub(super) static EXPECT: Section = section(&[
    key("request", Kind::Table(&EXPECT_REQUEST), "The request.").needed(),
    key(
        "goes_to",
        Kind::Text,
        "The upstream that must be chosen first.",
    )
    .needed(),
]);

static EXPECT_REQUEST: Section = section(&[
    key("method", Kind::Method, "Method.").or("POST"),
    key("path", Kind::RoutePath, "Path.").needed(),
    key("model", Kind::Text, "Model that the client asks for."),
]);
