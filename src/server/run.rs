//! Runs the handler of a request, with the filters around it. A panic in one of them is this request's failure alone.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use aurora_sdk::{Context, Error, ErrorKind, Host as _, Origin, Request, Response};
use futures_util::FutureExt as _;

use super::filters;
use super::gateway::Chosen;
use super::host::RequestHost;
use super::lasting::{Bounds, Waiting};
use crate::shared::Shared;

/// Answers `request`.
///
/// # Errors
/// What the client is told instead.
pub(super) async fn run(
    shared: &Shared,
    chosen: Chosen,
    host: RequestHost,
    request: Request,
) -> Result<Response, Error> {
    let Chosen { route, built, .. } = chosen;
    let name = Arc::clone(&built.name);
    let is_loaded = built.generation.is_some()
        || route
            .filters
            .iter()
            .any(|filter| filter.generation.is_some());
    let bounds = Bounds {
        lasting: Arc::clone(host.lasting()),
        tasks: shared.tasks.clone(),
        retired: built.retired.clone(),
    };
    let request_id = Arc::clone(&host.facts().request_id);
    let host = Arc::new(host);
    let handling = async move {
        if route.filters.is_empty() {
            let cx = Context::new(host);
            return built.what.handle(&cx, request).await;
        }
        // Boxed, so that requests without filters do not carry the room for it.
        Box::pin(filters::around(&route, &built, host, request)).await
    };
    let handling = AssertUnwindSafe(handling)
        .catch_unwind()
        .map(move |handled| handled.unwrap_or_else(|_| Err(panicked(&name, &request_id))));
    if is_loaded {
        // Built-in plugins never ask to go on, and are never replaced.
        return Waiting::new(Box::pin(handling), bounds).await;
    }
    handling.await
}

fn panicked(plugin: &str, request_id: &str) -> Error {
    tracing::error!(plugin, request_id, "plugin panicked");
    Error::new(
        ErrorKind::Internal,
        Origin::Gateway,
        "plugin_failed",
        format!("plugin `{plugin}` failed; the gateway's log has the reason"),
    )
}
