//! A plugin for Aurora: masks personal data in what clients send and in what models say.
//!
//! `kinds` knows what is masked, `mask` does it to a text that comes in pieces, `walk` finds texts in whole JSON, `pieces` in
//! event streams, and `pass` leads one request and its answer through all that.

mod kinds;
mod mask;
mod pass;
mod pieces;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::Arc;

use aurora_sdk::{
    BuildError, Context, Filter, Follows, Manifest, Metric, MetricId, MetricKind, Pass, Plugin,
    PluginHost, options,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::kinds::{Kind, Kinds};
use crate::mask::Masks;
use crate::pass::Redacting;

aurora_sdk::export_plugin!(Redact);

/// The longest word, bytes: a match and what follows it must stay below the longest that is held back.
const MAX_WORD: usize = 240;

struct Redact;

#[derive(Deserialize)]
#[serde(default)]
struct Options {
    kinds: Vec<Kind>,
    words: Vec<String>,
    replacement: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kinds: vec![Kind::Email, Kind::Card, Kind::Iban, Kind::Phone],
            words: Vec::new(),
            replacement: "[redacted]".to_owned(),
        }
    }
}

impl Plugin for Redact {
    fn manifest(&self) -> Manifest {
        Manifest::json(include_str!("../plugin.json"))
    }

    fn build_filter(
        &self,
        host: &Arc<dyn PluginHost>,
        options: &Map<String, Value>,
    ) -> Result<Box<dyn Filter>, BuildError> {
        let options: Options = options::read(options)?;
        let unfit = |word: &String| word.is_empty() || word.len() > MAX_WORD;
        if let Some(place) = options.words.iter().position(unfit) {
            let message = format!("a word has 1 to {MAX_WORD} bytes");
            return Err(BuildError::new(format!("words/{place}"), message));
        }
        let metric = host.metric(&Metric {
            kind: MetricKind::Counter,
            name: "masked_total",
            help: "Places that were masked",
            labels: &["way"],
        });
        Ok(Box::new(Shared(Arc::new(Inner {
            masks: Masks {
                kinds: Kinds::new(options.kinds, &options.words),
                replacement: options.replacement,
            },
            host: Arc::clone(host),
            metric: metric.map_err(|error| BuildError::new("", error.message()))?,
        }))))
    }
}

/// What all requests share.
struct Shared(Arc<Inner>);

struct Inner {
    masks: Masks,
    host: Arc<dyn PluginHost>,
    metric: MetricId,
}

impl Inner {
    /// Counts places that were masked in a `request` or an `answer`.
    fn record(&self, count: u64, way: &str) {
        if count > 0 {
            // A request has nowhere near as many as would be rounded.
            #[expect(clippy::cast_precision_loss, reason = "see above")]
            self.host.record(self.metric, count as f64, &[way]);
        }
    }
}

impl Filter for Shared {
    fn follows(&self) -> Follows {
        Follows::Events
    }

    fn begin(&self, _: &Context) -> Box<dyn Pass> {
        Box::new(Redacting::new(Arc::clone(&self.0)))
    }
}
