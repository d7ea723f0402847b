//! Session tokens.

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::cookie::{Returned, returned};
use super::{IssueError, Issued, refused};
use crate::fault::redact;

/// Reads the answer to an exchange of a session token; `set_cookies` are the values of its `set-cookie` headers and `now`
/// is in seconds since 1970.
///
/// # Errors
/// [`IssueError::Dead`] when the session is over: an answer without an access token, with an error, or one that takes
/// the cookie away.
pub fn read_session(
    status: u16,
    content_type: &str,
    set_cookies: &[&str],
    body: &[u8],
    now: u64,
) -> Result<Issued, IssueError> {
    let json: Option<Map<String, Value>> = serde_json::from_slice(body).ok();
    let json = match (status, json) {
        (200, Some(json)) => json,
        (status, json) => {
            let error = refused(status, content_type, body);
            let is_over = status == 401 && json.is_some();
            return Err(match error {
                IssueError::Later { .. } if is_over => over("the session token is not accepted"),
                error => error,
            });
        }
    };
    if let Some(error) = full(json.get("error")) {
        return Err(over(&redact(&error)));
    }
    let access_token = full(json.get("accessToken")).or_else(|| full(json.get("access_token")));
    let access_token = access_token.ok_or_else(|| over("the session is over"))?;
    let rotated = match returned(set_cookies, now) {
        Returned::Token(token) => Some(token),
        Returned::Nothing => None,
        Returned::SignedOut => return Err(over("the session was signed out")),
    };
    Ok(Issued {
        access_token: SecretString::from(access_token),
        rotated,
        expires_in: None,
    })
}

fn over(why: &str) -> IssueError {
    IssueError::Dead(why.to_owned())
}

/// Text that is not empty.
pub(super) fn full(value: Option<&Value>) -> Option<String> {
    let text = value?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
