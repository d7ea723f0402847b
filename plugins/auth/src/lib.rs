//! The built-in `auth` plugin: exchanges a client's refresh or session token for an access token.

use std::sync::Arc;

use aurora_sdk::{
    Body, BoxFuture, BuildError, Context, Error, ErrorKind, Handler, Manifest, Operation, Origin,
    Plugin, PluginHost, Request, Response, UpstreamRequest,
};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Map, Value, json};

#[cfg(feature = "export")]
aurora_sdk::export_plugin!(Auth);

/// Session tokens have a few kilobytes.
const MAX_BODY: u64 = 64 * 1024;

/// Serves `POST /auth/refresh` and `POST /auth/session`, by the end of the path.
#[derive(Debug, Clone, Copy, Default)]
pub struct Auth;

impl Plugin for Auth {
    fn manifest(&self) -> Manifest {
        Manifest::handler("auth", env!("CARGO_PKG_VERSION"))
            .about("exchange of refresh and session tokens")
            .methods(["POST"])
    }

    fn build(
        &self,
        _host: &Arc<dyn PluginHost>,
        options: &Map<String, Value>,
    ) -> Result<Box<dyn Handler>, BuildError> {
        BuildError::unknown_options(options, &["public"])?;
        let is_public = match options.get("public") {
            None => false,
            Some(Value::Bool(public)) => *public,
            Some(_) => return Err(BuildError::new("public", "must be true or false")),
        };
        Ok(Box::new(AuthHandler { is_public }))
    }
}

struct AuthHandler {
    is_public: bool,
}

impl Handler for AuthHandler {
    fn handle<'a>(
        &'a self,
        cx: &'a Context,
        request: Request,
    ) -> BoxFuture<'a, Result<Response, Error>> {
        Box::pin(exchange(cx, request))
    }

    fn is_public(&self) -> bool {
        self.is_public
    }
}

/// A kind of token.
struct Exchange {
    /// The field that has the token.
    field: &'static str,
    /// What the upstream is asked for.
    path: &'static str,
}

const REFRESH: Exchange = Exchange {
    field: "refresh_token",
    path: "auth/refresh",
};

const SESSION: Exchange = Exchange {
    field: "session_token",
    path: "auth/session",
};

async fn exchange(cx: &Context, mut request: Request) -> Result<Response, Error> {
    let Exchange { field, path } = match request.path.trim_end_matches('/').rsplit('/').next() {
        Some("refresh") => REFRESH,
        Some("session") => SESSION,
        _ => return Err(not_found(&request.path)),
    };
    if !cx.host().native(Operation::Auth) {
        return Err(unsupported());
    }
    request.max_body = request.max_body.min(MAX_BODY);
    let body: Map<String, Value> = request.json().await?;
    let token = token(&body, field)?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let upstream = UpstreamRequest {
        operation: Operation::Auth,
        method: Method::POST,
        path: path.to_owned(),
        headers: headers.into(),
        // Nothing else of the body goes on.
        body: Body::from(json!({ field: token }).to_string()),
        model: None,
    };
    let mut response = cx.host().send(upstream).await?;
    // RFC 6749 §5.1: nobody on the way keeps tokens.
    response
        .headers
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn token<'b>(body: &'b Map<String, Value>, field: &'static str) -> Result<&'b str, Error> {
    match body.get(field) {
        Some(Value::String(token)) if !token.trim().is_empty() => Ok(token.trim()),
        None | Some(Value::Null | Value::String(_)) => Err(Error::invalid(
            "missing_required_parameter",
            field,
            format!("`{field}` is needed: the token to exchange"),
        )),
        Some(_) => Err(Error::invalid(
            "invalid_type",
            field,
            format!("`{field}` must be a string"),
        )),
    }
}

fn unsupported() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        Origin::Gateway,
        "unsupported_operation",
        "the upstream of this route exchanges no tokens; upstreams of protocol chatgpt-web do",
    )
}

fn not_found(path: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        Origin::Downstream,
        "not_found",
        format!("{path} is not served: it must end in `refresh` or `session`"),
    )
}

#[cfg(test)]
mod tests;
