//! `limits` of a client key.

use std::num::{NonZeroU32, NonZeroU64};

/// What one client key may use; `None` as much as it likes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// `requests_per_minute`: requests within a minute, in one burst or spread.
    pub requests_per_minute: Option<NonZeroU32>,
    /// `tokens_per_minute`: tokens within a minute, of questions and answers.
    pub tokens_per_minute: Option<NonZeroU32>,
    /// `concurrent`: requests under way at once, streams among them.
    pub concurrent: Option<NonZeroU32>,
    /// `tokens_per_day`: tokens within a day of UTC.
    pub tokens_per_day: Option<NonZeroU64>,
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether tokens are counted.
    pub fn count_tokens(&self) -> bool {
        self.tokens_per_minute.is_some() || self.tokens_per_day.is_some()
    }
}
