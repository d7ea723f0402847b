//! The admin listener: health, readiness, status, reload. Meant for the operator's side of the network.

mod metrics;
mod status;

use std::sync::Arc;

use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use salvo::http::ResBody;
use salvo::{Depot, FlowCtrl, async_trait};
use serde_json::{Value, json};

use crate::shared::{Outcome, Shared};

/// Serves the admin listener.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    shared: Arc<Shared>,
}

impl Admin {
    /// An admin side over the snapshot of the moment.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn answer(&self, method: &Method, path: &str) -> Result<(StatusCode, Value), Refused> {
        let get = matches!(*method, Method::GET | Method::HEAD);
        match path {
            "/health" if get => Ok((StatusCode::OK, json!({ "status": "ok" }))),
            "/ready" if get => Ok(status::ready(&self.shared)),
            "/status" if get => Ok((StatusCode::OK, status::status(&self.shared))),
            "/reload" if *method == Method::POST => Ok(self.reload().await),
            path if plugin_of(path).is_some() => match (plugin_of(path), method) {
                (Some(plugin), &Method::POST) => Ok(self.roll_back(plugin).await),
                _ => Err(Refused::Method("POST")),
            },
            "/health" | "/ready" | "/status" | "/metrics" => Err(Refused::Method("GET, HEAD")),
            "/reload" => Err(Refused::Method("POST")),
            _ => Err(Refused::Path),
        }
    }

    async fn roll_back(&self, plugin: &str) -> (StatusCode, Value) {
        match self.shared.trigger.roll_back(plugin.to_owned()).await {
            Some(Ok(outcome)) => came_to(Some(outcome)),
            Some(Err(reason)) => (
                StatusCode::CONFLICT,
                json!({ "rollback": "refused", "reason": reason }),
            ),
            None => came_to(None),
        }
    }

    async fn reload(&self) -> (StatusCode, Value) {
        came_to(self.shared.trigger.reload().await)
    }
}

/// `/plugins/NAME/rollback`.
fn plugin_of(path: &str) -> Option<&str> {
    path.strip_prefix("/plugins/")?.strip_suffix("/rollback")
}

fn came_to(outcome: Option<Outcome>) -> (StatusCode, Value) {
    match outcome {
        Some(Outcome::Published(generation)) => (
            StatusCode::OK,
            json!({ "reload": "published", "generation": generation }),
        ),
        Some(Outcome::Unchanged(generation)) => (
            StatusCode::OK,
            json!({ "reload": "unchanged", "generation": generation }),
        ),
        Some(Outcome::Refused(refused)) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            json!({ "reload": "refused", "diagnostics": refused.text }),
        ),
        None => (
            StatusCode::SERVICE_UNAVAILABLE,
            json!({ "reload": "stopping" }),
        ),
    }
}

enum Refused {
    Method(&'static str),
    Path,
}

#[async_trait]
impl salvo::Handler for Admin {
    async fn handle(
        &self,
        request: &mut salvo::Request,
        _depot: &mut Depot,
        out: &mut salvo::Response,
        _flow: &mut FlowCtrl,
    ) {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        if path == "/metrics" && matches!(method, Method::GET | Method::HEAD) {
            let text = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            out.status_code(StatusCode::OK);
            out.headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static(text));
            out.body(ResBody::Once(metrics::text(&self.shared).into()));
            return;
        }
        let answer = self.answer(&method, &path).await;
        let (status, value) = answer.unwrap_or_else(|refused| match refused {
            Refused::Method(allow) => {
                out.headers_mut()
                    .insert(ALLOW, HeaderValue::from_static(allow));
                (
                    StatusCode::METHOD_NOT_ALLOWED,
                    json!({ "error": "method not allowed" }),
                )
            }
            Refused::Path => {
                let paths = [
                    "GET /health",
                    "GET /ready",
                    "GET /status",
                    "GET /metrics",
                    "POST /reload",
                    "POST /plugins/NAME/rollback",
                ];
                (
                    StatusCode::NOT_FOUND,
                    json!({ "error": "not found", "paths": paths }),
                )
            }
        });
        out.status_code(status);
        out.headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        out.body(ResBody::Once(format!("{value:#}\n").into()));
    }
}
