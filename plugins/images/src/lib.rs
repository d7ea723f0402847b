//! The built-in `images` plugin: image generations, edits and variations, told apart by the end of the path.

use std::sync::Arc;

use aurora_sdk::relay::{Payload, relay};
use aurora_sdk::{
    BoxFuture, BuildError, Context, Error, Handler, Manifest, Operation, Plugin, PluginHost,
    Request, Response,
};
use serde_json::{Map, Value};

#[cfg(feature = "export")]
aurora_sdk::export_plugin!(Images);

/// Serves `POST /v1/images/{generations,edits,variations}`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Images;

impl Plugin for Images {
    fn manifest(&self) -> Manifest {
        Manifest::handler("images", env!("CARGO_PKG_VERSION"))
            .about("image generations, edits and variations")
            .methods(["POST"])
    }

    fn build(
        &self,
        _host: &Arc<dyn PluginHost>,
        options: &Map<String, Value>,
    ) -> Result<Box<dyn Handler>, BuildError> {
        BuildError::unknown_options(options, &[])?;
        Ok(Box::new(ImagesHandler))
    }
}

struct ImagesHandler;

impl Handler for ImagesHandler {
    fn handle<'a>(
        &'a self,
        cx: &'a Context,
        request: Request,
    ) -> BoxFuture<'a, Result<Response, Error>> {
        Box::pin(async move {
            let path = match request.path.trim_end_matches('/').rsplit('/').next() {
                Some("edits") => "images/edits",
                Some("variations") => "images/variations",
                _ => "images/generations",
            };
            relay(cx, request, Operation::Images, Payload::ByContentType, path).await
        })
    }
}
