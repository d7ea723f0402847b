//! What is served: one immutable value, swapped as a whole.
//!
//! A request takes one `Arc<Snapshot>` when it is routed and keeps it to its last byte, so that a reload tears nothing
//! down and needs no rollback.

mod accounts;
mod built;
mod keys;
mod prepare;
mod routes;

pub(crate) use built::{Built, Workshop};
pub(crate) use keys::{Admission, ClientKeys};
pub(crate) use prepare::{Material, prepare};

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aurora_accounts::{AccountPool, Notice};
use aurora_config::{Config, Loaded, RouteTable};
use aurora_sdk::{Filter, Handler};
use aurora_tokens::TokenPool;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::gallery::Gallery;
use crate::plugins::Plugins;
use crate::upstream::Upstream;

/// One generation of everything that requests need.
pub(crate) struct Snapshot {
    /// Counts published snapshots from 1.
    pub(crate) generation: u64,
    /// The config file, absolute.
    pub(crate) config_path: PathBuf,
    /// The config with its warnings and the files it came from.
    pub(crate) loaded: Loaded,
    /// By path and method.
    pub(crate) routes: RouteTable<Arc<Route>>,
    /// The same routes in the order written.
    pub(crate) route_list: Vec<Arc<Route>>,
    /// The plugins that routes can name.
    pub(crate) plugins: Plugins,
    /// What they built.
    pub(crate) workshop: Workshop,
    /// By name.
    pub(crate) upstreams: BTreeMap<String, Arc<Upstream>>,
    /// By name.
    pub(crate) pools: BTreeMap<String, Arc<TokenPool>>,
    /// ChatGPT accounts, by the name of their tokens.
    pub(crate) accounts: BTreeMap<String, Arc<AccountPool>>,
    /// What there is to say about the account files.
    pub(crate) notices: Vec<Notice>,
    /// Exchanges of tokens under way; shutdown waits for them.
    pub(crate) exchanges: TaskTracker,
    /// Generated pictures.
    pub(crate) gallery: Arc<Gallery>,
    /// Who may come in.
    pub(crate) keys: ClientKeys,
    /// The certificate, where there is one.
    pub(crate) tls: Option<TlsAcceptor>,
}

impl Snapshot {
    /// The settings.
    pub(crate) fn config(&self) -> &Config {
        &self.loaded.config
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// A route, ready to serve.
pub(crate) struct Route {
    /// Its settings.
    pub(crate) settings: aurora_config::Route,
    /// Its path as configured.
    pub(crate) path: Arc<str>,
    /// The methods it serves; empty for any.
    pub(crate) methods: Vec<String>,
    /// Serve it, each a share of the requests; never empty.
    pub(crate) handlers: Vec<Share>,
    /// The weights of all of them.
    pub(crate) weights: u32,
    /// Stand around the handler, the outermost first.
    pub(crate) filters: Vec<Arc<Built<dyn Filter>>>,
}

/// A handler with its share of the traffic.
pub(crate) struct Share {
    /// The handler.
    pub(crate) built: Arc<Built<dyn Handler>>,
    /// Its share of [`Route::weights`].
    pub(crate) weight: u32,
}

impl Route {
    /// The handler of the next request.
    pub(crate) fn pick(&self) -> Option<&Arc<Built<dyn Handler>>> {
        let [share] = self.handlers.as_slice() else {
            let mut at = fastrand::u32(0..self.weights.max(1));
            let chosen = self.handlers.iter().find(|share| {
                let is_here = at < share.weight;
                at = at.saturating_sub(share.weight);
                is_here
            });
            return chosen.map(|share| &share.built);
        };
        Some(&share.built)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Where requests find the snapshot of the moment.
#[derive(Debug)]
pub(crate) struct SnapshotCell(ArcSwap<Snapshot>);

impl SnapshotCell {
    /// A cell that holds `first`, and the one writer for it.
    pub(crate) fn new(first: Snapshot) -> (Arc<Self>, SnapshotWriter) {
        let cell = Arc::new(Self(ArcSwap::from_pointee(first)));
        (Arc::clone(&cell), SnapshotWriter { cell })
    }

    /// The snapshot of the moment.
    pub(crate) fn load(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }
}

/// The right to replace the snapshot. Only the reloader owns one.
#[derive(Debug)]
pub(crate) struct SnapshotWriter {
    cell: Arc<SnapshotCell>,
}

impl SnapshotWriter {
    /// Replaces the snapshot; requests under way keep theirs.
    pub(crate) fn publish(&mut self, next: Snapshot) -> u64 {
        let generation = next.generation;
        self.cell.0.store(Arc::new(next));
        generation
    }
}
