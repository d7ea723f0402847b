//! The built-in `images` plugin: image generations, edits and variations, told apart by the end of the path.

use aurora_sdk::relay::{Payload, relay};
use aurora_sdk::{
    BoxFuture, BuildError, Context, Error, Handler, Operation, Plugin, Request, Response,
};
use serde_json::{Map, Value};

/// Serves `POST /v1/images/{generations,edits,variations}`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Images;

impl Plugin for Images {
    fn name(&self) -> &'static str {
        "images"
    }

    fn methods(&self) -> &[&'static str] {
        &["POST"]
    }

    fn build(&self, options: &Map<String, Value>) -> Result<Box<dyn Handler>, BuildError> {
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
