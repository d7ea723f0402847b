//! Refresh tokens.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::{IssueError, Issued, refused};
use crate::fault::redact;

/// The client that refresh tokens were issued for: they work with no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshSettings {
    /// `client_id`.
    pub client_id: String,
    /// `redirect_uri`.
    pub redirect_uri: String,
}

/// Codes after which a refresh token never works again. Others, such as that of a wrong client id, can be mended.
const DEAD: [&str; 7] = [
    "invalid_grant",
    "access_denied",
    "refresh_token_reused",
    "token_expired",
    "token_invalidated",
    "token_revoked",
    "account_deactivated",
];

/// The body of the request that exchanges `token`. It holds the token: not for logs.
pub fn refresh_request(settings: &RefreshSettings, token: &SecretString) -> Value {
    json!({
        "redirect_uri": settings.redirect_uri,
        "grant_type": "refresh_token",
        "client_id": settings.client_id,
        "refresh_token": token.expose_secret(),
    })
}

/// Reads the answer to [`refresh_request`].
///
/// # Errors
/// [`IssueError::Dead`] for a refusal that names a lasting reason, [`IssueError::Later`] for all others.
pub fn read_refresh(status: u16, content_type: &str, body: &[u8]) -> Result<Issued, IssueError> {
    let json: Option<Map<String, Value>> = serde_json::from_slice(body).ok();
    let Some(json) = json else {
        return Err(refused(status, content_type, body));
    };
    if !(200..300).contains(&status) {
        let dead = matches!(status, 400 | 401 | 403).then(|| dead(&json));
        return Err(dead
            .flatten()
            .unwrap_or_else(|| refused(status, content_type, body)));
    }
    let token = |key: &str| super::session::full(json.get(key)).map(SecretString::from);
    let access_token = token("access_token")
        .ok_or_else(|| IssueError::later("the answer to a refresh has no access token"))?;
    let seconds = json.get("expires_in").and_then(Value::as_f64);
    Ok(Issued {
        access_token,
        rotated: token("refresh_token"),
        expires_in: seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    })
}

/// `{"error": code, "error_description"}` or `{"error": {"code", "message"}}`.
fn dead(json: &Map<String, Value>) -> Option<IssueError> {
    let (code, words) = match json.get("error")? {
        Value::String(code) => (code.as_str(), json.get("error_description")),
        Value::Object(error) => (error.get("code")?.as_str()?, error.get("message")),
        _ => return None,
    };
    if !DEAD.contains(&code) {
        return None;
    }
    let words = redact(words.and_then(Value::as_str).unwrap_or_default());
    Some(IssueError::Dead(if words.is_empty() {
        code.to_owned()
    } else {
        format!("{code}: {words}")
    }))
}
