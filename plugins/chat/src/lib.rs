//! The built-in `chat` plugin: chat completions, streamed and not.

use aurora_sdk::relay::{Payload, relay};
use aurora_sdk::{
    BoxFuture, BuildError, Context, Error, Handler, Operation, Plugin, Request, Response,
};
use serde_json::{Map, Value};

/// Serves `POST /v1/chat/completions`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chat;

impl Plugin for Chat {
    fn name(&self) -> &'static str {
        "chat"
    }

    fn methods(&self) -> &[&'static str] {
        &["POST"]
    }

    fn build(&self, options: &Map<String, Value>) -> Result<Box<dyn Handler>, BuildError> {
        BuildError::unknown_options(options, &[])?;
        Ok(Box::new(ChatHandler))
    }
}

struct ChatHandler;

impl Handler for ChatHandler {
    fn handle<'a>(
        &'a self,
        cx: &'a Context,
        request: Request,
    ) -> BoxFuture<'a, Result<Response, Error>> {
        Box::pin(async move {
            relay(
                cx,
                request,
                Operation::Chat,
                Payload::Json,
                "chat/completions",
            )
            .await
        })
    }
}
