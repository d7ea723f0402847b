//! Metrics that plugins define, and what the gateway counts about plugins, in the format of Prometheus.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aurora_sdk::{Error, Metric, MetricId, MetricKind};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Sets of label values of one metric; what comes after counts as `other`.
const MAX_SERIES: usize = 100;

/// Metrics of all plugins together.
const MAX_METRICS: usize = 1000;

/// The longest name, value or help text.
const MAX_TEXT: usize = 128;

/// Seconds, bytes or whatever is counted: from a thousandth to a million, three to a power of ten.
const BUCKETS: [f64; 20] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 100.0,
    1e3, 1e4, 1e5, 1e6,
];

type Labels = Vec<(String, String)>;

/// Makes histograms of one form.
#[derive(Clone, Copy)]
struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

#[derive(Clone)]
enum Series {
    Counter(Family<Labels, Counter<f64, AtomicU64>>),
    Gauge(Family<Labels, Gauge<f64, AtomicU64>>),
    Histogram(Family<Labels, Histogram, Buckets>),
}

struct Defined {
    name: String,
    kind: MetricKind,
    labels: Vec<String>,
    series: Series,
    seen: Mutex<HashSet<Vec<String>>>,
}

#[derive(Default)]
struct State {
    registry: Registry,
    by_name: HashMap<String, u32>,
    defined: Vec<Arc<Defined>>,
}

/// See the module. They outlive versions of plugins: who defines a metric again goes on counting.
#[derive(Default)]
pub(crate) struct Metrics(Mutex<State>);

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Defines a metric of `plugin`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn define(&self, plugin: &str, metric: &Metric<'_>) -> Result<MetricId, Error> {
        if !is_name(metric.name) || !metric.labels.iter().all(|label| is_name(label)) {
            return Err(Error::internal(format!(
                "the metric {:?} or one of its labels has no name of lower-case letters, digits and `_`",
                metric.name
            )));
        }
        let name = format!("aurora_plugin_{}_{}", plugin.replace('-', "_"), metric.name);
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|label| (*label).to_owned())
            .collect();
        let mut state = self.state();
        if let Some(id) = state.by_name.get(&name).copied() {
            let known = state.defined.get(id as usize);
            let same =
                known.is_some_and(|known| known.kind == metric.kind && known.labels == labels);
            return if same {
                Ok(MetricId(id))
            } else {
                Err(Error::internal(format!(
                    "the metric {name} is there already in another form"
                )))
            };
        }
        let id = u32::try_from(state.defined.len()).unwrap_or(u32::MAX);
        if state.defined.len() >= MAX_METRICS {
            return Err(Error::internal(format!(
                "there are {MAX_METRICS} metrics of plugins already"
            )));
        }
        let series = Series::new(metric.kind);
        let help: String = metric
            .help
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX_TEXT)
            .collect();
        series.register(&mut state.registry, &name, help.trim_end_matches('.'));
        state.by_name.insert(name.clone(), id);
        state.defined.push(Arc::new(Defined {
            name,
            kind: metric.kind,
            labels,
            series,
            seen: Mutex::default(),
        }));
        Ok(MetricId(id))
    }

    /// Records a value; what does not fit is dropped.
    pub(super) fn record(&self, plugin: &str, metric: MetricId, value: f64, labels: &[&str]) {
        let defined = self.state().defined.get(metric.0 as usize).map(Arc::clone);
        let prefix = format!("aurora_plugin_{}_", plugin.replace('-', "_"));
        let Some(defined) = defined.filter(|defined| defined.name.starts_with(&prefix)) else {
            return;
        };
        if labels.len() != defined.labels.len() || !value.is_finite() {
            return;
        }
        defined.series.record(&defined.labels_of(labels), value);
    }

    /// Counts what a plugin did wrong, or what became of it.
    pub(super) fn count(&self, what: &'static str, help: &'static str, plugin: &str) {
        let mut state = self.state();
        let id = state.by_name.get(what).copied();
        let known = id
            .and_then(|id| state.defined.get(id as usize))
            .map(Arc::clone);
        let defined = known.unwrap_or_else(|| {
            let series = Series::new(MetricKind::Counter);
            series.register(&mut state.registry, what, help);
            let id = u32::try_from(state.defined.len()).unwrap_or(u32::MAX);
            state.by_name.insert(what.to_owned(), id);
            let defined = Arc::new(Defined {
                name: what.to_owned(),
                kind: MetricKind::Counter,
                labels: vec!["plugin".to_owned()],
                series,
                seen: Mutex::default(),
            });
            state.defined.push(Arc::clone(&defined));
            defined
        });
        drop(state);
        defined.series.record(&defined.labels_of(&[plugin]), 1.0);
    }

    /// Adds all of them to `out`, in the text format of Prometheus.
    pub(crate) fn encode(&self, out: &mut String) {
        // Writing to a string does not fail.
        text::encode_registry(out, &self.state().registry).unwrap_or_default();
    }
}

impl Defined {
    fn labels_of(&self, values: &[&str]) -> Labels {
        let values: Vec<String> = values
            .iter()
            .map(|value| {
                value
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(MAX_TEXT)
                    .collect()
            })
            .collect();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = seen.contains(&values) || seen.len() < MAX_SERIES;
        if fits {
            seen.insert(values.clone());
        }
        let value = |value: String| if fits { value } else { "other".to_owned() };
        self.labels
            .iter()
            .cloned()
            .zip(values.into_iter().map(value))
            .collect()
    }
}

impl Series {
    fn new(kind: MetricKind) -> Self {
        match kind {
            MetricKind::Counter => Self::Counter(Family::default()),
            MetricKind::Gauge => Self::Gauge(Family::default()),
            MetricKind::Histogram => Self::Histogram(Family::new_with_constructor(Buckets)),
        }
    }

    fn register(&self, registry: &mut Registry, name: &str, help: &str) {
        match self {
            // The format adds the ending by itself.
            Self::Counter(family) => {
                registry.register(name.trim_end_matches("_total"), help, family.clone());
            }
            Self::Gauge(family) => registry.register(name, help, family.clone()),
            Self::Histogram(family) => registry.register(name, help, family.clone()),
        }
    }

    fn record(&self, labels: &Labels, value: f64) {
        match self {
            Self::Counter(family) if value >= 0.0 => {
                family.get_or_create(labels).inc_by(value);
            }
            Self::Counter(_) => {}
            Self::Gauge(family) => {
                family.get_or_create(labels).set(value);
            }
            Self::Histogram(family) => family.get_or_create(labels).observe(value),
        }
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= MAX_TEXT
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HITS: Metric<'static> = Metric {
        kind: MetricKind::Counter,
        name: "hits_total",
        help: "How often it hit.",
        labels: &["kind"],
    };

    fn text(metrics: &Metrics) -> String {
        let mut text = String::new();
        metrics.encode(&mut text);
        text
    }

    #[test]
    fn a_new_version_goes_on_counting() {
        let metrics = Metrics::default();
        let first = metrics.define("my-plugin", &HITS).unwrap();
        metrics.record("my-plugin", first, 1.0, &["a"]);

        let second = metrics.define("my-plugin", &HITS).unwrap();
        metrics.record("my-plugin", second, 2.0, &["a"]);

        assert_eq!(first, second);
        let text = text(&metrics);
        assert!(
            text.contains("aurora_plugin_my_plugin_hits_total{kind=\"a\"} 3.0"),
            "{text}"
        );
    }

    #[test]
    fn other_forms_and_odd_names_are_refused() {
        let metrics = Metrics::default();
        metrics.define("p", &HITS).unwrap();
        for wrong in [
            Metric {
                labels: &[],
                ..HITS
            },
            Metric {
                kind: MetricKind::Gauge,
                ..HITS
            },
            Metric { name: "", ..HITS },
            Metric {
                name: "Hits",
                ..HITS
            },
            Metric {
                name: "a b",
                ..HITS
            },
            Metric {
                labels: &["9"],
                ..HITS
            },
        ] {
            assert!(metrics.define("p", &wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn label_values_beyond_a_bound_are_counted_together_and_nobody_counts_for_others() {
        let metrics = Metrics::default();
        let id = metrics.define("p", &HITS).unwrap();
        for number in 0..MAX_SERIES + 5 {
            metrics.record("p", id, 1.0, &[&number.to_string()]);
        }
        metrics.record("q", id, 1.0, &["0"]);
        metrics.record("p", id, f64::NAN, &["0"]);
        metrics.record("p", id, 1.0, &[]);

        let text = text(&metrics);

        assert!(
            text.contains("{kind=\"other\"} 5.0") && text.contains("{kind=\"0\"} 1.0"),
            "{text}"
        );
    }
}
