//! State that survives the process, in one file.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

/// Key to expiry (ms since 1970, eight bytes, big endian) and value.
const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("state");

/// The most that is kept, bytes of values; beyond it, what would expire first goes first.
const MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// What is kept of the file in memory, bytes. The store's own default is a gibibyte, which looks like a leak; values are
/// written once and seldom read, so little is gained by more.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// Between two tries to open the file again: where it is large and damaged each of them reads all of it.
const REOPEN_PAUSE: Duration = Duration::from_secs(2);

/// The database of the moment.
#[derive(Debug)]
struct Open {
    /// None while the file cannot be opened again.
    database: Option<Arc<Database>>,
    /// When it was last tried to open it again.
    tried: Option<Instant>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Embedded {
    path: PathBuf,
    open: Mutex<Open>,
    bytes: AtomicU64,
    max_bytes: u64,
}

impl Embedded {
    /// Opens or makes the file and forgets what has expired.
    pub(super) fn open(path: &Path, now: u64) -> Result<Self, redb::Error> {
        Self::bounded(path, now, MAX_BYTES)
    }

    /// As [`Self::open`], with another bound.
    pub(super) fn bounded(path: &Path, now: u64, max_bytes: u64) -> Result<Self, redb::Error> {
        let embedded = Self {
            path: path.to_owned(),
            open: Mutex::new(Open {
                database: Some(Arc::new(database(path)?)),
                tried: None,
            }),
            bytes: AtomicU64::new(0),
            max_bytes,
        };
        embedded.with(|database| embedded.forget_until(database, now))?;
        Ok(embedded)
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Held while a handle is copied, or the file opened again.
    fn open_now(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `operation`; where the database has been given up after an error of the disk, opens it again first.
    fn with<T>(
        &self,
        operation: impl Fn(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        let attempt = || {
            let database = self.open_now().database.clone();
            database.map_or(Err(redb::Error::PreviousIo), |database| {
                operation(&database)
            })
        };
        match attempt() {
            Err(redb::Error::PreviousIo) => {
                self.reopen()?;
                attempt()
            }
            done => done,
        }
    }

    /// After an error of the disk the database answers nothing any more, not even when there is space again.
    fn reopen(&self) -> Result<(), redb::Error> {
        let mut open = self.open_now();
        if open.tried.is_some_and(|at| at.elapsed() < REOPEN_PAUSE) {
            return Err(redb::Error::PreviousIo);
        }
        // The file is locked until it is closed, and others may still be at it.
        if let Some(Err(used)) = open.database.take().map(Arc::try_unwrap) {
            open.database = Some(used);
            return Err(redb::Error::PreviousIo);
        }
        open.tried = Some(Instant::now());
        match database(&self.path) {
            Ok(database) => {
                open.database = Some(Arc::new(database));
                tracing::info!(path = %self.path.display(), "the state file was opened again");
                Ok(())
            }
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "the state file cannot be opened again");
                Err(error)
            }
        }
    }

    pub(super) fn get(&self, key: &str, now: u64) -> Result<Option<Bytes>, redb::Error> {
        self.with(|database| {
            let transaction = database.begin_read()?;
            let table = transaction.open_table(TABLE)?;
            let found = table.get(key)?;
            Ok(found.and_then(|entry| {
                let (until, value) = split(entry.value());
                (until > now).then(|| Bytes::copy_from_slice(value))
            }))
        })
    }

    pub(super) fn put(
        &self,
        key: &str,
        value: &[u8],
        until: u64,
        now: u64,
    ) -> Result<(), redb::Error> {
        self.with(|database| {
            let always = |_: Option<&[u8]>| true;
            self.put_if(database, (key, value), (until, now), always)
        })
        .map(drop)
    }

    /// Puts `value` where what is there is `expected`, in one transaction; whether it was.
    pub(super) fn swap(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        value: &[u8],
        times: (u64, u64),
    ) -> Result<bool, redb::Error> {
        self.with(|database| self.put_if(database, (key, value), times, |found| found == expected))
    }

    /// `is_wanted` sees what is there and has not expired.
    fn put_if(
        &self,
        database: &Database,
        (key, value): (&str, &[u8]),
        (until, now): (u64, u64),
        is_wanted: impl FnOnce(Option<&[u8]>) -> bool,
    ) -> Result<bool, redb::Error> {
        if self.bytes.load(Ordering::Relaxed) + value.len() as u64 > self.max_bytes {
            self.make_room(database, now)?;
        }
        let entry = [until.to_be_bytes().as_slice(), value].concat();
        let transaction = database.begin_write()?;
        let replaced = {
            let mut table = transaction.open_table(TABLE)?;
            let is_wanted = {
                let found = table.get(key)?;
                let found = found.as_ref().map(|found| split(found.value()));
                let lives = found.filter(|(until, _)| *until > now);
                is_wanted(lives.map(|(_, value)| value))
            };
            if !is_wanted {
                return Ok(false);
            }
            table
                .insert(key, entry.as_slice())?
                .map_or(0, |old| old.value().len() as u64)
        };
        transaction.commit()?;
        self.bytes.fetch_add(entry.len() as u64, Ordering::Relaxed);
        self.bytes.fetch_sub(replaced, Ordering::Relaxed);
        Ok(true)
    }

    pub(super) fn delete(&self, key: &str) -> Result<bool, redb::Error> {
        let removed = self.with(|database| {
            let transaction = database.begin_write()?;
            let removed = {
                let mut table = transaction.open_table(TABLE)?;
                table.remove(key)?.map(|old| old.value().len() as u64)
            };
            transaction.commit()?;
            Ok(removed)
        })?;
        self.bytes
            .fetch_sub(removed.unwrap_or_default(), Ordering::Relaxed);
        Ok(removed.is_some())
    }

    /// Forgets what has expired, and then what would expire first, until an eighth is free.
    fn make_room(&self, database: &Database, now: u64) -> Result<(), redb::Error> {
        self.forget_until(database, now)?;
        let mut excess = self
            .bytes
            .load(Ordering::Relaxed)
            .saturating_sub(self.max_bytes - self.max_bytes / 8);
        if excess == 0 {
            return Ok(());
        }
        let mut order = Vec::new();
        for entry in database.begin_read()?.open_table(TABLE)?.iter()? {
            let (_, entry) = entry?;
            order.push((split(entry.value()).0, entry.value().len() as u64));
        }
        order.sort_unstable();
        let mut until = now;
        for (expiry, bytes) in order {
            if excess == 0 {
                break;
            }
            until = expiry;
            excess = excess.saturating_sub(bytes);
        }
        self.forget_until(database, until)
    }

    /// Forgets what expires at `time` or before.
    fn forget_until(&self, database: &Database, time: u64) -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        let bytes = {
            let mut table = transaction.open_table(TABLE)?;
            table.retain(|_, entry| split(entry).0 > time)?;
            let mut bytes = 0;
            for entry in table.iter()? {
                bytes += entry?.1.value().len() as u64;
            }
            bytes
        };
        transaction.commit()?;
        self.bytes.store(bytes, Ordering::Relaxed);
        Ok(())
    }
}

fn database(path: &Path) -> Result<Database, redb::Error> {
    make_private(path)?;
    Ok(Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create(path)?)
}

/// The file holds what clients said: its owner alone may read it, whatever the umask.
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
}

/// Expiry and value; a damaged entry has expired.
fn split(entry: &[u8]) -> (u64, &[u8]) {
    entry
        .split_first_chunk::<8>()
        .map_or((0, [].as_slice()), |(until, value)| {
            (u64::from_be_bytes(*until), value)
        })
}
