//! The built-in `transcribe` plugin: text from speech, told apart from translation by the end of the path.

use aurora_sdk::relay::{Payload, relay};
use aurora_sdk::{
    BoxFuture, BuildError, Context, Error, Handler, Operation, Plugin, Request, Response,
};
use serde_json::{Map, Value};

/// Serves `POST /v1/audio/{transcriptions,translations}`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Transcribe;

impl Plugin for Transcribe {
    fn name(&self) -> &'static str {
        "transcribe"
    }

    fn methods(&self) -> &[&'static str] {
        &["POST"]
    }

    fn build(&self, options: &Map<String, Value>) -> Result<Box<dyn Handler>, BuildError> {
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
