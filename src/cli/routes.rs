//! `aurora routes`: the effective table.

use std::process::ExitCode;

use aurora_config::Style;

use super::{ConfigArgs, check, print};

pub(super) fn routes(args: &ConfigArgs) -> ExitCode {
    match check::snapshot(args.config.clone(), args.overrides(), Style::Plain) {
        Ok(snapshot) => {
            for row in print::route_rows(&snapshot) {
                print::line(&row);
            }
            ExitCode::SUCCESS
        }
        Err(refusal) => {
            print::error_line(&refusal.report);
            ExitCode::FAILURE
        }
    }
}
