//! For tests: fake upstreams over real sockets, a harness for the real binary, a small raw client.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::disallowed_methods,
    reason = "test code: a failed expectation is a failed test"
)]

pub mod chatgpt;
mod fake;
mod gateway;
mod raw;

pub use chatgpt::FakeChatGpt;
pub use fake::{FakeUpstream, Recorded, Reply, Step};
pub use gateway::{Aurora, Builder};
pub use raw::RawClient;

use std::time::{Duration, Instant};

/// How long a test waits for a condition before it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds, looking every few milliseconds.
///
/// # Panics
/// Where it does not within [`PATIENCE`]; `what` says what was waited for.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
