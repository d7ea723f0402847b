//! State in memory.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;

use super::FakeHost;
use crate::{BoxFuture, Error, State};

/// A value, and when it is gone.
#[derive(Debug)]
pub(super) struct Value {
    bytes: Bytes,
    keep: Duration,
    until: Duration,
}

pub(super) type Values = HashMap<String, Value>;

impl FakeHost {
    /// Keeps `value` under `key` for ever, as if it had been kept before.
    #[must_use]
    pub fn keeping(self, key: &str, value: impl Into<Bytes>) -> Self {
        self.set(key, value.into(), Duration::MAX);
        self
    }

    /// What is kept under `key`.
    pub fn kept(&self, key: &str) -> Option<Bytes> {
        let now = self.now();
        let values = &self.inner().kept;
        let value = values.get(key).filter(|value| value.until > now)?;
        Some(value.bytes.clone())
    }

    /// For how long what is kept under `key` was to be kept.
    pub fn kept_for(&self, key: &str) -> Option<Duration> {
        Some(self.inner().kept.get(key)?.keep)
    }

    /// All keys under which something is kept, sorted.
    pub fn keys(&self) -> Vec<String> {
        let now = self.now();
        let inner = self.inner();
        let kept = inner.kept.iter().filter(|(_, value)| value.until > now);
        let mut keys: Vec<String> = kept.map(|(key, _)| key.clone()).collect();
        keys.sort_unstable();
        keys
    }

    fn set(&self, key: &str, bytes: Bytes, keep: Duration) {
        let until = self.now().saturating_add(keep);
        let value = Value { bytes, keep, until };
        self.inner().kept.insert(key.to_owned(), value);
    }
}

impl State for FakeHost {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, Error>> {
        Box::pin(async { Ok(self.kept(key)) })
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        value: Bytes,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            self.set(key, value, keep);
            Ok(())
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async {
            let was_there = self.kept(key).is_some();
            self.inner().kept.remove(key);
            Ok(was_there)
        })
    }

    fn swap<'a>(
        &'a self,
        key: &'a str,
        expected: Option<Bytes>,
        value: Bytes,
        keep: Duration,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            let is_expected = self.kept(key) == expected;
            if is_expected {
                self.set(key, value, keep);
            }
            Ok(is_expected)
        })
    }
}
