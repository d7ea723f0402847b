//! Reload: one task, one door. Reads everything, prepares a snapshot beside the running one, and publishes it whole;
//! or says what is wrong and leaves the old one serving.

mod inputs;
mod watch;

pub(crate) use inputs::{Inputs, Refusal};

use std::path::Path;
use std::sync::Arc;

use aurora_config::{Loaded, Style};
use tokio::signal::unix::{SignalKind, signal};

use crate::plugins::Plugins;
use crate::shared::{Asked, Outcome, Shared};
use crate::snapshot::{Snapshot, SnapshotCell, SnapshotWriter, prepare};
use crate::sockets::{BoundSockets, Sockets};
use crate::store::Store;
use inputs::Digest;
use watch::Watcher;

/// Owns the right to publish.
pub(crate) struct Reloader {
    inputs: Inputs,
    plugins: Plugins,
    shared: Arc<Shared>,
    writer: SnapshotWriter,
    watcher: Watcher,
    asked: Asked,
    sockets: Sockets,
    /// Of what serves now.
    serving: Digest,
    /// Of what was refused last: reported once, not at every look.
    refused: Option<Digest>,
}

impl Reloader {
    /// The first load is a reload like any other, except that there is nothing to fall back to.
    ///
    /// # Errors
    /// Why there is nothing that could serve, for people.
    pub(crate) async fn start(
        inputs: Inputs,
        plugins: Plugins,
    ) -> Result<(Arc<Shared>, Self), String> {
        let (serving, loaded) = inputs.load(&plugins).await;
        let loaded = loaded.map_err(|refusal| refusal.report)?;
        let store = open_store(&loaded).await?;
        let watcher = Watcher::new(inputs.path(), &loaded.files);
        let mut sockets = Sockets::default();
        let inputs_and_plugins = (inputs.path(), &plugins);
        let (snapshot, bound) =
            make_ready(loaded, inputs_and_plugins, &store, None, &sockets).await?;
        let (cell, writer) = SnapshotCell::new(snapshot);
        let (shared, asked) = Shared::new(cell, store);
        sockets
            .commit(bound, &shared)
            .map_err(|error| error.to_string())?;
        shared.reload.checked();
        shared.reload.published();
        let reloader = Self {
            inputs,
            plugins,
            shared: Arc::clone(&shared),
            writer,
            watcher,
            asked,
            sockets,
            serving,
            refused: None,
        };
        Ok((shared, reloader))
    }

    /// The sockets that serve.
    pub(crate) fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// Reloads whenever there is reason to, until the process drains; gives the sockets back for that.
    pub(crate) async fn run(mut self) -> Sockets {
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
        self.sockets
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
        let inputs_and_plugins = (self.inputs.path(), &self.plugins);
        let before = Some(previous.as_ref());
        let (snapshot, bound) =
            make_ready(loaded, inputs_and_plugins, &store, before, &self.sockets).await?;
        let warnings = snapshot.loaded.warnings.render(Style::Plain);
        if !warnings.is_empty() {
            tracing::warn!("the config has warnings\n{warnings}");
        }
        let generation = self.writer.publish(snapshot);
        for pool in self.shared.cell.load().accounts.values() {
            pool.take_over();
        }
        self.sockets
            .commit(bound, &self.shared)
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
                .sockets
                .is_tls()
                .is_some_and(|tls| tls != now.tls.is_some())
        {
            return Err("`server.tls` cannot be added or removed on an address that is in use: restart Aurora, or \
                        change `server.listen` with it"
                .to_owned());
        }
        Ok(())
    }
}

/// Everything that may fail: a snapshot with its sockets, complete but not yet serving.
async fn make_ready(
    loaded: Box<Loaded>,
    (path, plugins): (&Path, &Plugins),
    store: &Store,
    previous: Option<&Snapshot>,
    sockets: &Sockets,
) -> Result<(Snapshot, BoundSockets), String> {
    let snapshot = prepare(*loaded, path, plugins, store, previous)
        .map_err(|error| error.report.render(Style::Plain))?;
    let bound = sockets.bind(&snapshot).await?;
    Ok((snapshot, bound))
}

async fn open_store(loaded: &Loaded) -> Result<Store, String> {
    let data_dir = loaded.config.server.data_dir.clone();
    tokio::task::spawn_blocking(move || Store::open(&data_dir))
        .await
        .map_err(|error| error.to_string())
}
