//! Logs. To standard error, as text or JSON.

use std::io::IsTerminal;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Starts logging. `AURORA_LOG`: a level for all of Aurora (default `info`), or `part=level` words separated by commas.
/// `AURORA_LOG_FORMAT`: `text` (default) or `json`.
///
/// Libraries below are held at `warn` whatever is asked for: at lower levels some write request headers, and so
/// credentials.
pub(crate) fn init() {
    let wanted = std::env::var("AURORA_LOG").unwrap_or_default();
    let (targets, odd) = targets(&wanted);
    let json = std::env::var("AURORA_LOG_FORMAT").is_ok_and(|format| format == "json");
    let layer = if json {
        fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(std::io::stderr)
            .boxed()
    } else {
        fmt::layer()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .boxed()
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
