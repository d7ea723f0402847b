//! Requests of clients: those under way, and how the others ended.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use http::StatusCode;

use crate::upstream::trace::StreamEnd;

/// Codes of errors that are counted by name; most are words of ours, but upstreams have some of their own.
const MAX_CODES: usize = 200;

/// The lowest status.
const FIRST: usize = 100;

/// See the module.
#[derive(Debug)]
pub(crate) struct Traffic {
    under_way: AtomicUsize,
    by_status: [AtomicU64; 500],
    by_end: [AtomicU64; StreamEnd::ALL.len()],
    by_code: Mutex<BTreeMap<String, u64>>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            under_way: AtomicUsize::new(0),
            by_status: std::array::from_fn(|_| AtomicU64::new(0)),
            by_end: Default::default(),
            by_code: Mutex::default(),
        }
    }
}

impl Traffic {
    /// How many are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Counts one in; how many there are with it.
    pub(crate) fn begin(&self) -> usize {
        self.under_way.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Counts one out. No status: its client was gone before there was one.
    pub(crate) fn end(&self, status: Option<StatusCode>, end: StreamEnd, code: Option<&str>) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        let at = status.and_then(|status| usize::from(status.as_u16()).checked_sub(FIRST));
        if let Some(count) = at.and_then(|at| self.by_status.get(at)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(count) = self.by_end.get(end as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(code) = code {
            self.error(code);
        }
    }

    fn error(&self, code: &str) {
        let mut codes = self.by_code.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = codes.get_mut(code) {
            *count += 1;
            return;
        }
        let name = if codes.len() < MAX_CODES && code.len() <= 64 {
            code
        } else {
            "other"
        };
        *codes.entry(name.to_owned()).or_default() += 1;
    }

    /// Answers by status; those that never occurred are left out.
    pub(crate) fn by_status(&self) -> impl Iterator<Item = (usize, u64)> {
        let counts = self.by_status.iter().enumerate();
        counts
            .map(|(at, count)| (at + FIRST, count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
    }

    /// Answers by how their bodies ended.
    pub(crate) fn by_end(&self) -> impl Iterator<Item = (StreamEnd, u64)> {
        let counts = self
            .by_end
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        StreamEnd::ALL.into_iter().zip(counts)
    }

    /// Errors that clients were told, by code.
    pub(crate) fn by_code(&self) -> BTreeMap<String, u64> {
        let codes = self.by_code.lock();
        codes.unwrap_or_else(PoisonError::into_inner).clone()
    }
}
