//! What all parts of the process share.

mod reloads;

pub(crate) use reloads::{RefusedReload, ReloadStatus};

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

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
    /// Requests under way.
    pub(crate) in_flight: Arc<InFlight>,
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
    pub(crate) fn new(cell: Arc<SnapshotCell>, store: Store) -> (Arc<Self>, Asked) {
        let (trigger, asked) = mpsc::channel(QUEUE);
        let shared = Self {
            cell,
            store,
            in_flight: Arc::default(),
            draining: CancellationToken::new(),
            ending: CancellationToken::new(),
            reload: ReloadStatus::default(),
            trigger: Trigger(trigger),
            started_at: SystemTime::now(),
        };
        (Arc::new(shared), asked)
    }
}

/// Requests under way.
#[derive(Debug, Default)]
pub(crate) struct InFlight(AtomicUsize);

impl InFlight {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one in; how many there are with it.
    pub(crate) fn begin(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Counts one out.
    pub(crate) fn end(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reloads that somebody asked for, each with where to tell what it came to.
pub(crate) type Asked = mpsc::Receiver<oneshot::Sender<Outcome>>;

/// Asks for a reload.
#[derive(Debug, Clone)]
pub(crate) struct Trigger(mpsc::Sender<oneshot::Sender<Outcome>>);

impl Trigger {
    /// Reloads now and waits for what it comes to; `None` where the process is about to stop.
    pub(crate) async fn reload(&self) -> Option<Outcome> {
        let (answer, outcome) = oneshot::channel();
        self.0.send(answer).await.ok()?;
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
