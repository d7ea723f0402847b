//! The built-in `responses` plugin: the Responses API.
//!
//! An upstream that speaks it gets the request as it is. On any other, a response is made of a chat turn, and kept in
//! the gateway's own state.

mod answer;
mod create;
mod kept;
mod shelf;

use std::sync::Arc;

use aurora_openai::responses::Refusal;
use aurora_sdk::relay::{Payload, below, relay};
use aurora_sdk::{
    BoxFuture, BuildError, Context, Error, ErrorKind, Handler, Manifest, Operation, Origin, Plugin,
    PluginHost, Request, Response,
};
use http::Method;
use serde_json::{Map, Value};

#[cfg(feature = "export")]
aurora_sdk::export_plugin!(Responses);

/// Serves `/v1/responses` and below.
#[derive(Debug, Clone, Copy, Default)]
pub struct Responses;

impl Plugin for Responses {
    fn manifest(&self) -> Manifest {
        Manifest::handler("responses", env!("CARGO_PKG_VERSION"))
            .about("the Responses API, native or through chat")
            .methods(["GET", "POST", "DELETE"])
    }

    fn build(
        &self,
        _host: &Arc<dyn PluginHost>,
        options: &Map<String, Value>,
    ) -> Result<Box<dyn Handler>, BuildError> {
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
            if cx.host().native(Operation::Responses) {
                pass_on(cx, request).await
            } else {
                serve(cx, request).await
            }
        })
    }
}

async fn pass_on(cx: &Context, request: Request) -> Result<Response, Error> {
    let path = below(&request.path, "/v1").to_owned();
    let is_create = request.method == Method::POST && place(&request.path).is_empty();
    let payload = if is_create {
        Payload::Json
    } else {
        Payload::ByContentType
    };
    relay(cx, request, Operation::Responses, payload, &path).await
}

async fn serve(cx: &Context, request: Request) -> Result<Response, Error> {
    let path = request.path.clone();
    let query = request.query.as_deref().unwrap_or_default();
    match (request.method.as_str(), place(&path).as_slice()) {
        ("POST", []) => create::create(cx, request).await,
        ("GET", [id]) => kept::retrieve(cx, id, query).await,
        ("DELETE", [id]) => kept::delete(cx, id).await,
        ("GET", [id, "input_items"]) => kept::input_items(cx, id, query).await,
        ("POST", [id, "cancel"]) => kept::cancel(cx, id).await,
        (_, [] | [_] | [_, "input_items" | "cancel"]) => Err(Error::new(
            ErrorKind::MethodNotAllowed,
            Origin::Downstream,
            "method_not_allowed",
            format!("{} is not served with {}", path, request.method),
        )),
        _ => Err(Error::new(
            ErrorKind::NotFound,
            Origin::Downstream,
            "not_found",
            format!("{path} is no part of the Responses API that is served here"),
        )),
    }
}

/// The segments of `path` behind `responses`, wherever the route stands.
fn place(path: &str) -> Vec<&str> {
    path.split('/')
        .skip_while(|segment| *segment != "responses")
        .skip(1)
        .filter(|segment| !segment.is_empty())
        .collect()
}

fn refused(refusal: Refusal) -> Error {
    Error::invalid(refusal.code, refusal.param, refusal.message)
}

#[cfg(test)]
mod tests;
