//! The exchange of a source's long-lived token, and the writing of the one that replaces it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aurora_chatgpt::login::{IssueError, Issued};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::{CHALLENGE_PAUSE, Held, MAX_PAUSE, MAX_SPENT, Renewal, Source, digest};
use crate::file::{Replacement, WriteError, is_writable};
use crate::issuer::Issuer;
use crate::settings::Kind;
use crate::shared::{Context, locked};
use crate::state::Limit;

/// The first pause after a token could not be written.
const SAVE_PAUSE: Duration = Duration::from_secs(15);

impl Source {
    /// Gets an access token other than number `seen`; `false` when there is none now.
    ///
    /// One exchange serves everybody who waits. It goes on when they have gone: its token may be used up already.
    pub(crate) async fn renew(
        self: &Arc<Self>,
        seen: u64,
        issuer: &Arc<dyn Issuer>,
        cx: &Context,
    ) -> bool {
        let flight = Arc::clone(&self.flight).lock_owned().await;
        if self.usable(cx).is_some_and(|access| access.number != seen) {
            return true;
        }
        let Some(long) = self.exchangeable() else {
            return false;
        };
        let exchange = Exchange {
            source: Arc::clone(self),
            issuer: Arc::clone(issuer),
            cx: cx.clone(),
            flight,
        };
        cx.settings
            .tasks
            .spawn(exchange.run(long))
            .await
            .unwrap_or(false)
    }

    fn exchangeable(&self) -> Option<SecretString> {
        let held = locked(&self.held);
        let may = match &held.renewal {
            Renewal::Ready => true,
            Renewal::Waiting { until, .. } => *until <= Instant::now(),
            Renewal::Dead { at, .. } => self.forgives_since(*at),
        };
        held.long.clone().filter(|_| may)
    }

    /// Writes the token that could not be written before, when its time has come.
    pub(crate) async fn save_again(self: &Arc<Self>, cx: &Context) {
        let is_due = |held: &Held| held.unsaved.is_some_and(|(at, _)| at <= Instant::now());
        if !is_due(&locked(&self.held)) || self.is_gone.load(Ordering::Acquire) {
            return;
        }
        let Ok(flight) = Arc::clone(&self.flight).try_lock_owned() else {
            // The exchange that runs writes the token that it gets.
            return;
        };
        let source = Arc::clone(self);
        let saving = async move {
            source.save().await;
            drop(flight);
        };
        cx.settings.tasks.spawn(saving).await.unwrap_or_default();
    }

    /// Takes the token that replaces the one of now; `false` when there is none to write.
    fn rotate(&self, rotated: Option<SecretString>) -> bool {
        let Some(new) = rotated else { return false };
        if !is_writable(new.expose_secret()) {
            let kind = self.kind.name();
            tracing::error!(kind, "a new token is not kept: no token file could hold it");
            return false;
        }
        let mut held = locked(&self.held);
        let Some(old) = held.long.clone() else {
            return false;
        };
        if old.expose_secret() == new.expose_secret() {
            return false;
        }
        if held.spent.len() == MAX_SPENT {
            held.spent.pop_front();
        }
        held.spent.push_back(digest(old.expose_secret()));
        held.long = Some(new);
        true
    }

    /// Puts the token of now into the file, in place of what stands there.
    async fn save(&self) {
        let Some(file) = self.file.clone() else {
            return;
        };
        let (old, new, teams) = {
            let held = locked(&self.held);
            let (Some(old), Some(new)) = (held.on_file.clone(), held.long.clone()) else {
                return;
            };
            (old, new, held.teams.clone())
        };
        let path = file.path().to_owned();
        let written = new.clone();
        let writing = tokio::task::spawn_blocking(move || {
            file.write(&Replacement {
                old: old.expose_secret(),
                new: new.expose_secret(),
                append: &teams,
            })
        });
        let result = writing
            .await
            .unwrap_or_else(|error| Err(WriteError::Write(std::io::Error::other(error))));
        let mut held = locked(&self.held);
        let Err(error) = result else {
            held.on_file = Some(written);
            held.unsaved = None;
            return;
        };
        let pause = held.unsaved.map_or(SAVE_PAUSE, |(_, pause)| pause);
        held.unsaved = Some((Instant::now() + pause, (pause * 2).min(MAX_PAUSE)));
        tracing::error!(
            file = %path.display(),
            %error,
            "a new token could not be written: it is kept in memory and lost at a restart"
        );
    }
}

/// One exchange, in a task of its own.
struct Exchange {
    source: Arc<Source>,
    issuer: Arc<dyn Issuer>,
    cx: Context,
    /// Released when the task ends, not when those who wait for it go.
    flight: OwnedMutexGuard<()>,
}

impl Exchange {
    async fn run(self, long: SecretString) -> bool {
        let result = match self.source.kind {
            Kind::Session => self.issuer.session(&long).await,
            Kind::Access | Kind::Refresh | Kind::Device => self.issuer.refresh(&long).await,
        };
        let is_renewed = match result {
            Ok(issued) => self.take(issued).await,
            Err(error) => {
                self.fail(error);
                false
            }
        };
        drop(self.flight);
        is_renewed
    }

    async fn take(&self, issued: Issued) -> bool {
        // Known before it is in the file, since a reload may read that at once; in the file before it is used.
        if self.source.rotate(issued.rotated) {
            self.source.save().await;
        }
        let now = self.cx.settings.clock.seconds();
        let is_usable = {
            let mut held = locked(&self.source.held);
            held.renewal = Renewal::Ready;
            let is_empty = issued.access_token.expose_secret().is_empty();
            if !is_empty {
                held.accept(issued.access_token, issued.expires_in, now);
            }
            let access = held.access.as_ref().filter(|_| !is_empty);
            let is_usable = access.is_some_and(|access| access.is_usable(now, None));
            if !is_usable {
                held.pause(None, None);
            }
            is_usable
        };
        self.cx.shared.changed();
        is_usable
    }

    fn fail(&self, error: IssueError) {
        let mut held = locked(&self.source.held);
        let (message, is_lasting) = match error {
            IssueError::Dead(reason) => {
                held.renewal = Renewal::Dead {
                    reason: reason.clone(),
                    at: Instant::now(),
                };
                (reason, true)
            }
            IssueError::Later {
                message,
                retry_after,
            } => {
                held.pause(retry_after, None);
                (message, false)
            }
            IssueError::Challenge(message) => {
                held.pause(Some(CHALLENGE_PAUSE), Some(Limit::Challenge));
                (message, false)
            }
        };
        drop(held);
        let kind = self.source.kind.name();
        // A client's token is the client's.
        let Some(file) = &self.source.file else {
            return;
        };
        let file = file.path().display();
        if is_lasting {
            tracing::error!(%file, kind, message, "a token cannot be exchanged any more");
        } else {
            tracing::warn!(%file, kind, message, "a token cannot be exchanged now");
        }
    }
}
