//! Reload: one task, one door. Reads everything, prepares a snapshot beside the running one, and publishes it whole;
//! or says what is wrong and leaves the old one serving.

mod inputs;
mod status;
mod watch;

pub(crate) use inputs::{Inputs, Refusal};
pub(crate) use status::{RefusedReload, ReloadStatus};

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use aurora_config::{Loaded, Style};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::admin::Admin;
use crate::app::{Shared, StartError};
use crate::plugins::Plugins;
use crate::server::{Bound, Gateway, InFlight, Listeners, Serve};
use crate::snapshot::{Snapshot, SnapshotCell, SnapshotWriter, prepare};
use crate::store::Store;
use inputs::Digest;
use watch::Watcher;

/// Requests for a reload that may wait.
const QUEUE: usize = 16;

/// Asks for a reload from outside the watcher.
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

/// Owns the right to publish.
pub(crate) struct Reloader {
    inputs: Inputs,
    plugins: Plugins,
    shared: Arc<Shared>,
    writer: SnapshotWriter,
    watcher: Watcher,
    asked: mpsc::Receiver<oneshot::Sender<Outcome>>,
    public: Listeners,
    admin: Listeners,
    /// Of what serves now.
    serving: Digest,
    /// Of what was refused last: reported once, not at every look.
    refused: Option<Digest>,
}

/// A snapshot with its sockets, complete but not yet serving.
struct Ready {
    snapshot: Snapshot,
    public: Bound,
    admin: Bound,
}

impl Reloader {
    /// The first load is a reload like any other, except that there is nothing to fall back to.
    ///
    /// # Errors
    /// Where there is nothing that could serve.
    pub(crate) async fn start(
        inputs: Inputs,
        plugins: Plugins,
    ) -> Result<(Arc<Shared>, Self), StartError> {
        let (digest, loaded) = inputs.load(&plugins).await;
        let loaded = loaded.map_err(|refusal| StartError::Config(refusal.report))?;
        let store = open_store(&loaded).await?;
        let (public, admin) = (Listeners::default(), Listeners::default());
        let watcher = Watcher::new(inputs.path(), &loaded.files);
        let ready = make_ready(
            loaded,
            (inputs.path(), &plugins),
            &store,
            None,
            (&public, &admin),
        )
        .await?;
        let (cell, writer, ready) = first(ready);
        let (trigger, asked) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared {
            cell,
            store,
            in_flight: Arc::new(InFlight::default()),
            draining: CancellationToken::new(),
            ending: CancellationToken::new(),
            reload: Arc::new(ReloadStatus::default()),
            trigger: Trigger(trigger),
            started_at: SystemTime::now(),
        });
        let mut reloader = Self {
            inputs,
            plugins,
            shared: Arc::clone(&shared),
            writer,
            watcher,
            asked,
            public,
            admin,
            serving: digest,
            refused: None,
        };
        reloader
            .serve(ready.0, ready.1)
            .map_err(|error| StartError::Bind(error.to_string()))?;
        shared.reload.checked();
        shared.reload.published();
        Ok((shared, reloader))
    }

    /// Where the public and the admin side listen.
    pub(crate) fn addresses(&self) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        (self.public.addresses(), self.admin.addresses())
    }

    /// Reloads whenever there is reason to, until the process drains; gives the public and the admin listeners back for that.
    pub(crate) async fn run(mut self) -> (Listeners, Listeners) {
        let draining = self.shared.draining.clone();
        let mut hangup = signal(SignalKind::hangup()).ok();
        loop {
            let hung_up = async {
                match &mut hangup {
                    Some(signal) => signal.recv().await,
                    None => std::future::pending().await,
                }
            };
            let (asked, answer) = tokio::select! {
                () = draining.cancelled() => break,
                () = self.watcher.changed() => (false, None),
                _ = hung_up => (true, None),
                answer = self.asked.recv() => (true, answer),
            };
            let outcome = self.reload(asked).await;
            if let Some(answer) = answer {
                // The asker may have gone.
                answer.send(outcome).unwrap_or_default();
            }
        }
        (self.public, self.admin)
    }

    /// `asked`: somebody wants to hear again what is wrong, even where nothing has changed.
    async fn reload(&mut self, asked: bool) -> Outcome {
        self.watcher.mark();
        let (digest, loaded) = self.inputs.load(&self.plugins).await;
        self.shared.reload.checked();
        let generation = self.shared.cell.load().generation;
        if digest == self.serving {
            if self.refused.take().is_some() {
                tracing::info!(generation, "config is back to what serves");
                self.shared.reload.recovered();
            }
            return Outcome::Unchanged(generation);
        }
        if !asked && self.refused.as_ref() == Some(&digest) {
            return Outcome::Unchanged(generation);
        }
        match self.apply(loaded).await {
            Ok(generation) => {
                self.serving = digest;
                self.refused = None;
                tracing::info!(generation, "reloaded");
                Outcome::Published(generation)
            }
            Err(text) => {
                let text = format!("{text}; running config (generation {generation}) is unchanged");
                tracing::error!(generation, "reload refused\n{text}");
                self.refused = Some(digest);
                Outcome::Refused(self.shared.reload.refused(text))
            }
        }
    }

    async fn apply(&mut self, loaded: Result<Box<Loaded>, Refusal>) -> Result<u64, String> {
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(refusal) => {
                self.watcher.follow(self.inputs.path(), &refusal.files);
                return Err(refusal.report);
            }
        };
        self.watcher.follow(self.inputs.path(), &loaded.files);
        let previous = self.shared.cell.load();
        self.needs_restart(&loaded, &previous)?;
        let store = self.shared.store.clone();
        let listeners = (&self.public, &self.admin);
        let ready = make_ready(
            loaded,
            (self.inputs.path(), &self.plugins),
            &store,
            Some(&previous),
            listeners,
        )
        .await
        .map_err(|error| match error {
            StartError::Config(text) | StartError::Bind(text) | StartError::Other(text) => text,
        })?;
        let warnings = ready.snapshot.loaded.warnings.render(Style::Plain);
        if !warnings.is_empty() {
            tracing::warn!("the config has warnings\n{warnings}");
        }
        let generation = self.writer.publish(ready.snapshot);
        self.serve(ready.public, ready.admin)
            .map_err(|error| error.to_string())?;
        self.shared.reload.published();
        Ok(generation)
    }

    /// The few settings that cannot change while the process runs, by name.
    fn needs_restart(&self, loaded: &Loaded, previous: &Snapshot) -> Result<(), String> {
        let (now, then) = (&loaded.config.server, &previous.config().server);
        if now.data_dir != then.data_dir {
            return Err("`server.data_dir` cannot change while Aurora runs: restart it".to_owned());
        }
        let kept = now
            .listen
            .iter()
            .any(|address| then.listen.contains(address));
        if kept
            && self
                .public
                .is_tls()
                .is_some_and(|tls| tls != now.tls.is_some())
        {
            return Err("`server.tls` cannot be added or removed on an address that is in use: restart Aurora, or \
                        change `server.listen` with it"
                .to_owned());
        }
        Ok(())
    }

    /// Lets the published snapshot's sockets serve.
    fn serve(&mut self, public: Bound, admin: Bound) -> std::io::Result<()> {
        let snapshot = self.shared.cell.load();
        let server = &snapshot.config().server;
        let serve = Serve {
            handler: Gateway::new(Arc::clone(&self.shared)),
            header_read: server.header_read,
            idle: server.idle,
            tls: snapshot.tls.clone(),
        };
        self.public.commit(public, &server.listen, &serve)?;
        let serve = Serve {
            handler: Admin::new(Arc::clone(&self.shared)),
            header_read: server.header_read,
            idle: server.idle,
            tls: None,
        };
        self.admin
            .commit(admin, &admin_addresses(&snapshot.loaded), &serve)
    }
}

fn admin_addresses(loaded: &Loaded) -> Vec<String> {
    loaded
        .config
        .admin
        .iter()
        .map(|admin| admin.listen.clone())
        .collect()
}

/// Everything that may fail.
async fn make_ready(
    loaded: Box<Loaded>,
    (path, plugins): (&Path, &Plugins),
    store: &Store,
    previous: Option<&Snapshot>,
    (public, admin): (&Listeners, &Listeners),
) -> Result<Ready, StartError> {
    let snapshot = prepare(*loaded, path, plugins, store, previous)
        .map_err(|error| StartError::Config(error.report.render(Style::Plain)))?;
    let cannot_bind = |(address, error)| {
        StartError::Bind(format!(
            "cannot listen on `{address}` (`listen` in the config): {error}"
        ))
    };
    let public = public
        .bind(&snapshot.config().server.listen)
        .await
        .map_err(cannot_bind)?;
    let admin = admin
        .bind(&admin_addresses(&snapshot.loaded))
        .await
        .map_err(cannot_bind)?;
    Ok(Ready {
        snapshot,
        public,
        admin,
    })
}

fn first(ready: Ready) -> (Arc<SnapshotCell>, SnapshotWriter, (Bound, Bound)) {
    let (cell, writer) = SnapshotCell::new(ready.snapshot);
    (cell, writer, (ready.public, ready.admin))
}

async fn open_store(loaded: &Loaded) -> Result<Store, StartError> {
    let data_dir = loaded.config.server.data_dir.clone();
    tokio::task::spawn_blocking(move || Store::open(&data_dir))
        .await
        .map_err(|error| StartError::Other(error.to_string()))
}
