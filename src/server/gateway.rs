//! The way of one request: id, key, route, handler, answer.

use std::sync::Arc;

use aurora_config::Match;
use aurora_sdk::{Error, ErrorKind, Handler, Origin, Params, Request, Response};
use http::header::{
    ALLOW, AUTHORIZATION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use http::{HeaderMap, Method, StatusCode};
use salvo::{Depot, FlowCtrl, async_trait};
use serde_json::json;

use super::access::Access;
use super::allowance::Allowance;
use super::host::RequestHost;
use super::{cors, paths, render, request_body, request_id, run, visitor};
use crate::gallery;
use crate::shared::Shared;
use crate::snapshot::{Built, Route, Snapshot};

/// How many attempts at upstreams a request took.
const ATTEMPTS: HeaderName = HeaderName::from_static("x-aurora-attempts");

/// What a route that serves every method is said to serve.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Serves every request of the public listeners.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    shared: Arc<Shared>,
}

impl Gateway {
    /// A gateway over the snapshot of the moment.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn answer(
        &self,
        snapshot: &Arc<Snapshot>,
        request: &mut salvo::Request,
        access: &mut Access,
    ) -> Result<Response, Error> {
        let path = request.uri().path().to_owned();
        paths::check(&path)?;
        if let Some(name) = path.strip_prefix(gallery::PATH) {
            return picture(snapshot, request, name).await;
        }
        let server = &snapshot.config().server;
        let routed = find(snapshot, request.method(), &path);
        if let Routed::Answered(response) = routed {
            return Ok(response);
        }
        // A browser sends no key with this question, so a route that serves every method must not answer it.
        if !server.cors.is_empty() && cors::is_preflight(request.method(), request.headers()) {
            return Ok(every_method());
        }
        if access.in_flight > server.max_in_flight {
            return Err(overloaded(server.max_in_flight));
        }
        let admitted = visitor::admit(snapshot, request, is_public(&routed))?;
        access.client = Some(Arc::clone(&admitted.admission.client.name));
        let Routed::Found(chosen) = routed else {
            return Err(not_found(&path));
        };
        let route = &chosen.route;
        access.route = Some(Arc::clone(&route.path));
        access.plugin = Some(chosen.built.label());
        access.debug = route.settings.debug_headers;
        admitted.admission.check_route(&route.path)?;
        let limits = admitted.admission.limits.clone();
        let host = RequestHost::new(&self.shared, snapshot, &chosen, admitted, access);
        let mut request = take_request(request, path, snapshot, route)?;
        if let Some(limits) = limits {
            let allowance = Box::new(Allowance::new(limits));
            access.allowance.insert(allowance).admit(&mut request)?;
        }
        run::run(&self.shared, chosen, host, request).await
    }
}

#[async_trait]
impl salvo::Handler for Gateway {
    async fn handle(
        &self,
        request: &mut salvo::Request,
        _depot: &mut Depot,
        out: &mut salvo::Response,
        _flow: &mut FlowCtrl,
    ) {
        let id = request_id::take(request.headers());
        let method = request.method().clone();
        let path = request.uri().path();
        let mut access = Access::begin(&self.shared.traffic, Arc::clone(&id), method, path);
        let snapshot = self.shared.cell.load();
        let answer = self.answer(&snapshot, request, &mut access).await;
        let mut response = answer.unwrap_or_else(|error| {
            log(&error, &id);
            access.error = Some(error.code().to_owned());
            render::error(&error)
        });
        if let Some(allowance) = &mut access.allowance {
            allowance.answer(&mut response);
        }
        if access.debug {
            debug_headers(&access, snapshot.generation, &mut response.headers);
        }
        if let Some(attempts) = access.trace.retried() {
            response.headers.insert(ATTEMPTS, attempts.into());
        }
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers.insert(request_id::NAME, value);
        }
        let origins = &snapshot.config().server.cors;
        if cors::allow(origins, request.headers(), &mut response.headers)
            && cors::is_preflight(request.method(), request.headers())
            && let Some(methods) = response.headers.get(ALLOW).cloned()
        {
            cors::preflight(&methods, request.headers(), &mut response.headers);
        }
        let comment_gap = snapshot.config().server.keep_alive_comment;
        render::write(response, access, comment_gap, out);
    }
}

/// Where a request goes.
enum Routed {
    /// To a route.
    Found(Chosen),
    /// Nowhere. Said only after the key check: who has no key does not learn which paths there are.
    Missing,
    /// It needs no handler.
    Answered(Response),
}

/// A route, and who of those that serve it serves this request.
pub(super) struct Chosen {
    pub(super) route: Arc<Route>,
    pub(super) built: Arc<Built<dyn Handler>>,
    /// Values of the route's pattern.
    pub(super) params: Params,
}

fn find(snapshot: &Snapshot, method: &Method, path: &str) -> Routed {
    // A server that honours TRACE repeats the request that it got, and with it the upstream's token.
    if matches!(*method, Method::TRACE | Method::CONNECT) {
        let mut response = render::error(&wrong_method(path, method));
        response.headers.insert(ALLOW, allowed(&METHODS));
        return Routed::Answered(response);
    }
    match snapshot.routes.find(path, method.as_str()) {
        Match::Found { value, params } => match value.pick() {
            None => Routed::Missing,
            Some(built) => Routed::Found(Chosen {
                route: Arc::clone(value),
                built: Arc::clone(built),
                params: params
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value.into_owned()))
                    .collect(),
            }),
        },
        Match::MethodNotAllowed { allow } => {
            let allow = allowed(&allow);
            let mut response = if method == Method::OPTIONS {
                no_content()
            } else {
                render::error(&wrong_method(path, method))
            };
            response.headers.insert(ALLOW, allow);
            Routed::Answered(response)
        }
        Match::NotFound => match (method, path) {
            // What users of the historic gateway probe.
            (&Method::GET | &Method::HEAD, "/") => Routed::Answered(greeting("Hello, world!")),
            (&Method::GET | &Method::HEAD, "/ping") => Routed::Answered(greeting("pong")),
            _ => Routed::Missing,
        },
    }
}

/// A generated picture: its signed link lets everybody in.
async fn picture(
    snapshot: &Snapshot,
    request: &salvo::Request,
    name: &str,
) -> Result<Response, Error> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(wrong_method(request.uri().path(), request.method()));
    }
    let query = request.uri().query().unwrap_or_default();
    snapshot.gallery.show(name, query).await
}

/// Whether the route serves everybody, key or not.
fn is_public(routed: &Routed) -> bool {
    matches!(routed, Routed::Found(chosen) if chosen.built.what.is_public())
}

fn greeting(message: &str) -> Response {
    Response::new(
        "application/json",
        json!({ "message": message }).to_string(),
    )
}

fn no_content() -> Response {
    Response {
        status: StatusCode::NO_CONTENT,
        headers: HeaderMap::new().into(),
        body: aurora_sdk::Body::empty(),
    }
}

fn every_method() -> Response {
    let mut response = no_content();
    response.headers.insert(ALLOW, allowed(&METHODS));
    response
}

fn wrong_method(path: &str, method: &Method) -> Error {
    Error::new(
        ErrorKind::MethodNotAllowed,
        Origin::Downstream,
        "method_not_allowed",
        format!("`{path}` is not served for {method}; see the Allow header for what is"),
    )
}

fn not_found(path: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        Origin::Downstream,
        "not_found",
        format!("`{path}` is no route of this gateway; `aurora routes` lists those that are"),
    )
}

fn overloaded(limit: usize) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        Origin::Gateway,
        "gateway_overloaded",
        format!("the gateway serves its limit of {limit} requests (`max_in_flight` in [server])"),
    )
}

/// The value of `Allow`: GET brings HEAD along, and OPTIONS is always answered.
fn allowed(methods: &[&str]) -> HeaderValue {
    let mut all: Vec<&str> = methods.to_vec();
    if all.contains(&"GET") && !all.contains(&"HEAD") {
        all.push("HEAD");
    }
    if !all.contains(&"OPTIONS") {
        all.push("OPTIONS");
    }
    HeaderValue::from_str(&all.join(", ")).unwrap_or_else(|_| HeaderValue::from_static("OPTIONS"))
}

/// What the handler sees: no credentials, a bounded body.
fn take_request(
    request: &mut salvo::Request,
    path: String,
    snapshot: &Snapshot,
    route: &Route,
) -> Result<Request, Error> {
    let server = &snapshot.config().server;
    let max_body = route.settings.max_body.unwrap_or(server.max_body);
    let max_upload = route.settings.max_body.unwrap_or(server.max_upload);
    // A length beside a transfer coding means nothing.
    let length = request
        .headers()
        .get(CONTENT_LENGTH)
        .filter(|_| !request.headers().contains_key(TRANSFER_ENCODING))
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok());
    let body = request_body::bounded(
        request.take_body(),
        length,
        max_upload,
        server.body_read_gap,
    )?;
    let mut headers = request.headers().clone();
    headers.remove(AUTHORIZATION);
    headers.remove(http::header::COOKIE);
    headers.remove(http::header::PROXY_AUTHORIZATION);
    Ok(Request {
        method: request.method().clone(),
        path,
        query: request.uri().query().map(str::to_owned),
        headers: headers.into(),
        body,
        max_body,
    })
}

fn debug_headers(access: &Access, generation: u64, headers: &mut HeaderMap) {
    let facts = access.trace.facts();
    headers.insert("x-aurora-generation", generation.into());
    headers.insert(ATTEMPTS, facts.attempts.into());
    let named = [
        ("x-aurora-upstream", facts.upstream.as_ref()),
        ("x-aurora-plugin", access.plugin.as_ref()),
    ];
    for (name, value) in named {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
}

fn log(error: &Error, request_id: &str) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    match error.origin() {
        Origin::Gateway if error.kind() == ErrorKind::Internal => {
            tracing::error!(
                request_id,
                code = error.code(),
                cause,
                "request failed inside the gateway"
            );
        }
        Origin::Gateway | Origin::Upstream => {
            tracing::warn!(
                request_id,
                code = error.code(),
                cause,
                message = error.message(),
                "request failed"
            );
        }
        Origin::Downstream => {
            tracing::debug!(request_id, code = error.code(), cause, "request refused");
        }
    }
}
