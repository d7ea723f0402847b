//! Reload: one task, one door. Reads everything, prepares a snapshot beside the running one, and publishes it whole;
//! or says what is wrong and leaves the old one serving.

mod inputs;
mod making;
mod watch;

pub(crate) use inputs::{Inputs, Refusal};

use std::sync::Arc;

use aurora_config::{Loaded, Style};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::limits::Ledger;
use crate::plugins::{Loader, Metrics, Surroundings};
use crate::shared::{Ask, Asked, Outcome, Shared};
use crate::snapshot::{Snapshot, SnapshotCell, SnapshotWriter};
use crate::sockets::Sockets;
use crate::store::Store;
use inputs::{Digest, Found};
use making::{Made, Making, Stopped};
use watch::Watcher;

/// Owns the right to publish.
pub(crate) struct Reloader {
    inputs: Inputs,
    /// Not here while files are read.
    loader: Option<Loader>,
    surroundings: Arc<Surroundings>,
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
    pub(crate) async fn start(inputs: Inputs) -> Result<(Arc<Shared>, Self), String> {
        let metrics = Arc::new(Metrics::default());
        let mut loader = Some(Loader::new(Arc::clone(&metrics)));
        let found = look(&inputs, &mut loader).await;
        let loaded = found.loaded.map_err(|refusal| refusal.report)?;
        let store = open_store(&loaded).await?;
        let limits = Arc::new(Ledger::open(&store).await);
        let surroundings = Surroundings::new(store.clone(), Arc::clone(&metrics));
        let watcher = Watcher::new(inputs.path(), &loaded.files, found.plugin_dir.as_deref());
        let mut sockets = Sockets::default();
        let settings = loaded.config.plugins.clone();
        let making = Making {
            config_path: inputs.path(),
            plugins: &found.plugins,
            surroundings: &surroundings,
            store: &store,
            limits: &limits,
        };
        let made = making
            .snapshot(loaded, None)
            .await
            .map_err(|stopped| stopped.text)?;
        let bound = sockets.bind(&made).await?;
        let plugins = made.plugins.clone();
        let (cell, writer) = SnapshotCell::new(made);
        if let Some(loader) = &mut loader {
            loader.commit(&plugins, &settings);
        }
        let (shared, asked) = Shared::new(cell, store, limits, metrics);
        surroundings.open(&shared);
        sockets
            .commit(bound, &shared)
            .map_err(|error| error.to_string())?;
        shared.reload.checked();
        shared.reload.published();
        let reloader = Self {
            inputs,
            loader,
            surroundings,
            shared: Arc::clone(&shared),
            writer,
            watcher,
            asked,
            sockets,
            serving: found.digest,
            refused: None,
        };
        reloader.tell();
        Ok((shared, reloader))
    }

    /// The sockets that serve.
    pub(crate) fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// Reloads whenever there is reason to, until the process drains; gives back what the process must still let go of.
    pub(crate) async fn run(mut self) -> (Sockets, Option<Loader>) {
        let draining = self.shared.draining.clone();
        let mut hangup = signal(SignalKind::hangup()).ok();
        let troubled = self.loader.as_ref().map(Loader::troubled);
        loop {
            let hung_up = async {
                match &mut hangup {
                    Some(signal) => signal.recv().await,
                    None => std::future::pending().await,
                }
            };
            let plugin_fails = async {
                match &troubled {
                    Some(troubled) => troubled.notified().await,
                    None => std::future::pending().await,
                }
            };
            let reason = tokio::select! {
                () = draining.cancelled() => break,
                () = self.watcher.changed() => Reason::Changed,
                _ = hung_up => Reason::Asked(None),
                () = plugin_fails => Reason::PluginFails,
                ask = self.asked.recv() => Reason::Asked(ask),
            };
            self.react(reason).await;
        }
        (self.sockets, self.loader)
    }

    async fn react(&mut self, reason: Reason) {
        match reason {
            Reason::Changed => {
                self.reload(false).await;
            }
            Reason::Asked(None) => {
                self.reload(true).await;
            }
            Reason::Asked(Some(Ask::Reload(answer))) => {
                let outcome = self.reload(true).await;
                tell(answer, outcome);
            }
            Reason::Asked(Some(Ask::RollBack { plugin, answer })) => {
                let outcome = match self.roll_back(&plugin, "asked for by an operator") {
                    Ok(()) => Ok(self.reload(true).await),
                    Err(reason) => Err(reason),
                };
                tell(answer, outcome);
            }
            Reason::PluginFails => {
                let failing = self
                    .loader
                    .as_ref()
                    .map(Loader::failing)
                    .unwrap_or_default();
                let rolled = failing.iter().filter(|name| {
                    self.roll_back(
                        name,
                        "it panicked more often than `panics` of [plugins] allows",
                    )
                    .is_ok()
                });
                if rolled.count() > 0 {
                    self.reload(true).await;
                }
            }
        }
    }

    fn roll_back(&mut self, plugin: &str, why: &str) -> Result<(), String> {
        let loader = self.loader.as_mut().ok_or("plugins are being read")?;
        let generation = loader.roll_back(plugin, why)?;
        tracing::warn!(plugin, to = generation, why, "plugin is rolled back");
        Ok(())
    }

    /// What there is to say about plugins, for who asks.
    fn tell(&self) {
        if let Some(loader) = &self.loader {
            self.shared.plugins.store(Arc::new(loader.status()));
        }
    }

    /// `asked`: somebody wants to hear again what is wrong, even where nothing has changed.
    async fn reload(&mut self, asked: bool) -> Outcome {
        let outcome = loop {
            self.watcher.mark();
            let found = look(&self.inputs, &mut self.loader).await;
            self.shared.reload.checked();
            if let Some(outcome) = self.take(found, asked).await {
                break outcome;
            }
        };
        self.tell();
        outcome
    }

    /// `None`: a new plugin was at fault and has been refused, so that another look finds something else.
    async fn take(&mut self, found: Found, asked: bool) -> Option<Outcome> {
        let generation = self.shared.cell.load().generation;
        let digest = found.digest;
        if digest == self.serving {
            if self.refused.take().is_some() {
                tracing::info!(generation, "config is back to what serves");
                self.shared.reload.recovered();
            }
            return Some(Outcome::Unchanged(generation));
        }
        if !asked && self.refused.as_ref() == Some(&digest) {
            return Some(Outcome::Unchanged(generation));
        }
        let config = found.config;
        match self.apply(found).await {
            Ok(generation) => {
                self.serving = digest;
                self.refused = None;
                tracing::info!(generation, "reloaded");
                Some(Outcome::Published(generation))
            }
            Err(stopped) => {
                if self.reject(&stopped, config) {
                    return None;
                }
                let text = format!(
                    "{}; running config (generation {generation}) is unchanged",
                    stopped.text
                );
                tracing::error!(generation, "reload refused\n{text}");
                self.refused = Some(digest);
                Some(Outcome::Refused(self.shared.reload.refused(text)))
            }
        }
    }

    /// Refuses new plugins that are at fault, where something else serves in their place; whether there were any.
    fn reject(&mut self, stopped: &Stopped, config: Digest) -> bool {
        let Some(loader) = &mut self.loader else {
            return false;
        };
        let mut rejected = false;
        for (generation, reason) in &stopped.culprits {
            if loader.is_replaceable(generation) {
                loader.reject(generation, reason, config);
                rejected = true;
            }
        }
        rejected
    }

    async fn apply(&mut self, found: Found) -> Result<u64, Stopped> {
        let plugin_dir = found.plugin_dir.as_deref();
        let loaded = match found.loaded {
            Ok(loaded) => loaded,
            Err(refusal) => {
                self.watcher
                    .follow(self.inputs.path(), &refusal.files, plugin_dir);
                return Err(refusal.report.into());
            }
        };
        self.watcher
            .follow(self.inputs.path(), &loaded.files, plugin_dir);
        let previous = self.shared.cell.load();
        self.needs_restart(&loaded, &previous)?;
        let settings = loaded.config.plugins.clone();
        let making = Making {
            config_path: self.inputs.path(),
            plugins: &found.plugins,
            surroundings: &self.surroundings,
            store: &self.shared.store,
            limits: &self.shared.limits,
        };
        let made: Made = making.snapshot(loaded, Some(&previous)).await?;
        let bound = self.sockets.bind(&made).await?;
        let warnings = made.loaded.warnings.render(Style::Plain);
        if !warnings.is_empty() {
            tracing::warn!("the config has warnings\n{warnings}");
        }
        let generation = self.writer.publish(made);
        let current = self.shared.cell.load();
        for pool in current.accounts.values() {
            pool.take_over();
        }
        if let Some(loader) = &mut self.loader {
            loader.commit(&current.plugins, &settings);
        }
        previous.workshop.retire(&current.workshop, settings.drain);
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

/// Why the reloader looks.
enum Reason {
    /// Files may have changed.
    Changed,
    /// Somebody wants it.
    Asked(Option<Ask>),
    /// A plugin panicked too often.
    PluginFails,
}

/// The asker may have gone.
fn tell<T>(answer: oneshot::Sender<T>, what: T) {
    drop(answer.send(what));
}

/// Reads everything anew, off the async threads.
async fn look(inputs: &Inputs, loader: &mut Option<Loader>) -> Found {
    let (inputs, taken) = (inputs.clone(), loader.take());
    let read = tokio::task::spawn_blocking(move || {
        let mut taken = taken?;
        let found = inputs.load(&mut taken, Style::Plain);
        Some((found, taken))
    });
    match read.await {
        Ok(Some((found, back))) => {
            *loader = Some(back);
            found
        }
        Ok(None) => Found::failed("plugins cannot be read any more: restart Aurora"),
        Err(error) => Found::failed(&error.to_string()),
    }
}

async fn open_store(loaded: &Loaded) -> Result<Store, String> {
    let data_dir = loaded.config.server.data_dir.clone();
    tokio::task::spawn_blocking(move || Store::open(&data_dir))
        .await
        .map_err(|error| error.to_string())
}
