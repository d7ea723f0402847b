//! `aurora check`: everything that a start or reload would find, without serving.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use aurora_config::{Overrides, Style};

use super::{CheckArgs, Format, print};
use crate::limits::Ledger;
use crate::plugins::{Loader, Metrics, Surroundings};
use crate::reload::{Inputs, Refusal};
use crate::snapshot::{Material, Snapshot, prepare};
use crate::store::Store;

pub(super) fn check(args: &CheckArgs) -> ExitCode {
    let color = args.format == Format::Text && std::io::stderr().is_terminal();
    let style = if color { Style::Color } else { Style::Plain };
    match (
        snapshot(args.config.config.clone(), args.config.overrides(), style),
        args.format,
    ) {
        (Ok(snapshot), Format::Text) => {
            let warnings = snapshot.loaded.warnings.render(style);
            if !warnings.is_empty() {
                print::error_line(&warnings);
            }
            print::line(&summary(&snapshot));
            ExitCode::SUCCESS
        }
        (Ok(snapshot), Format::Json) => {
            print::line(&snapshot.loaded.warnings.to_json());
            ExitCode::SUCCESS
        }
        (Err(refusal), Format::Text) => {
            print::error_line(&refusal.report);
            ExitCode::FAILURE
        }
        (Err(refusal), Format::Json) => {
            print::line(&refusal.json);
            ExitCode::FAILURE
        }
    }
}

/// What would serve.
pub(super) fn snapshot(
    config: std::path::PathBuf,
    overrides: Overrides,
    style: Style,
) -> Result<Snapshot, Refusal> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .unwrap_or_default();
    let inputs = Inputs::new(config, overrides);
    let metrics = Arc::new(Metrics::default());
    let mut loader = Loader::new(Arc::clone(&metrics));
    let found = inputs.load(&mut loader, style);
    let store = Store::in_memory();
    let surroundings = Surroundings::new(store.clone(), metrics);
    let material = Material {
        config_path: inputs.path(),
        plugins: &found.plugins,
        surroundings: &surroundings,
        store: &store,
        limits: &Ledger::new(&store),
    };
    prepare(*found.loaded?, &material, None).map_err(|unprepared| Refusal {
        report: unprepared.error.report.render(style),
        json: unprepared.error.report.to_json(),
        files: unprepared.error.files,
    })
}

fn summary(snapshot: &Snapshot) -> String {
    let counts = snapshot.loaded.counts();
    let parts = [
        print::count(counts.routes, "route"),
        print::count(counts.upstreams, "upstream"),
        print::count(counts.pools, "token pool"),
        print::count(counts.tokens, "token"),
        print::count(counts.keys, "client key"),
    ];
    format!(
        "{} is good: {}",
        snapshot.config_path.display(),
        parts.join(", ")
    )
}
