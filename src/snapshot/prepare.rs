//! Compiles a config into a snapshot: everything that may fail, before anything is changed.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use aurora_accounts::AccountPool;
use aurora_config::{
    Config, Diagnostic, LoadError, Loaded, Protocol, Strategy, Token, TokenSource, Tokens,
};
use aurora_tokens::{Settings, TokenPool};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::{ClientKeys, Snapshot, accounts, routes};
use crate::gallery::Gallery;
use crate::limits::Ledger;
use crate::plugins::{self, Generation, Plugins};
use crate::providers::Provider;
use crate::providers::chatgpt::{ChatGptProvider, Surroundings};
use crate::providers::mock::MockProvider;
use crate::providers::openai::OpenAiProvider;
use crate::server::tls;
use crate::store::Store;
use crate::upstream::Upstream;

/// Refused by a plugin, an upstream or the certificate: the config's own checks could not know.
pub(super) const REFUSED: &str = "AUR0701";

/// What a snapshot is made of, beside its config.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Material<'a> {
    /// The config file, absolute.
    pub(crate) config_path: &'a Path,
    /// The plugins that routes can name.
    pub(crate) plugins: &'a Plugins,
    /// What plugins stand on.
    pub(crate) surroundings: &'a Arc<plugins::Surroundings>,
    /// Keyed state.
    pub(crate) store: &'a Store,
    /// What client keys have used.
    pub(crate) limits: &'a Ledger,
}

/// A config that cannot be used, and the loaded plugins that are at fault.
#[derive(Debug)]
pub(crate) struct Unprepared {
    /// Everything in the config that cannot be used, each at its place.
    pub(crate) error: LoadError,
    /// Libraries that could not be built, and why.
    pub(crate) culprits: Vec<(Arc<Generation>, String)>,
}

/// Makes the snapshot of `loaded`. Token health, connections and open slots of `previous` carry over where their
/// settings did not change.
///
/// # Errors
/// Everything in the config that cannot be used, each at its place.
pub(crate) fn prepare(
    loaded: Loaded,
    material: &Material<'_>,
    previous: Option<&Snapshot>,
) -> Result<Snapshot, Box<Unprepared>> {
    let store = material.store;
    let mut problems = Vec::new();
    let pools = pools(&loaded.config, previous);
    let exchanges = previous.map_or_else(TaskTracker::new, |previous| previous.exchanges.clone());
    let (accounts, notices) = accounts::pools(&loaded.config, previous, &exchanges);
    let gallery = Gallery::new(&loaded.config.server.data_dir, store.scoped("gallery"));
    let gallery = Arc::new(gallery);
    let around = Around {
        loaded: &loaded,
        pools: &pools,
        accounts: &accounts,
        store,
        gallery: &gallery,
        exchanges: &exchanges,
        previous,
    };
    let upstreams = upstreams(&around, &mut problems);
    let before = previous.map(|previous| &previous.workshop);
    let floor = routes::Floor::new(&loaded, material, before);
    let (routes, route_list, workshop, culprits) = floor.build(&mut problems);
    let tls = match loaded.config.server.tls.as_ref().map(tls::acceptor) {
        Some(Err(message)) => {
            problems.push(loaded.diagnose(&["server", "tls"], REFUSED, &message, None));
            None
        }
        Some(Ok(acceptor)) => Some(acceptor),
        None => None,
    };
    problems.extend(keyless(&loaded));
    if !problems.is_empty() {
        return Err(Box::new(Unprepared {
            error: loaded.refuse(problems),
            culprits,
        }));
    }
    accounts::tell(&notices, previous);
    Ok(Snapshot {
        accounts,
        notices,
        exchanges,
        gallery,
        generation: previous.map_or(1, |previous| previous.generation + 1),
        config_path: material.config_path.to_owned(),
        plugins: material.plugins.clone(),
        workshop,
        keys: ClientKeys::new(&loaded.config.auth, material.limits),
        loaded,
        routes,
        route_list,
        upstreams,
        pools,
        tls,
    })
}

/// Who names a key file wants keys: without any, everybody would be let in because a file was emptied.
fn keyless(loaded: &Loaded) -> Option<Diagnostic> {
    /// The config's own word for a file that holds nothing.
    const EMPTY: &str = "AUR0903";
    let auth = &loaded.config.auth;
    if auth.open || !auth.keys.is_empty() {
        return None;
    }
    let message = "the key file holds no key, so everybody would be let in";
    let hint = "write a key into it, or let everybody in: `open = true` in [auth]";
    let refusal = loaded.diagnose(&["auth", "keys_file"], REFUSED, message, Some(hint));
    let is_here = |warning: &Diagnostic| {
        warning.code == EMPTY
            && (&warning.file, warning.line, warning.column)
                == (&refusal.file, refusal.line, refusal.column)
    };
    let is_empty = loaded.warnings.diagnostics().iter().any(is_here);
    is_empty.then_some(refusal)
}

fn pools(config: &Config, previous: Option<&Snapshot>) -> BTreeMap<String, Arc<TokenPool>> {
    let mut pools = BTreeMap::new();
    for (name, tokens) in &config.tokens {
        if let TokenSource::Keys(keys) = &tokens.source {
            let before = previous.and_then(|previous| previous.pools.get(name));
            let pool = pool(tokens, keys, before.map(AsRef::as_ref));
            pools.insert(name.clone(), Arc::new(pool));
        }
    }
    pools
}

fn pool(tokens: &Tokens, keys: &[Token], previous: Option<&TokenPool>) -> TokenPool {
    let settings = Settings {
        strategy: match tokens.strategy {
            Strategy::RoundRobin => aurora_tokens::Strategy::RoundRobin,
            Strategy::LeastBusy => aurora_tokens::Strategy::LeastBusy,
            Strategy::Sticky => aurora_tokens::Strategy::Sticky,
        },
        cooldown: tokens.cooldown,
        probe_dead: tokens.probe_dead,
    };
    let keys = keys
        .iter()
        .map(|key| (key.secret.clone(), key.origin.clone()));
    TokenPool::rebuild(previous, keys, settings)
}

/// What upstreams are made of.
struct Around<'a> {
    loaded: &'a Loaded,
    pools: &'a BTreeMap<String, Arc<TokenPool>>,
    accounts: &'a BTreeMap<String, Arc<AccountPool>>,
    store: &'a Store,
    gallery: &'a Arc<Gallery>,
    exchanges: &'a TaskTracker,
    previous: Option<&'a Snapshot>,
}

fn upstreams(
    around: &Around<'_>,
    problems: &mut Vec<Diagnostic>,
) -> BTreeMap<String, Arc<Upstream>> {
    let (loaded, pools) = (around.loaded, around.pools);
    let mut upstreams = BTreeMap::new();
    for (name, settings) in &loaded.config.upstreams {
        let before = around
            .previous
            .and_then(|previous| previous.upstreams.get(name));
        let provider = match provider(around, name, settings, before) {
            Ok(provider) => provider,
            Err(message) => {
                let key = ["upstreams", name.as_str(), "protocol"];
                problems.push(loaded.diagnose(&key, REFUSED, &message, None));
                continue;
            }
        };
        let slots = before
            .filter(|before| before.settings.max_concurrency == settings.max_concurrency)
            .map_or_else(
                || {
                    Arc::new(Semaphore::new(
                        settings.max_concurrency.min(Semaphore::MAX_PERMITS),
                    ))
                },
                |before| Arc::clone(&before.slots),
            );
        let upstream = Upstream {
            name: name.clone(),
            settings: settings.clone(),
            provider,
            pool: settings
                .tokens
                .as_ref()
                .and_then(|tokens| pools.get(tokens))
                .map(Arc::clone),
            slots,
            health: before.map_or_else(Arc::default, |before| Arc::clone(&before.health)),
        };
        upstreams.insert(name.clone(), Arc::new(upstream));
    }
    upstreams
}

/// The provider of `before` where nothing about the connection changed, else a new one.
fn provider(
    around: &Around<'_>,
    name: &str,
    settings: &aurora_config::Upstream,
    before: Option<&Arc<Upstream>>,
) -> Result<Arc<dyn Provider>, String> {
    let same = before.filter(|before| {
        before.settings.protocol == settings.protocol
            && before.settings.timeouts == settings.timeouts
            && before.settings.proxy == settings.proxy
            && before.settings.tls == settings.tls
    });
    let store = around.store;
    match (&settings.protocol, same) {
        (Protocol::ChatGptWeb(web), _) => {
            let server = &around.loaded.config.server;
            let pool = settings.tokens.as_ref();
            let around = Surroundings {
                name,
                accounts: accounts::of(
                    pool.and_then(|pool| around.accounts.get(pool)),
                    around.exchanges,
                ),
                externals: accounts::defaults(around.exchanges),
                store: store.scoped("chatgpt"),
                data_dir: server.data_dir.clone(),
                fetch_private: server.fetch_private,
                public_url: server.public_url.clone(),
                gallery: Arc::clone(around.gallery),
            };
            // The accounts may have changed: only connections carry over.
            let before = same.and_then(|before| {
                let provider: &dyn Any = before.provider.as_ref();
                provider.downcast_ref()
            });
            let provider = ChatGptProvider::new(web, settings, around, before)?;
            Ok(Arc::new(provider))
        }
        (_, Some(before)) => Ok(Arc::clone(&before.provider)),

        (Protocol::OpenAi(openai), None) => Ok(Arc::new(OpenAiProvider::new(openai, settings)?)),
        (Protocol::Mock(mock), None) => Ok(Arc::new(MockProvider::new(
            mock.clone(),
            store.scoped("mock"),
        ))),
    }
}
