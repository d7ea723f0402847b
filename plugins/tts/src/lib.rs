//! The built-in `tts` plugin: speech from text.

use std::sync::Arc;

use aurora_sdk::relay::{Payload, relay};
use aurora_sdk::{
    BoxFuture, BuildError, Context, Error, Handler, Manifest, Operation, Plugin, PluginHost,
    Request, Response,
};
use serde_json::{Map, Value};

#[cfg(feature = "export")]
aurora_sdk::export_plugin!(Tts);

/// Serves `POST /v1/audio/speech`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tts;

impl Plugin for Tts {
    fn manifest(&self) -> Manifest {
        Manifest::handler("tts", env!("CARGO_PKG_VERSION"))
            .about("speech from text")
            .methods(["POST"])
    }

    fn build(
        &self,
        _host: &Arc<dyn PluginHost>,
        options: &Map<String, Value>,
    ) -> Result<Box<dyn Handler>, BuildError> {
        BuildError::unknown_options(options, &[])?;
        Ok(Box::new(TtsHandler))
    }
}

struct TtsHandler;

impl Handler for TtsHandler {
    fn handle<'a>(
        &'a self,
        cx: &'a Context,
        request: Request,
    ) -> BoxFuture<'a, Result<Response, Error>> {
        Box::pin(async move {
            relay(
                cx,
                request,
                Operation::Speech,
                Payload::Json,
                "audio/speech",
            )
            .await
        })
    }
}
