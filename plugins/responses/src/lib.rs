//! The built-in `responses` plugin: the Responses API.

use aurora_sdk::relay::{Payload, below, relay};
use aurora_sdk::{
    BoxFuture, BuildError, Context, Error, Handler, Operation, Plugin, Request, Response,
};
use serde_json::{Map, Value};

/// Serves `/v1/responses` and below.
#[derive(Debug, Clone, Copy, Default)]
pub struct Responses;

impl Plugin for Responses {
    fn name(&self) -> &'static str {
        "responses"
    }

    fn methods(&self) -> &[&'static str] {
        &["GET", "POST", "DELETE"]
    }

    fn build(&self, options: &Map<String, Value>) -> Result<Box<dyn Handler>, BuildError> {
        BuildError::unknown_options(options, &[])?;
        Ok(Box::new(ResponsesHandler))
    }
}

struct ResponsesHandler;

impl Handler for ResponsesHandler {
    fn handle<'a>(
        &'a self,
        cx: &'a Context,
        request: Request,
    ) -> BoxFuture<'a, Result<Response, Error>> {
        Box::pin(async move {
            let path = below(&request.path, "/v1").to_owned();
            relay(
                cx,
                request,
                Operation::Responses,
                Payload::ByContentType,
                &path,
            )
            .await
        })
    }
}
