//! `aurora plugin verify`: everything that the gateway would do before it serves with a library, but for its options.

use std::process::ExitCode;
use std::sync::Arc;

use super::super::print;
use super::VerifyArgs;
use super::inspect::manifest_lines;
use crate::plugins::{Loader, Metrics};
use crate::reload::Inputs;

pub(super) fn verify(args: &VerifyArgs) -> ExitCode {
    let inputs = Inputs::new(args.config.config.clone(), args.config.overrides());
    let mut loader = Loader::new(Arc::new(Metrics::default()));
    let (settings, data_dir) = match inputs.plugin_settings() {
        Ok(settings) => settings,
        Err(refusal) => {
            print::error_line(&refusal.report);
            return ExitCode::FAILURE;
        }
    };
    match loader.verify(&args.file, &settings, &data_dir) {
        Ok(manifest) => {
            for line in manifest_lines(&manifest) {
                print::line(&line);
            }
            print::line(&format!("{} can be loaded", args.file.display()));
            ExitCode::SUCCESS
        }
        Err(reason) => {
            print::error_line(&format!("error: {}: {reason}", args.file.display()));
            ExitCode::FAILURE
        }
    }
}
