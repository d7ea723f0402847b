//! Everything that the fake knows, behind one lock.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::sync::watch;

use super::accounts::Accounts;
use super::conversations::Conversations;
use super::fault::Faults;
use super::files::Files;
use super::handoff::Handoff;
use super::record::Recorded;
use super::running::Tally;
use super::script::Script;
use super::settings::Settings;
use super::websocket::Push;

/// What is behind the lock.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) requests: Vec<Recorded>,
    pub(super) accounts: Accounts,
    pub(super) script: Script,
    pub(super) faults: Faults,
    pub(super) conversations: Conversations,
    pub(super) files: Files,
    pub(super) handoffs: Vec<Handoff>,
    pub(super) tally: Tally,
    pub(super) pushes: Vec<Push>,
    /// What clients said over websockets.
    pub(super) commands: Vec<Value>,
    /// Whose websocket a signed address opens.
    pub(super) tickets: Vec<(String, String)>,
    pub(super) settings: Settings,
}

/// The world, the addresses, and a sign that something changed.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) service: SocketAddr,
    pub(super) blob: SocketAddr,
    world: Mutex<World>,
    version: watch::Sender<u64>,
}

impl Shared {
    pub(super) fn new(service: SocketAddr, blob: SocketAddr) -> Self {
        Self {
            service,
            blob,
            world: Mutex::default(),
            version: watch::channel(0).0,
        }
    }

    /// Not to be held while waiting.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Tells those who wait for a change.
    pub(super) fn tell(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    /// Changes from now on.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }
}

/// Seconds since 1970.
pub(super) fn unix() -> i64 {
    i64::try_from(since_1970().as_secs()).unwrap_or(i64::MAX)
}

/// The same with a fraction, as messages have it; eighths, which every reader of JSON reads exactly.
pub(super) fn now() -> f64 {
    (since_1970().as_secs_f64() * 8.0).floor() / 8.0
}

fn since_1970() -> std::time::Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
