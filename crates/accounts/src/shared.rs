//! What the accounts of a pool share, and its later forms after reloads.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use crate::file::TokenFile;
use crate::id::AccountId;
use crate::settings::PoolSettings;
use crate::state::State;

/// Takes a lock that is held for nanoseconds, never across an await.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Outlives reloads.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    states: Mutex<HashMap<AccountId, Weak<State>>>,
    files: Mutex<HashMap<PathBuf, Arc<TokenFile>>>,
    /// Told when a turn ends or a token is there.
    pub(crate) freed: Notify,
    /// Grows when a source gets a token: seats may belong to other accounts from then on.
    version: AtomicU64,
    uses: AtomicU64,
}

/// What the parts of a pool need of it.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) shared: Arc<Shared>,
    pub(crate) settings: PoolSettings,
}

impl Shared {
    /// The state of an account: one, however many seats it has.
    pub(crate) fn state(&self, id: AccountId) -> Arc<State> {
        let mut states = locked(&self.states);
        if let Some(state) = states.get(&id).and_then(Weak::upgrade) {
            return state;
        }
        states.retain(|_, state| state.strong_count() > 0);
        let state = Arc::new(State::new(id.clone()));
        states.insert(id, Arc::downgrade(&state));
        state
    }

    /// The file at `path`: one, so that its changes are made one after the other.
    pub(crate) fn file(&self, path: &Path) -> Arc<TokenFile> {
        let mut files = locked(&self.files);
        let file = files
            .entry(path.to_owned())
            .or_insert_with(|| Arc::new(TokenFile::new(path.to_owned())));
        Arc::clone(file)
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(crate) fn changed(&self) {
        self.version.fetch_add(1, Ordering::AcqRel);
        // Who waits for another account's turn may have one with this token.
        self.freed.notify_waiters();
    }

    /// Numbers uses, from 1.
    pub(crate) fn next_use(&self) -> u64 {
        self.uses.fetch_add(1, Ordering::Relaxed) + 1
    }
}
