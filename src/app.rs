//! The life of the process: start, serve, drain.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::TaskTracker;

use crate::keeper;
use crate::limits::Now;
use crate::plugins::Loader;
use crate::reload::{Inputs, Reloader};
use crate::shared::Shared;
use crate::sockets::Sockets;
use crate::upstream::checks;

/// After the drain deadline: time for streams to send their error event.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Starts, tells `started`, serves until told to stop, drains.
///
/// # Errors
/// Why it cannot start, for people.
pub(crate) async fn run(
    inputs: Inputs,
    started: impl FnOnce(&Shared, &Sockets),
) -> Result<(), String> {
    // Before any listener: a signal that comes early must not kill the process unasked.
    let mut stop = Stop::install().map_err(|error| error.to_string())?;
    let (shared, reloader) = Reloader::start(inputs).await?;
    started(&shared, reloader.sockets());
    // Joined below: the reloader ends with the drain.
    let reloading = TaskTracker::new().spawn(reloader.run());
    let keeping = TaskTracker::new().spawn(keeper::run(Arc::clone(&shared)));
    let checking = TaskTracker::new().spawn(checks::run(Arc::clone(&shared)));
    stop.wanted().await;
    tracing::info!(in_flight = shared.traffic.under_way(), "draining");
    shared.draining.cancel();
    let (mut sockets, loader) = reloading.await.map_err(|error| error.to_string())?;
    sockets.close_public();
    let drain = shared.cell.load().config().server.drain;
    tokio::select! {
        () = sockets.public_finished() => {}
        () = tokio::time::sleep(drain) => {
            tracing::warn!(in_flight = shared.traffic.under_way(), "drain deadline");
        }
        () = stop.wanted() => tracing::warn!("second signal"),
    }
    shared.ending.cancel();
    // An exchange under way may have used up its token: the new one must be written.
    let exchanges = shared.cell.load().exchanges.clone();
    exchanges.close();
    if tokio::time::timeout(LAST_WORDS, exchanges.wait())
        .await
        .is_err()
    {
        tracing::warn!("stopped while tokens were being exchanged");
    }
    keeping.abort();
    checking.abort();
    // The admin side answers to the end: it is how an operator sees the drain.
    sockets.close_admin();
    if tokio::time::timeout(LAST_WORDS, sockets.finished())
        .await
        .is_err()
    {
        let in_flight = shared.traffic.under_way();
        tracing::warn!(in_flight, "stopped with requests under way");
    }
    shared.limits.save(Now::read()).await;
    // The last snapshot goes with `shared`, and with it the plugins.
    drop((sockets, shared));
    let_plugins_end(loader).await;
    tracing::info!("stopped");
    Ok(())
}

/// Plugins that nobody uses any more say their last words.
async fn let_plugins_end(loader: Option<Loader>) {
    let finishing =
        tokio::task::spawn_blocking(move || loader.is_none_or(|loader| loader.finish(LAST_WORDS)));
    if !finishing.await.unwrap_or_default() {
        tracing::warn!("stopped before all plugins were destroyed");
    }
}

/// SIGTERM and SIGINT.
struct Stop {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
}

impl Stop {
    fn install() -> std::io::Result<Self> {
        // A limit on the size of files (RLIMIT_FSIZE) is an error of the write, and not the end of the process: from the first time on
        // that somebody listens, the signal kills no more.
        drop(signal(SignalKind::from_raw(
            rustix::process::Signal::XFSZ.as_raw(),
        ))?);
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
