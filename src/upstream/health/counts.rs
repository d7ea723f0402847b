//! What came of the attempts at an upstream, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::upstream::outcome::Outcome;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    by_outcome: [AtomicU64; Outcome::ALL.len()],
    refused_repeats: AtomicU64,
}

impl Counts {
    pub(super) fn count(&self, outcome: Outcome) {
        if let Some(count) = self.by_outcome.get(outcome as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn refused_repeat(&self) {
        self.refused_repeats.fetch_add(1, Ordering::Relaxed);
    }

    /// Attempts by what came of them.
    pub(crate) fn by_outcome(&self) -> impl Iterator<Item = (Outcome, u64)> {
        let counts = self
            .by_outcome
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        Outcome::ALL.into_iter().zip(counts)
    }

    /// How often the upstream was not asked once more because too many requests wanted that.
    pub(crate) fn refused_repeats(&self) -> u64 {
        self.refused_repeats.load(Ordering::Relaxed)
    }
}
