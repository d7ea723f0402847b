//! Everything that a user can see, through the real binary and real sockets. One module a behaviour.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "test code: a failed expectation is a failed test"
)]

mod across;
mod auth;
mod backpressure;
mod breaker;
mod chatgpt;
mod cli;
mod clocks;
mod disconnects;
mod disk;
mod docs;
mod emulated;
mod errors;
mod evasions;
mod fallback;
mod faults;
mod floors;
mod forms;
mod hold;
mod hostile;
mod kills;
mod limits;
mod mock;
mod mock_faults;
mod mutual_tls;
mod odd_upstreams;
mod plugins;
mod proxies;
mod queue;
mod races;
mod relay;
mod relay_headers;
mod reload;
mod reload_beside;
mod routing;
mod secrets;
mod server;
mod shutdown;
mod soak;
mod start;
mod streams;
mod support;
mod timeouts;
mod tls;
mod tokens;
mod uploads;
