//! What all parts of the process share.

mod reloads;
mod traffic;

pub(crate) use reloads::{RefusedReload, ReloadStatus};
pub(crate) use traffic::Traffic;

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::limits::Ledger;
use crate::plugins::{Metrics, SlotStatus};
use crate::snapshot::SnapshotCell;
use crate::store::Store;

/// Requests for a reload that may wait.
const QUEUE: usize = 16;

/// See the module.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The snapshot of the moment.
    pub(crate) cell: Arc<SnapshotCell>,
    /// Small keyed state.
    pub(crate) store: Store,
    /// What client keys have used of their limits.
    pub(crate) limits: Arc<Ledger>,
    /// What plugins measure.
    pub(crate) metrics: Arc<Metrics>,
    /// What became of the files in the plugin folder.
    pub(crate) plugins: ArcSwap<Vec<SlotStatus>>,
    /// Work that goes on after its request.
    pub(crate) tasks: TaskTracker,
    /// Requests of clients.
    pub(crate) traffic: Arc<Traffic>,
    /// Fires when no new work is wanted.
    pub(crate) draining: CancellationToken,
    /// Fires when running streams must end.
    pub(crate) ending: CancellationToken,
    /// What reloads came to.
    pub(crate) reload: ReloadStatus,
    /// Asks for a reload.
    pub(crate) trigger: Trigger,
    /// When the process started.
    pub(crate) started_at: SystemTime,
}

impl Shared {
    /// What a process that serves from `cell` shares; its reloader listens to the receiver.
    pub(crate) fn new(
        cell: Arc<SnapshotCell>,
        store: Store,
        limits: Arc<Ledger>,
        metrics: Arc<Metrics>,
    ) -> (Arc<Self>, Asked) {
        let (trigger, asked) = mpsc::channel(QUEUE);
        let shared = Self {
            cell,
            store,
            limits,
            metrics,
            plugins: ArcSwap::default(),
            tasks: TaskTracker::new(),
            traffic: Arc::default(),
            draining: CancellationToken::new(),
            ending: CancellationToken::new(),
            reload: ReloadStatus::default(),
            trigger: Trigger(trigger),
            started_at: SystemTime::now(),
        };
        (Arc::new(shared), asked)
    }
}

/// What somebody wants of the reloader, and where to tell what it came to.
#[derive(Debug)]
pub(crate) enum Ask {
    /// Reload now.
    Reload(oneshot::Sender<Outcome>),
    /// Go back to the version of a plugin that served before.
    RollBack {
        /// Its name.
        plugin: String,
        /// What it came to, or why it cannot be done.
        answer: oneshot::Sender<Result<Outcome, String>>,
    },
}

/// What was asked for.
pub(crate) type Asked = mpsc::Receiver<Ask>;

/// Asks for a reload.
#[derive(Debug, Clone)]
pub(crate) struct Trigger(mpsc::Sender<Ask>);

impl Trigger {
    /// Reloads now and waits for what it comes to; `None` where the process is about to stop.
    pub(crate) async fn reload(&self) -> Option<Outcome> {
        let (answer, outcome) = oneshot::channel();
        self.0.send(Ask::Reload(answer)).await.ok()?;
        outcome.await.ok()
    }

    /// Goes back to the version of `plugin` that served before; as [`Trigger::reload`].
    pub(crate) async fn roll_back(&self, plugin: String) -> Option<Result<Outcome, String>> {
        let (answer, outcome) = oneshot::channel();
        self.0.send(Ask::RollBack { plugin, answer }).await.ok()?;
        outcome.await.ok()
    }
}

/// What a reload came to.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// A new snapshot serves.
    Published(u64),
    /// Nothing had changed.
    Unchanged(u64),
    /// The old snapshot serves on.
    Refused(RefusedReload),
}
