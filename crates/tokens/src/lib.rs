//! Token pools: which upstream credential serves the next request, and which ones rest.
//!
//! No I/O and no clock: the time is an argument, so every rule can be tested without waiting.

mod pool;
mod ranking;
mod token;

pub use pool::{PoolExhausted, Settings, Strategy, TokenPool};
pub use token::{Health, Lease, Outcome, TokenId, TokenStatus};
