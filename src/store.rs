//! Small keyed state with expiry: stored responses, the mock's files, who owns what.
//!
//! Embedded under `data_dir` so that it survives restarts; in memory where that folder cannot be written.

mod embedded;
mod memory;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aurora_sdk::{BoxFuture, Error, State};
use bytes::Bytes;

use embedded::Embedded;
use memory::Memory;

use crate::disk;

/// The largest value, bytes.
const MAX_VALUE: usize = 20 * 1024 * 1024;

/// The state file's name below `data_dir`.
pub(crate) const FILE_NAME: &str = "aurora.redb";

/// The store of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    backend: Arc<Backend>,
}

#[derive(Debug)]
enum Backend {
    Memory(Memory),
    Embedded(Embedded),
}

impl Store {
    /// The embedded store in `data_dir`; falls back to memory with a warning, since serving matters more.
    pub(crate) fn open(data_dir: &Path) -> Self {
        let path = data_dir.join(FILE_NAME);
        let backend = match Embedded::open(&path, now_ms()) {
            Ok(embedded) => Backend::Embedded(embedded),
            Err(error) => {
                tracing::warn!(
                    path = %path.display(),
                    %error,
                    "state is kept in memory only: the state file cannot be used"
                );
                Backend::Memory(Memory::default())
            }
        };
        Self {
            backend: Arc::new(backend),
        }
    }

    /// A store that ends with the process.
    pub(crate) fn in_memory() -> Self {
        Self {
            backend: Arc::new(Backend::Memory(Memory::default())),
        }
    }

    /// Where state is kept, for status.
    pub(crate) fn kind(&self) -> &'static str {
        match *self.backend {
            Backend::Memory(_) => "memory",
            Backend::Embedded(_) => "embedded",
        }
    }

    /// The part of the store that belongs to `scope`.
    pub(crate) fn scoped(&self, scope: &str) -> ScopedStore {
        ScopedStore {
            store: self.clone(),
            scope: scope.into(),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Backend) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        if matches!(*self.backend, Backend::Memory(_)) {
            return operation(&self.backend);
        }
        // The embedded store waits for the disk.
        let backend = Arc::clone(&self.backend);
        tokio::task::spawn_blocking(move || operation(&backend))
            .await
            .map_err(Error::internal)?
    }
}

/// One scope's view of the store.
#[derive(Clone)]
pub(crate) struct ScopedStore {
    store: Store,
    scope: Arc<str>,
}

impl ScopedStore {
    fn key(&self, key: &str) -> String {
        format!("{}\u{0}{key}", self.scope)
    }
}

impl fmt::Debug for ScopedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedStore")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl State for ScopedStore {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, Error>> {
        let key = self.key(key);
        Box::pin(self.store.run(move |backend| {
            match backend {
                Backend::Memory(memory) => Ok(memory.get(&key, now_ms())),
                Backend::Embedded(embedded) => embedded
                    .get(&key, now_ms())
                    .map_err(|error| disk::refused(embedded.path(), error)),
            }
        }))
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        value: Bytes,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let key = self.key(key);
        Box::pin(async move {
            check_size(&value)?;
            let until = now_ms().saturating_add(millis(keep));
            self.store
                .run(move |backend| match backend {
                    Backend::Memory(memory) => {
                        memory.put(key, value, until, now_ms());
                        Ok(())
                    }
                    Backend::Embedded(embedded) => embedded
                        .put(&key, &value, until, now_ms())
                        .map_err(|error| disk::refused(embedded.path(), error)),
                })
                .await
        })
    }

    fn swap<'a>(
        &'a self,
        key: &'a str,
        expected: Option<Bytes>,
        value: Bytes,
        keep: Duration,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        let key = self.key(key);
        Box::pin(async move {
            check_size(&value)?;
            let until = now_ms().saturating_add(millis(keep));
            self.store
                .run(move |backend| match backend {
                    Backend::Memory(memory) => {
                        Ok(memory.swap(key, expected.as_ref(), value, (until, now_ms())))
                    }
                    Backend::Embedded(embedded) => embedded
                        .swap(&key, expected.as_deref(), &value, (until, now_ms()))
                        .map_err(|error| disk::refused(embedded.path(), error)),
                })
                .await
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<bool, Error>> {
        let key = self.key(key);
        Box::pin(self.store.run(move |backend| {
            match backend {
                Backend::Memory(memory) => Ok(memory.delete(&key)),
                Backend::Embedded(embedded) => embedded
                    .delete(&key)
                    .map_err(|error| disk::refused(embedded.path(), error)),
            }
        }))
    }
}

fn check_size(value: &Bytes) -> Result<(), Error> {
    if value.len() <= MAX_VALUE {
        return Ok(());
    }
    Err(Error::internal(format!(
        "a value of {} bytes is too large",
        value.len()
    )))
}

fn now_ms() -> u64 {
    millis(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
