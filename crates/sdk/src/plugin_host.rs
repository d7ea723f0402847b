//! What the host does for a plugin, outside of any request.

use std::time::Duration;

use crate::{BoxFuture, Error, Level, Response, State, UpstreamRequest};

/// The host as a plugin has it from the moment that it is built until it is destroyed.
///
/// A plugin has no runtime of its own: it waits, works in the background and calls out through this.
pub trait PluginHost: Send + Sync {
    /// Writes to the gateway's log under the plugin's name.
    fn log(&self, level: Level, message: &str);

    /// Whether anybody listens at `level`.
    fn listens(&self, level: Level) -> bool {
        let _ = level;
        true
    }

    /// Small keyed state with expiry that outlives requests, reloads, restarts and versions of the plugin.
    fn state(&self) -> &dyn State;

    /// Ready after `time`.
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()>;

    /// Runs `task` in the background until it ends, or until the plugin is destroyed.
    fn spawn(&self, name: &str, task: BoxFuture<'static, ()>);

    /// Runs `work`, which may block or compute, where it stops no request. It begins at once, and goes on where nobody waits
    /// for it.
    ///
    /// # Errors
    /// [`Error::internal`] where it panicked or the gateway stops.
    fn offload(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, Result<(), Error>>;

    /// Defines a metric, while the plugin is built. Who defines it again, as a new version does, goes on counting.
    ///
    /// # Errors
    /// What is wrong with its name or labels, or that another form of it is there already.
    fn metric(&self, metric: &Metric<'_>) -> Result<MetricId, Error>;

    /// Adds `value` to a counter, sets a gauge to it, or counts it in a histogram. `labels` are the values of the labels, in
    /// the order defined. What does not fit is dropped.
    fn record(&self, metric: MetricId, value: f64, labels: &[&str]);

    /// Sends to the upstream called `upstream`, which the operator must have granted (`grant` in `[plugins.NAME]`).
    ///
    /// # Errors
    /// As [`crate::Host::send`]; [`crate::ErrorKind::Forbidden`] for an upstream that is not granted.
    fn send<'a>(
        &'a self,
        upstream: &'a str,
        request: UpstreamRequest,
    ) -> BoxFuture<'a, Result<Response, Error>>;
}

/// A metric to define. Its full name is `aurora_plugin_<plugin>_<name>`.
#[derive(Debug, Clone, Copy)]
pub struct Metric<'a> {
    /// How values add up.
    pub kind: MetricKind,
    /// `[a-z][a-z0-9_]*`, with the unit: `cache_hits_total`, `wait_seconds`.
    pub name: &'a str,
    /// What it counts, in a line.
    pub help: &'a str,
    /// Names of labels. Values beyond the hundredth are counted together as `other`.
    pub labels: &'a [&'a str],
}

/// How the values of a metric add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// They are added.
    Counter,
    /// The last one counts.
    Gauge,
    /// They are counted by size.
    Histogram,
}

/// A metric that was defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MetricId(pub u32);
