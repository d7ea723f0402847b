//! `/auth/refresh` and `/auth/session`: a client's long-lived token for an access token.

use std::sync::Arc;
use std::time::Duration;

use aurora_accounts::{IssueError, Issuer as _};
use aurora_sdk::{Error, ErrorKind, Origin};
use http::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::words::missing;
use super::{Service, decided, json_answer, whole};
use crate::providers::{Answer, Call, Fault};

/// The largest body, bytes.
const MAX_BODY: u64 = 64 << 10;

/// Answers the two exchanges.
pub(super) async fn answer(service: &Arc<Service>, call: Call) -> Result<Answer, Fault> {
    let body = call.body.read_all(MAX_BODY).await.map_err(Fault::Client)?;
    let fields: Map<String, Value> =
        serde_json::from_slice(&body).map_err(|error| decided(Error::invalid_json(error)))?;
    let is_session = call.path.ends_with("session");
    let name = if is_session {
        "session_token"
    } else {
        "refresh_token"
    };
    let token = fields
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or("")
        .trim();
    if token.is_empty() {
        return Err(decided(missing(name)));
    }
    let token = SecretString::from(token);
    if is_session {
        let issued = service.issuer.session(&token).await.map_err(refused)?;
        let usable = issued.rotated.as_ref().unwrap_or(&token).expose_secret();
        let access = issued.access_token.expose_secret();
        // Both spellings are in use.
        return Ok(json_answer(
            &json!({"access_token": access, "accessToken": access, "session_token": usable}),
        ));
    }
    let (issued, told) = service.issuer.refreshed(&token).await.map_err(refused)?;
    issued.map_err(refused)?;
    let json = HeaderValue::from_static("application/json");
    Ok(whole(told.status, json, told.body))
}

fn refused(error: IssueError) -> Fault {
    let upstream = |kind, code: &'static str, message: String| {
        Error::new(kind, Origin::Upstream, code, message)
    };
    decided(match error {
        IssueError::Dead(message) => upstream(ErrorKind::InvalidRequest, "invalid_grant", message),
        IssueError::Challenge(message) => upstream(
            ErrorKind::BadGateway,
            "upstream_challenge_required",
            message,
        ),
        IssueError::Later {
            message,
            retry_after,
        } => upstream(ErrorKind::BadGateway, "upstream_unavailable", message)
            .with_retry_after(retry_after.unwrap_or(Duration::from_secs(10))),
    })
}
