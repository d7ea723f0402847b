//! The accounts of the files.

mod choose;
mod rebuild;
mod status;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use secrecy::SecretString;
use tokio::time::Instant;

use crate::group::{Entry, Group};
use crate::id::AccountId;
use crate::issuer::Issuer;
use crate::seat::Shares;
use crate::settings::Kind;
use crate::shared::{Context, locked};
use crate::source::Source;

pub(crate) use choose::{TRY_AGAIN, grant, later};
pub use status::{AccountState, AccountStatus};

/// More tokens than this are not renewed at once: a service that sees many logins at a time grows suspicious.
const MAX_TENDED: usize = 4;

/// A file of accounts.
#[derive(Debug, Clone)]
pub struct FileText {
    /// What its lines are.
    pub kind: Kind,
    /// Where it is, absolute.
    pub path: PathBuf,
    /// What it holds; `None` when it is not there.
    pub text: Option<SecretString>,
}

/// The accounts of the files.
#[derive(Debug)]
pub struct AccountPool {
    cx: Context,
    /// In the order written.
    entries: Vec<Entry>,
    /// What is not written any more, and since when: a file may be empty for a moment while it is edited.
    gone: Vec<(Entry, Instant)>,
    /// Whether it has taken over from the pool before.
    serves: AtomicBool,
    groups: Mutex<Grouped>,
}

#[derive(Debug)]
struct Grouped {
    /// Of the tokens that told whose the seats are; `None` before the first look.
    version: Option<u64>,
    groups: Arc<[Arc<Group>]>,
}

impl AccountPool {
    /// Number of lines with a token, usable or not.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Renews what expires soon or has no token yet, and writes what could not be written before.
    ///
    /// To be called every few seconds by a task of the gateway; one failure does not keep the others from their turn.
    pub async fn tend(&self, issuer: &Arc<dyn Issuer>) {
        self.take_over();
        let sources = self.sources();
        for source in &sources {
            source.save_again(&self.cx).await;
        }
        let due = sources.into_iter().filter(|source| source.is_due(&self.cx));
        let renewals: Vec<_> = due
            .take(MAX_TENDED)
            .map(|source| {
                let (issuer, cx) = (Arc::clone(issuer), self.cx.clone());
                let seen = source.access().map_or(0, |access| access.number);
                let renewal = async move { source.renew(seen, &issuer, &cx).await };
                self.cx.settings.tasks.spawn(renewal)
            })
            .collect();
        for renewal in renewals {
            // Failures are the source's to remember.
            renewal.await.unwrap_or_default();
        }
    }

    /// Each source once, in order.
    fn sources(&self) -> Vec<Arc<Source>> {
        let mut sources: Vec<Arc<Source>> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for entry in &self.entries {
            if seen.insert(Arc::as_ptr(&entry.seat.source)) {
                sources.push(Arc::clone(&entry.seat.source));
            }
        }
        sources
    }

    /// The accounts as they are known now.
    fn groups(&self) -> Arc<[Arc<Group>]> {
        let version = self.cx.shared.version();
        let mut known = locked(&self.groups);
        if known.version != Some(version) {
            known.groups = self.grouped();
            known.version = Some(version);
        }
        Arc::clone(&known.groups)
    }

    fn grouped(&self) -> Arc<[Arc<Group>]> {
        let mut groups: Vec<Group> = Vec::new();
        let mut known: HashMap<AccountId, usize> = HashMap::new();
        for entry in &self.entries {
            let state = entry.seat.state(&self.cx, Shares::Account);
            let at = state.as_ref().map(|state| {
                *known
                    .entry(state.id.clone())
                    .or_insert_with(|| groups.len())
            });
            match at.and_then(|at| groups.get_mut(at)) {
                Some(group) => group.entries.push(entry.clone()),
                None => groups.push(Group {
                    state,
                    entries: vec![entry.clone()],
                }),
            }
        }
        groups.into_iter().map(Arc::new).collect()
    }
}

#[cfg(test)]
mod tests;
