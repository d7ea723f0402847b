//! Looks after what must not wait for a request: tokens that expire, pictures that are too old.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::shared::Shared;

/// How often upstreams are tended.
const ROUND: Duration = Duration::from_secs(15);

/// How often what is kept on disk is looked through.
const SWEEP: Duration = Duration::from_mins(10);

/// Runs until the gateway drains.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut swept: Option<Instant> = None;
    loop {
        tokio::select! {
            () = shared.draining.cancelled() => return,
            _ = rounds.tick() => {}
        }
        let snapshot = shared.cell.load();
        for upstream in snapshot.upstreams.values() {
            upstream.provider.tend().await;
        }
        if swept.is_none_or(|at| at.elapsed() >= SWEEP) {
            swept = Some(Instant::now());
            snapshot.gallery.sweep().await;
        }
    }
}
