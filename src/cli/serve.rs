//! `aurora serve`.

use std::process::ExitCode;
use std::time::Instant;

use super::{ServeArgs, print};
use crate::app;
use crate::reload::Inputs;
use crate::telemetry;

pub(super) fn serve(args: &ServeArgs) -> ExitCode {
    let began = Instant::now();
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
    let inputs = Inputs::new(args.config.config.clone(), args.overrides());
    let ended = runtime.block_on(app::run(inputs, |shared, sockets| {
        print::started(shared, sockets.addresses(), began.elapsed());
    }));
    // Blocking work that hangs must not hold the process.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            print::error_line(&text);
            ExitCode::FAILURE
        }
    }
}
