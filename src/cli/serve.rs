//! `aurora serve`.

use std::process::ExitCode;
use std::time::Instant;

use super::{ServeArgs, print};
use crate::app;
use crate::reload::Inputs;
use crate::telemetry;

pub(super) fn serve(args: &ServeArgs) -> ExitCode {
    let began = Instant::now();
    let log = telemetry::init();
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
            drop(log);
            print::error_line(&format!("error: cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let inputs = Inputs::new(args.config.config.clone(), args.overrides());
    let ended = runtime.block_on(app::run(inputs, |shared, sockets| {
        log.flush();
        print::started(shared, sockets.addresses(), began.elapsed());
    }));
    // Blocking work that hangs must not hold the process.
    runtime.shutdown_background();
    // Before a last word for people, and once: a standard error that is stuck is waited for but a second.
    drop(log);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            print::error_line(&text);
            ExitCode::FAILURE
        }
    }
}
