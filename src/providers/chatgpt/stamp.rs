//! Times and ids that requests carry.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Seconds since 1970.
pub(super) fn seconds() -> u64 {
    since_epoch().as_secs()
}

/// Seconds since 1970 with their fraction, as messages have them.
pub(super) fn now() -> f64 {
    since_epoch().as_secs_f64()
}

/// An id for a message.
pub(super) fn message_id() -> String {
    Uuid::new_v4().to_string()
}
