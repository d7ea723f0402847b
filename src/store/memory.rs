//! State that ends with the process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// The most that is kept; beyond it, what would expire first goes first.
const MAX_BYTES: usize = 128 * 1024 * 1024;

/// Values by key, with the time of their expiry.
#[derive(Debug, Default)]
pub(super) struct Memory {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<String, (u64, Bytes)>,
    bytes: usize,
}

impl Memory {
    fn entries_mut(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &str, now: u64) -> Option<Bytes> {
        let entries = self.entries_mut();
        entries
            .by_key
            .get(key)
            .filter(|(until, _)| *until > now)
            .map(|(_, value)| value.clone())
    }

    pub(super) fn put(&self, key: String, value: Bytes, until: u64, now: u64) {
        self.entries_mut().put(key, value, until, now);
    }

    /// Puts `value` where what is there is `expected`; whether it was.
    pub(super) fn swap(
        &self,
        key: String,
        expected: Option<&Bytes>,
        value: Bytes,
        (until, now): (u64, u64),
    ) -> bool {
        let mut entries = self.entries_mut();
        let found = entries.by_key.get(&key).filter(|(until, _)| *until > now);
        let is_expected = found.map(|(_, value)| value) == expected;
        if is_expected {
            entries.put(key, value, until, now);
        }
        is_expected
    }

    pub(super) fn delete(&self, key: &str) -> bool {
        self.entries_mut().remove(key)
    }
}

impl Entries {
    fn put(&mut self, key: String, value: Bytes, until: u64, now: u64) {
        self.remove(&key);
        if self.bytes + key.len() + value.len() > MAX_BYTES {
            self.make_room(key.len() + value.len(), now);
        }
        self.bytes += key.len() + value.len();
        self.by_key.insert(key, (until, value));
    }

    fn remove(&mut self, key: &str) -> bool {
        let Some((_, value)) = self.by_key.remove(key) else {
            return false;
        };
        self.bytes -= key.len() + value.len();
        true
    }

    fn make_room(&mut self, needed: usize, now: u64) {
        let mut order: Vec<(u64, String)> = self
            .by_key
            .iter()
            .map(|(key, (until, _))| (*until, key.clone()))
            .collect();
        order.sort_unstable();
        for (until, key) in order {
            if until > now && self.bytes + needed <= MAX_BYTES {
                break;
            }
            self.remove(&key);
        }
    }
}
