//! The built-in `transcribe` plugin: text from speech, told apart from translation by the end of the path.

use std::sync::Arc;

use aurora_sdk::relay::{Payload, relay};
use aurora_sdk::{
    BoxFuture, BuildError, Context, Error, Handler, Manifest, Operation, Plugin, PluginHost,
    Request, Response,
};
use serde_json::{Map, Value};

#[cfg(feature = "export")]
aurora_sdk::export_plugin!(Transcribe);

/// Serves `POST /v1/audio/{transcriptions,translations}`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Transcribe;

impl Plugin for Transcribe {
    fn manifest(&self) -> Manifest {
        Manifest::handler("transcribe", env!("CARGO_PKG_VERSION"))
            .about("transcription and translation of speech")
            .methods(["POST"])
    }

    fn build(
        &self,
        _host: &Arc<dyn PluginHost>,
        options: &Map<String, Value>,
    ) -> Result<Box<dyn Handler>, BuildError> {
        BuildError::unknown_options(options, &[])?;
        Ok(Box::new(TranscribeHandler))
    }
}

struct TranscribeHandler;

impl Handler for TranscribeHandler {
    fn handle<'a>(
        &'a self,
        cx: &'a Context,
        request: Request,
    ) -> BoxFuture<'a, Result<Response, Error>> {
        Box::pin(async move {
            let path = match request.path.trim_end_matches('/').rsplit('/').next() {
                Some("translations") => "audio/translations",
                _ => "audio/transcriptions",
            };
            relay(
                cx,
                request,
                Operation::Transcribe,
                Payload::ByContentType,
                path,
            )
            .await
        })
    }
}
