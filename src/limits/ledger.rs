//! The counters of all keys. They outlive snapshots; what is used of a day outlives the process.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aurora_sdk::State as _;
use bytes::Bytes;

use super::Now;
use super::counters::Counters;
use super::day::Day;
use crate::store::{ScopedStore, Store};

/// The one value in the store: every key's day.
const DAYS: &str = "days";

/// How long days are kept: longer than any of them lasts.
const KEEP: Duration = Duration::from_hours(48);

/// See the module.
#[derive(Debug)]
pub(crate) struct Ledger {
    began: Instant,
    store: ScopedStore,
    /// By owner, which tells nothing about the key itself.
    keys: Mutex<HashMap<Arc<str>, Arc<Counters>>>,
    /// What the store has.
    saved: Mutex<Bytes>,
}

impl Ledger {
    /// Nothing used.
    pub(crate) fn new(store: &Store) -> Self {
        Self {
            began: Instant::now(),
            store: store.scoped("limits"),
            keys: Mutex::default(),
            saved: Mutex::default(),
        }
    }

    /// Goes on with the days in `store`.
    pub(crate) async fn open(store: &Store) -> Self {
        let ledger = Self::new(store);
        let days: BTreeMap<String, Day> = match ledger.store.get(DAYS).await {
            Ok(Some(saved)) => serde_json::from_slice(&saved).unwrap_or_default(),
            Ok(None) => BTreeMap::new(),
            Err(error) => {
                tracing::warn!(%error, "what client keys have used today is not known any more");
                BTreeMap::new()
            }
        };
        for (owner, day) in days {
            ledger.counters(&owner.into()).remember(day);
        }
        ledger
    }

    /// The counters of a key.
    pub(crate) fn counters(&self, owner: &Arc<str>) -> Arc<Counters> {
        let mut keys = self.keys();
        let counters = keys
            .entry(Arc::clone(owner))
            .or_insert_with(|| Arc::new(Counters::new(self.began)));
        Arc::clone(counters)
    }

    /// Writes down the days, where they changed, and forgets keys that are gone and have used nothing that still counts.
    pub(crate) async fn save(&self, now: Now) {
        let days: BTreeMap<String, Day> = {
            let mut keys = self.keys();
            keys.retain(|_, counters| Arc::strong_count(counters) > 1 || !counters.is_unused(now));
            let days = keys
                .iter()
                .map(|(owner, counters)| (owner.to_string(), counters.day(now)));
            days.filter(|(_, day)| !day.is_empty()).collect()
        };
        let text = Bytes::from(serde_json::to_vec(&days).unwrap_or_default());
        let saved = self.saved().clone();
        if saved == text || (saved.is_empty() && days.is_empty()) {
            return;
        }
        match self.store.put(DAYS, text.clone(), KEEP).await {
            Ok(()) => *self.saved() = text,
            Err(error) => tracing::warn!(%error, "what client keys have used today is not saved"),
        }
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Counters>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn saved(&self) -> MutexGuard<'_, Bytes> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use aurora_config::Limits;

    use super::*;
    use crate::limits::KeyLimits;

    fn key(ledger: &Ledger, owner: &str) -> Arc<KeyLimits> {
        let limits = Limits {
            tokens_per_day: NonZeroU64::new(1000),
            ..Limits::default()
        };
        Arc::new(KeyLimits::new(
            owner.into(),
            limits,
            ledger.counters(&owner.into()),
        ))
    }

    fn use_up(key: &Arc<KeyLimits>, tokens: u64) {
        key.admit(Some(1), Now::read()).unwrap().cost = tokens;
    }

    fn used(key: &KeyLimits) -> u64 {
        key.standing(Now::read()).day.unwrap().used
    }

    #[tokio::test]
    async fn a_day_goes_on_in_the_next_process_and_two_keys_share_nothing() {
        let store = Store::in_memory();
        let before = Ledger::open(&store).await;
        use_up(&key(&before, "ann"), 700);
        use_up(&key(&before, "bob"), 20);
        before.save(Now::read()).await;

        let after = Ledger::open(&store).await;

        assert_eq!(used(&key(&after, "ann")), 700);
        assert_eq!(used(&key(&after, "bob")), 20);
        assert_eq!(used(&key(&after, "eve")), 0);
    }

    #[tokio::test]
    async fn a_key_that_is_gone_is_remembered_while_that_changes_anything() {
        let ledger = Ledger::new(&Store::in_memory());
        use_up(&key(&ledger, "ann"), 700);
        drop(key(&ledger, "bob"));
        let eve = key(&ledger, "eve");

        ledger.save(Now::read()).await;
        assert_eq!(ledger.keys().len(), 2);
        assert_eq!(used(&key(&ledger, "ann")), 700);

        let mut later = Now::read();
        later.time += Duration::from_hours(24);
        ledger.save(later).await;
        later.time += Duration::from_hours(24);
        ledger.save(later).await;
        assert_eq!(ledger.keys().len(), 1);
        drop(eve);
    }
}
