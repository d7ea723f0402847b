//! Handlers and filters as plugins built them. Where nothing about one changed it serves on across reloads, with all that it
//! remembers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use aurora_sdk::{BoxFuture, BuildError, Error, Filter, Handler, PluginHost};
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::plugins::{Generation, Ground, Named, Surroundings, check_options};

/// How long a loaded plugin has to be created.
const CREATE: Duration = Duration::from_secs(10);

/// How long it has to test itself.
const PROBE: Duration = Duration::from_secs(10);

/// What a plugin built of some options.
pub(crate) struct Built<T: ?Sized> {
    /// The name that routes use.
    pub(crate) name: Arc<str>,
    /// The library that it comes from; `None`: it is built in.
    pub(crate) generation: Option<Arc<Generation>>,
    /// Fires when requests that still use it must end.
    pub(crate) retired: CancellationToken,
    /// What it built.
    pub(crate) what: Box<T>,
    /// Its receivers learn when nobody has this any more.
    held: watch::Sender<()>,
}

impl<T: ?Sized> Built<T> {
    /// For logs and headers: the name, and the generation where it is loaded.
    pub(crate) fn label(&self) -> String {
        match &self.generation {
            Some(generation) => format!("{}@{}", self.name, generation.number),
            None => (*self.name).to_owned(),
        }
    }
}

/// What is the same is not built twice: the name, the generation (0: built in), the options and what it may use.
type Key = (String, u64, String);

type Shelf<T> = HashMap<Key, Arc<Built<T>>>;

/// All that one snapshot is served by.
#[derive(Default)]
pub(crate) struct Workshop {
    handlers: Shelf<dyn Handler>,
    filters: Shelf<dyn Filter>,
}

impl std::fmt::Debug for Workshop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workshop")
            .field("handlers", &self.handlers.len())
            .field("filters", &self.filters.len())
            .finish()
    }
}

/// What is asked for.
pub(super) struct Order<'a> {
    pub(super) name: &'a str,
    pub(super) named: &'a Named,
    pub(super) options: Map<String, Value>,
    pub(super) grant: aurora_config::Grant,
    pub(super) around: &'a Arc<Surroundings>,
}

impl Order<'_> {
    fn key(&self) -> Key {
        let number = self
            .named
            .generation
            .as_ref()
            .map_or(0, |generation| generation.number);
        let options = format!("{} {:?}", Value::Object(self.options.clone()), self.grant);
        (self.name.to_owned(), number, options)
    }

    /// Checks the options and builds; a loaded plugin does so on a thread of its own, which may hang.
    fn build<T: ?Sized + 'static>(&self, build: Make<T>) -> Result<Arc<Built<T>>, BuildError>
    where
        Box<T>: Send,
    {
        if let Some(schema) = &self.named.manifest.options {
            check_options(schema, &self.options)?;
        }
        let host = Ground::below(self.name, self.grant.clone(), self.around);
        let generation = self.named.generation.as_ref().map(Arc::clone);
        let what = if generation.is_some() {
            within(self.named.clone(), host, self.options.clone(), build)?
        } else {
            build(&self.named.plugin, &host, &self.options)?
        };
        Ok(Arc::new(Built {
            name: self.name.into(),
            generation,
            retired: CancellationToken::new(),
            what,
            held: watch::Sender::new(()),
        }))
    }
}

type Make<T> = fn(
    &Arc<dyn aurora_sdk::Plugin>,
    &Arc<dyn PluginHost>,
    &Map<String, Value>,
) -> Result<Box<T>, BuildError>;

fn within<T: ?Sized + 'static>(
    named: Named,
    host: Arc<dyn PluginHost>,
    options: Map<String, Value>,
    build: Make<T>,
) -> Result<Box<T>, BuildError>
where
    Box<T>: Send,
{
    let (done, built) = channel();
    let thread = std::thread::Builder::new().name("plugin-create".to_owned());
    let spawned = thread.spawn(move || {
        // Nobody waits for it any more: then it is dropped.
        done.send(build(&named.plugin, &host, &options))
            .unwrap_or_default();
    });
    spawned.map_err(|error| BuildError::new("", format!("no thread to create it on: {error}")))?;
    built.recv_timeout(CREATE).unwrap_or_else(|error| {
        let what = match error {
            RecvTimeoutError::Timeout => {
                format!("it was not created within {} s", CREATE.as_secs())
            }
            RecvTimeoutError::Disconnected => "it ended its own thread".to_owned(),
        };
        Err(BuildError::new("", what))
    })
}

/// Takes what there is, of this snapshot or the one before, or builds it.
fn get<T: ?Sized + 'static>(
    order: &Order<'_>,
    shelf: &mut Shelf<T>,
    previous: Option<&Shelf<T>>,
    build: Make<T>,
) -> Result<Arc<Built<T>>, BuildError>
where
    Box<T>: Send,
{
    let key = order.key();
    if let Some(built) = shelf.get(&key) {
        return Ok(Arc::clone(built));
    }
    let built = match previous.and_then(|previous| previous.get(&key)) {
        Some(built) => Arc::clone(built),
        None => order.build(build)?,
    };
    shelf.insert(key, Arc::clone(&built));
    Ok(built)
}

/// A new loaded plugin that failed its own test.
pub(crate) struct Failed {
    pub(crate) generation: Arc<Generation>,
    pub(crate) reason: String,
}

impl Workshop {
    pub(super) fn handler(
        &mut self,
        order: &Order<'_>,
        previous: Option<&Self>,
    ) -> Result<Arc<Built<dyn Handler>>, BuildError> {
        let previous = previous.map(|previous| &previous.handlers);
        get(
            order,
            &mut self.handlers,
            previous,
            |plugin, host, options| plugin.build(host, options),
        )
    }

    pub(super) fn filter(
        &mut self,
        order: &Order<'_>,
        previous: Option<&Self>,
    ) -> Result<Arc<Built<dyn Filter>>, BuildError> {
        let previous = previous.map(|previous| &previous.filters);
        get(
            order,
            &mut self.filters,
            previous,
            |plugin, host, options| plugin.build_filter(host, options),
        )
    }

    /// Lets what is new test itself.
    ///
    /// # Errors
    /// The first that failed.
    pub(crate) async fn probe(&self, previous: Option<&Self>) -> Result<(), Failed> {
        for (key, built) in &self.handlers {
            if !previous.is_some_and(|previous| previous.handlers.contains_key(key)) {
                probed(built, built.what.probe()).await?;
            }
        }
        for (key, built) in &self.filters {
            if !previous.is_some_and(|previous| previous.filters.contains_key(key)) {
                probed(built, built.what.probe()).await?;
            }
        }
        Ok(())
    }

    /// No new requests come to what `next` does not have: says so, and ends what still runs after `time`.
    pub(crate) fn retire(&self, next: &Self, time: Duration) {
        let mut gone = Vec::<Box<dyn FnOnce() + Send>>::new();
        let (mut ending, mut held) = (Vec::new(), Vec::new());
        let left = |key: &Key| !next.handlers.contains_key(key);
        for built in self
            .handlers
            .iter()
            .filter(|(key, _)| left(key))
            .map(|(_, built)| built)
        {
            ending.push(built.retired.clone());
            held.push(built.held.subscribe());
            let built = Arc::clone(built);
            gone.push(Box::new(move || built.what.drain()));
        }
        let left = |key: &Key| !next.filters.contains_key(key);
        for built in self
            .filters
            .iter()
            .filter(|(key, _)| left(key))
            .map(|(_, built)| built)
        {
            ending.push(built.retired.clone());
            held.push(built.held.subscribe());
            let built = Arc::clone(built);
            gone.push(Box::new(move || built.what.drain()));
        }
        if gone.is_empty() {
            return;
        }
        // A plugin may take its time, and nothing waits for it.
        tokio::task::spawn_blocking(move || gone.into_iter().for_each(|drain| drain()));
        tokio_util::task::TaskTracker::new().spawn(async move {
            let let_go = async {
                for mut held in held {
                    while held.changed().await.is_ok() {}
                }
            };
            // Mostly the last request ends long before.
            if tokio::time::timeout(time, let_go).await.is_err() {
                ending.iter().for_each(CancellationToken::cancel);
            }
        });
    }
}

async fn probed<T: ?Sized>(
    built: &Built<T>,
    probe: BoxFuture<'_, Result<(), Error>>,
) -> Result<(), Failed> {
    let Some(generation) = &built.generation else {
        return Ok(());
    };
    let reason = match tokio::time::timeout(PROBE, probe).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => match std::error::Error::source(&error) {
            Some(source) => format!("its test of itself failed: {source}"),
            None => format!("its test of itself failed: {error}"),
        },
        Err(_) => format!(
            "its test of itself did not end within {} s",
            PROBE.as_secs()
        ),
    };
    Err(Failed {
        generation: Arc::clone(generation),
        reason,
    })
}
