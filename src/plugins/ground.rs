//! What plugins stand on outside of requests: their [`PluginHost`].

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use aurora_config::{Grant, Retry};
use aurora_sdk::{
    BoxFuture, Error, ErrorKind, Level, Metric, MetricId, Origin, PluginHost, Response, State,
    UpstreamRequest,
};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::metrics::Metrics;
use crate::providers::{Brought, Visitor};
use crate::shared::Shared;
use crate::store::{ScopedStore, Store};
use crate::upstream::trace::Trace;
use crate::upstream::{Audience, Exchange, send};

/// What the hosts of all plugins share.
#[derive(Debug)]
pub(crate) struct Surroundings {
    store: Store,
    metrics: Arc<Metrics>,
    runtime: Option<Handle>,
    tasks: TaskTracker,
    /// Not there while the first snapshot is prepared, and never where nothing is served.
    shared: OnceLock<Weak<Shared>>,
}

impl Surroundings {
    /// Within a runtime, or without one where nothing is served.
    pub(crate) fn new(store: Store, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            store,
            metrics,
            runtime: Handle::try_current().ok(),
            tasks: TaskTracker::new(),
            shared: OnceLock::new(),
        })
    }

    /// From here on plugins reach upstreams.
    pub(crate) fn open(&self, shared: &Arc<Shared>) {
        // It is opened once.
        self.shared.set(Arc::downgrade(shared)).unwrap_or_default();
    }
}

/// The host of the plugin called `name`.
pub(crate) struct Ground {
    name: String,
    state: ScopedStore,
    grant: Grant,
    around: Arc<Surroundings>,
}

impl Ground {
    pub(crate) fn below(
        name: &str,
        grant: Grant,
        around: &Arc<Surroundings>,
    ) -> Arc<dyn PluginHost> {
        Arc::new(Self {
            name: name.to_owned(),
            state: around.store.scoped(name),
            grant,
            around: Arc::clone(around),
        })
    }

    async fn send_to(&self, upstream: &str, request: UpstreamRequest) -> Result<Response, Error> {
        if !self
            .grant
            .upstreams
            .iter()
            .any(|granted| granted == upstream)
        {
            let name = &self.name;
            let message = format!(
                "plugin `{name}` may not call upstream `{upstream}`: the operator grants it with \
                 `grant = {{ upstreams = [\"{upstream}\"] }}` in [plugins.{name}]"
            );
            return Err(Error::new(
                ErrorKind::Forbidden,
                Origin::Gateway,
                "plugin_denied",
                message,
            ));
        }
        let shared = self.around.shared.get().and_then(Weak::upgrade);
        let shared = shared.ok_or_else(|| Error::internal("nothing is served yet"))?;
        let snapshot = shared.cell.load();
        let target = snapshot.upstreams.get(upstream).map(Arc::clone);
        let target =
            target.ok_or_else(|| Error::internal(format!("upstream `{upstream}` is gone")))?;
        let exchange = Exchange {
            targets: vec![target],
            retry: Retry::default(),
            hold: None,
            ending: shared.ending.clone(),
            trace: Arc::new(Trace::default()),
            visitor: Arc::new(Visitor {
                owner: format!("plugin:{}", self.name).into(),
                brought: Brought::Nothing,
                origin: None,
            }),
        };
        send(&exchange, Audience::Aurora, request).await
    }
}

impl fmt::Debug for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ground")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl PluginHost for Ground {
    fn log(&self, level: Level, message: &str) {
        let plugin = &self.name;
        match level {
            Level::Error => tracing::error!(plugin, message, "plugin"),
            Level::Warn => tracing::warn!(plugin, message, "plugin"),
            Level::Info => tracing::info!(plugin, message, "plugin"),
            Level::Debug => tracing::debug!(plugin, message, "plugin"),
        }
    }

    fn listens(&self, level: Level) -> bool {
        match level {
            Level::Error => tracing::enabled!(tracing::Level::ERROR),
            Level::Warn => tracing::enabled!(tracing::Level::WARN),
            Level::Info => tracing::enabled!(tracing::Level::INFO),
            Level::Debug => tracing::enabled!(tracing::Level::DEBUG),
        }
    }

    fn state(&self) -> &dyn State {
        &self.state
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        let Some(runtime) = &self.around.runtime else {
            return Box::pin(std::future::ready(()));
        };
        // A thread of the plugin's own is in no runtime.
        let _entered = runtime.enter();
        Box::pin(tokio::time::sleep(time))
    }

    fn spawn(&self, name: &str, task: BoxFuture<'static, ()>) {
        let Some(runtime) = &self.around.runtime else {
            return;
        };
        tracing::debug!(
            plugin = self.name,
            task = name,
            "plugin works in the background"
        );
        self.around.tasks.spawn_on(task, runtime);
    }

    fn offload(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, Result<(), Error>> {
        let Some(runtime) = &self.around.runtime else {
            work();
            return Box::pin(std::future::ready(Ok(())));
        };
        let working = runtime.spawn_blocking(work);
        Box::pin(async move { working.await.map_err(Error::internal) })
    }

    fn metric(&self, metric: &Metric<'_>) -> Result<MetricId, Error> {
        self.around.metrics.define(&self.name, metric)
    }

    fn record(&self, metric: MetricId, value: f64, labels: &[&str]) {
        self.around
            .metrics
            .record(&self.name, metric, value, labels);
    }

    fn send<'a>(
        &'a self,
        upstream: &'a str,
        request: UpstreamRequest,
    ) -> BoxFuture<'a, Result<Response, Error>> {
        Box::pin(self.send_to(upstream, request))
    }
}
