//! The running program: what all its parts share, and its life from start to drain.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aurora_config::Overrides;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::plugins::Plugins;
use crate::reload::{Inputs, ReloadStatus, Reloader, Trigger};
use crate::server::InFlight;
use crate::snapshot::SnapshotCell;
use crate::store::Store;

/// After the drain deadline: time for streams to send their error event.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What all parts of the process share.
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
    pub(crate) reload: Arc<ReloadStatus>,
    /// Asks for a reload.
    pub(crate) trigger: Trigger,
    /// When the process started.
    pub(crate) started_at: SystemTime,
}

/// How to start.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// The config file.
    pub(crate) config: PathBuf,
    /// What the command line says over it.
    pub(crate) overrides: Overrides,
}

/// Why the process did not start.
#[derive(Debug)]
pub(crate) enum StartError {
    /// The config cannot be used; the rendered report.
    Config(String),
    /// An address cannot be bound.
    Bind(String),
    /// Anything else.
    Other(String),
}

/// Starts, serves until told to stop, drains.
///
/// # Errors
/// Where it cannot start.
pub(crate) async fn run(start: Start) -> Result<(), StartError> {
    let began = Instant::now();
    // Before any listener: a signal that comes early must not kill the process unasked.
    let mut stop = Stop::install().map_err(|error| StartError::Other(error.to_string()))?;
    let inputs = Inputs::new(start.config, start.overrides);
    let (shared, reloader) = Reloader::start(inputs, Plugins::builtin()).await?;
    crate::cli::print_started(&shared, reloader.addresses(), began.elapsed());
    let tasks = TaskTracker::new();
    let reloading = tasks.spawn(reloader.run());
    stop.wanted().await;
    tracing::info!(in_flight = shared.in_flight.count(), "draining");
    shared.draining.cancel();
    let (mut public, mut admin) = reloading
        .await
        .map_err(|error| StartError::Other(error.to_string()))?;
    public.stop_accepting();
    let drain = shared.cell.load().config().server.drain;
    tokio::select! {
        () = public.finished() => {}
        () = tokio::time::sleep(drain) => tracing::warn!(in_flight = shared.in_flight.count(), "drain deadline"),
        () = stop.wanted() => tracing::warn!("second signal"),
    }
    shared.ending.cancel();
    // The admin side answers to the end: it is how an operator sees the drain.
    admin.stop_accepting();
    let over = async { tokio::join!(public.finished(), admin.finished()) };
    if tokio::time::timeout(LAST_WORDS, over).await.is_err() {
        let in_flight = shared.in_flight.count();
        tracing::warn!(in_flight, "stopped with requests under way");
    }
    tracing::info!("stopped");
    Ok(())
}

/// SIGTERM and SIGINT.
struct Stop {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
}

impl Stop {
    fn install() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
        })
    }

    async fn wanted(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
