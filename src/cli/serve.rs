//! `aurora serve`.

use std::process::ExitCode;

use super::{ServeArgs, print};
use crate::app::{self, Start, StartError};
use crate::telemetry;

pub(super) fn serve(args: &ServeArgs) -> ExitCode {
    telemetry::init();
    // One provider for listeners and upstreams; only fails when somebody was first.
    rustls::crypto::ring::default_provider()
        .install_default()
        .unwrap_or_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            print::error_line(&format!("error: cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let start = Start {
        config: args.config.config.clone(),
        overrides: args.overrides(),
    };
    let ended = runtime.block_on(app::run(start));
    // Blocking work that hangs must not hold the process.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(StartError::Config(text) | StartError::Bind(text) | StartError::Other(text)) => {
            print::error_line(&text);
            ExitCode::FAILURE
        }
    }
}
