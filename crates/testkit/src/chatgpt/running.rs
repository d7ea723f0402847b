//! Turns that run: one at a time per account.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::answer::Plain;
use super::websocket::Push;
use super::world::Shared;

/// How long a turn waits for one whose client has already gone: the connection's end comes to us on another socket.
const GRACE: Duration = Duration::from_millis(250);

/// How many turns an account has under way.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) now: HashMap<String, usize>,
    pub(super) most: HashMap<String, usize>,
    pub(super) abandoned: HashMap<String, usize>,
    pub(super) parallel: bool,
}

/// A turn that runs; one that is dropped before it is released was abandoned by its client.
#[derive(Debug)]
pub(super) struct Running {
    shared: Arc<Shared>,
    account: String,
    released: bool,
}

impl Running {
    /// Begins a turn, or refuses it where another one of this account runs.
    pub(super) async fn begin(shared: &Arc<Shared>, account: &str) -> Result<Self, Plain> {
        let before = shared.world().tally.abandoned_by(account);
        let deadline = tokio::time::Instant::now() + GRACE;
        let mut has_waited = false;
        loop {
            let mut changes = shared.changes();
            {
                let mut world = shared.world();
                let tally = &mut world.tally;
                if tally.parallel || !tally.runs(account) {
                    // One that ended by itself in the meantime was still running when this one came.
                    if has_waited && tally.abandoned_by(account) == before {
                        return Err(busy());
                    }
                    tally.enter(account);
                    break;
                }
            }
            has_waited = true;
            if tokio::time::timeout_at(deadline, changes.changed())
                .await
                .is_err()
            {
                return Err(busy());
            }
        }
        Ok(Self {
            shared: Arc::clone(shared),
            account: account.to_owned(),
            released: false,
        })
    }

    /// The turn's answer is complete.
    pub(super) fn release(&mut self) {
        if !self.released {
            self.released = true;
            self.shared.world().tally.leave(&self.account);
            self.shared.tell();
        }
    }

    /// Hands frames to the account's websockets.
    pub(super) fn publish(&self, pushes: Vec<Push>) {
        self.shared.world().pushes.extend(pushes);
        self.shared.tell();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.released {
            let account = self.account.clone();
            *self
                .shared
                .world()
                .tally
                .abandoned
                .entry(account)
                .or_default() += 1;
            self.release();
        }
    }
}

impl Tally {
    fn runs(&self, account: &str) -> bool {
        self.now.get(account).is_some_and(|turns| *turns > 0)
    }

    fn abandoned_by(&self, account: &str) -> usize {
        self.abandoned.get(account).copied().unwrap_or_default()
    }

    fn enter(&mut self, account: &str) {
        let now = self.now.entry(account.to_owned()).or_default();
        *now += 1;
        let most = self.most.entry(account.to_owned()).or_default();
        *most = (*most).max(*now);
    }

    fn leave(&mut self, account: &str) {
        if let Some(now) = self.now.get_mut(account) {
            *now = now.saturating_sub(1);
        }
    }
}

pub(super) fn busy() -> Plain {
    Plain::sentence(
        429,
        "Only one message at a time. Please allow any other responses to complete before sending another message, or wait one minute.",
    )
}
