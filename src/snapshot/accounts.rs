//! ChatGPT accounts of the token files, their state carried over from the snapshot before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aurora_accounts::{AccountPool, FileText, Kind, Notice, PoolSettings, Strategy};
use aurora_config::{AccountKind, Config, TokenSource, Tokens};
use tokio_util::task::TaskTracker;

use super::Snapshot;

/// The pools of accounts, and what there is to say about their files.
pub(super) fn pools(
    config: &Config,
    previous: Option<&Snapshot>,
    exchanges: &TaskTracker,
) -> (BTreeMap<String, Arc<AccountPool>>, Vec<Notice>) {
    let (mut pools, mut all) = (BTreeMap::new(), Vec::new());
    for (name, tokens) in &config.tokens {
        let TokenSource::ChatGpt { files } = &tokens.source else {
            continue;
        };
        let before = previous.and_then(|previous| previous.accounts.get(name));
        let files = files.iter().map(|file| FileText {
            kind: match file.kind {
                AccountKind::Access => Kind::Access,
                AccountKind::Refresh => Kind::Refresh,
                AccountKind::Session => Kind::Session,
                AccountKind::Device => Kind::Device,
            },
            path: file.path.clone(),
            text: file.text.clone(),
        });
        let (pool, notices) = AccountPool::rebuild(
            before.map(AsRef::as_ref),
            files,
            settings(tokens, exchanges),
        );
        all.extend(notices);
        pools.insert(name.clone(), Arc::new(pool));
    }
    (pools, all)
}

fn settings(tokens: &Tokens, exchanges: &TaskTracker) -> PoolSettings {
    let strategy = match tokens.strategy {
        aurora_config::Strategy::RoundRobin => Strategy::RoundRobin,
        aurora_config::Strategy::LeastBusy => Strategy::LeastBusy,
        aurora_config::Strategy::Sticky => Strategy::Sticky,
    };
    PoolSettings::new(
        strategy,
        tokens.cooldown,
        tokens.probe_dead,
        exchanges.clone(),
    )
}

/// The accounts of an upstream; one without `tokens` serves clients that bring their own.
pub(super) fn of(pool: Option<&Arc<AccountPool>>, exchanges: &TaskTracker) -> Arc<AccountPool> {
    pool.map_or_else(
        || Arc::new(AccountPool::rebuild(None, [], defaults(exchanges)).0),
        Arc::clone,
    )
}

/// Settings of accounts that stand in no file.
pub(super) fn defaults(exchanges: &TaskTracker) -> PoolSettings {
    let (cooldown, probe_dead) = (Duration::from_mins(1), Duration::from_mins(10));
    PoolSettings::new(Strategy::default(), cooldown, probe_dead, exchanges.clone())
}

/// Writes to the log what is new about the files.
pub(super) fn tell(notices: &[Notice], previous: Option<&Snapshot>) {
    let known = previous.map(|previous| previous.notices.as_slice());
    for notice in notices {
        if !known.is_some_and(|known| known.contains(notice)) {
            let told = notice.to_string();
            if notice.is_warning {
                tracing::warn!(notice = told, "account file");
            } else {
                tracing::info!(notice = told, "account file");
            }
        }
    }
}
