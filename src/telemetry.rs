//! Logs. To standard error, as text or JSON.

mod batches;
mod plain;

use std::io::{self, IsTerminal};
use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use batches::Batches;
use plain::Plain;

/// How long the process waits at its end for a standard error that takes nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// The log of this process. Dropping it writes what is still in memory.
#[derive(Debug)]
#[must_use]
pub(crate) struct Log(Option<Batches>);

impl Log {
    /// Writes what was logged so far, ahead of what is printed for people.
    pub(crate) fn flush(&self) {
        if let Some(batches) = &self.0 {
            batches.flush(PATIENCE);
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Starts logging. `AURORA_LOG`: a level for all of Aurora (default `info`), or `part=level` words separated by commas.
/// `AURORA_LOG_FORMAT`: `text` (default) or `json`.
///
/// Libraries below are held at `warn` whatever is asked for: at lower levels some write request headers, and so
/// credentials.
pub(crate) fn init() -> Log {
    let wanted = std::env::var("AURORA_LOG").unwrap_or_default();
    let (targets, odd) = targets(&wanted);
    let json = std::env::var("AURORA_LOG_FORMAT").is_ok_and(|format| format == "json");
    let batches = Batches::start(io::stderr(), |lines| {
        tracing::error!(lines, "log lines lost");
    });
    let (layer, started) = match batches {
        Ok(batches) => (layer(json, batches.clone()), Ok(batches)),
        Err(error) => (layer(json, io::stderr), Err(error)),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(targets))
        .init();
    for word in odd {
        tracing::warn!(
            word,
            "AURORA_LOG: not a level, nor `aurora::PART=LEVEL`; ignored"
        );
    }
    if let Err(error) = &started {
        tracing::warn!(%error, "no thread for the log: each line is written by itself");
    }
    Log(started.ok())
}

fn layer<W>(json: bool, writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    if json {
        let lines = fmt::layer().json().flatten_event(true);
        lines.with_writer(writer).boxed()
    } else if io::stderr().is_terminal() {
        fmt::layer().with_writer(writer).boxed()
    } else {
        let lines = fmt::layer().event_format(Plain).fmt_fields(Plain);
        lines.with_writer(writer).boxed()
    }
}

fn targets(wanted: &str) -> (Targets, Vec<String>) {
    let mut targets = Targets::new().with_default(LevelFilter::WARN);
    let mut level = LevelFilter::INFO;
    let mut parts = Vec::new();
    let mut odd = Vec::new();
    for word in wanted
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
    {
        match word.split_once('=') {
            None => match word.parse() {
                Ok(parsed) => level = parsed,
                Err(_) => odd.push(word.to_owned()),
            },
            Some((part, parsed)) => match parsed.parse::<LevelFilter>() {
                Ok(parsed) if part == "aurora" || part.starts_with("aurora::") => {
                    parts.push((part.to_owned(), parsed));
                }
                Ok(_) | Err(_) => odd.push(word.to_owned()),
            },
        }
    }
    targets = targets.with_target("aurora", level);
    for (part, level) in parts {
        targets = targets.with_target(part, level);
    }
    (targets, odd)
}
