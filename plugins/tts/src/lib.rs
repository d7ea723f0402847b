//! The built-in `tts` plugin: speech from text.

use aurora_sdk::relay::{Payload, relay};
use aurora_sdk::{
    BoxFuture, BuildError, Context, Error, Handler, Operation, Plugin, Request, Response,
};
use serde_json::{Map, Value};

/// Serves `POST /v1/audio/speech`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tts;

impl Plugin for Tts {
    fn name(&self) -> &'static str {
        "tts"
    }

    fn methods(&self) -> &[&'static str] {
        &["POST"]
    }

    fn build(&self, options: &Map<String, Value>) -> Result<Box<dyn Handler>, BuildError> {
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
