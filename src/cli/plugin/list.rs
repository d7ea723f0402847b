//! `aurora plugin list`: what routes can name.

use std::process::ExitCode;
use std::sync::Arc;

use aurora_config::Style;
use aurora_sdk::Kind;

use super::super::{ConfigArgs, print};
use crate::plugins::{Loader, Metrics, Named, hex};
use crate::reload::Inputs;

pub(super) fn list(args: &ConfigArgs) -> ExitCode {
    let inputs = Inputs::new(args.config.clone(), args.overrides());
    let mut loader = Loader::new(Arc::new(Metrics::default()));
    let found = inputs.load(&mut loader, Style::Plain);
    let rows: Vec<[String; 4]> = found
        .plugins
        .iter()
        .map(|(name, named)| row(name, named))
        .collect();
    for line in print::table(&rows) {
        print::line(&line);
    }
    for refused in found.plugins.refused() {
        print::error_line(&format!("refused: {}: {}", refused.file, refused.reason));
    }
    if let Err(refusal) = &found.loaded
        && found.plugins.refused().is_empty()
    {
        print::error_line(&refusal.report);
    }
    if found.plugins.refused().is_empty() && found.loaded.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn row(name: &str, named: &Named) -> [String; 4] {
    let kinds: Vec<&str> = named
        .manifest
        .kinds
        .iter()
        .filter_map(|kind| match kind {
            Kind::Handler => Some("handler"),
            Kind::Filter => Some("filter"),
            Kind::Unknown => None,
        })
        .collect();
    let from = match &named.generation {
        None => "built in".to_owned(),
        Some(generation) => {
            let hash: String = hex(&generation.origin.hash).chars().take(12).collect();
            format!("{} ({hash})", generation.origin.file.display())
        }
    };
    [
        name.to_owned(),
        named.manifest.version.clone(),
        kinds.join(","),
        from,
    ]
}
