//! The built-in `chat` plugin: chat completions, streamed and not.

use std::sync::Arc;

use aurora_sdk::relay::{Payload, relay};
use aurora_sdk::{
    BoxFuture, BuildError, Context, Error, Handler, Manifest, Operation, Plugin, PluginHost,
    Request, Response,
};
use serde_json::{Map, Value};

#[cfg(feature = "export")]
aurora_sdk::export_plugin!(Chat);

/// Serves `POST /v1/chat/completions`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chat;

impl Plugin for Chat {
    fn manifest(&self) -> Manifest {
        Manifest::handler("chat", env!("CARGO_PKG_VERSION"))
            .about("chat completions")
            .methods(["POST"])
    }

    fn build(
        &self,
        _host: &Arc<dyn PluginHost>,
        options: &Map<String, Value>,
    ) -> Result<Box<dyn Handler>, BuildError> {
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
