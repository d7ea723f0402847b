//! How access tokens are got: refresh tokens and session cookies.

use serde_json::{Value, json};

use super::accounts::TOKEN_SECONDS;
use super::answer::{Outcome, Plain};
use super::record::Recorded;
use super::world::World;

const COOKIE: &str = "__Secure-next-auth.session-token";

/// Browsers keep no longer cookie, its name and attributes included.
const COOKIE_BYTES: usize = 3800;

/// `POST /oauth/token`.
pub(super) fn refresh(world: &mut World, request: &Recorded) -> Outcome {
    let body = fields(request)?;
    if body["grant_type"] != "refresh_token" {
        return Err(oauth_error(
            400,
            "unsupported_grant_type",
            "Only refresh_token is known here.",
        ));
    }
    if !body["redirect_uri"].is_string() {
        return Err(oauth_error(
            400,
            "invalid_request",
            "redirect_uri is missing.",
        ));
    }
    let token = body["refresh_token"].as_str().unwrap_or_default();
    let accounts = &mut world.accounts;
    let rotates = accounts.rotates_refresh;
    let known = accounts
        .refresh
        .get_mut(token)
        .filter(|known| body["client_id"] == known.client_id.as_str())
        .ok_or_else(|| oauth_error(403, "invalid_grant", "Unknown or invalid refresh token."))?;
    if known.is_used {
        return Err(reused());
    }
    let (name, client_id) = (known.account.clone(), known.client_id.clone());
    if accounts
        .by_name
        .get(&name)
        .is_none_or(|account| account.is_deactivated)
    {
        return Err(oauth_error(
            403,
            "access_denied",
            "This account is deactivated.",
        ));
    }
    if let Some(known) = accounts.refresh.get_mut(token) {
        known.is_used = rotates;
    }
    let mut answer = json!({
        "access_token": accounts.issue(&name, TOKEN_SECONDS),
        "token_type": "Bearer",
        "expires_in": TOKEN_SECONDS,
        "scope": "openid email profile offline_access model.request model.read organization.read",
    });
    if rotates {
        answer["refresh_token"] = accounts.issue_refresh(&name, &client_id).into();
    }
    Ok(Plain::ok(&answer))
}

fn fields(request: &Recorded) -> Result<Value, Plain> {
    let kind = request.header("content-type").unwrap_or_default();
    if kind.starts_with("application/json") {
        return Ok(request.json());
    }
    if kind.starts_with("application/x-www-form-urlencoded") {
        let pairs = form_urlencoded::parse(&request.body);
        return Ok(pairs
            .map(|(key, value)| (key.into_owned(), Value::from(value.into_owned())))
            .collect::<serde_json::Map<_, _>>()
            .into());
    }
    Err(oauth_error(
        400,
        "invalid_request",
        "The body must be JSON.",
    ))
}

fn oauth_error(status: u16, code: &str, text: &str) -> Plain {
    Plain::json(status, &json!({"error": code, "error_description": text}))
}

fn reused() -> Plain {
    let message = "Your refresh token has already been used to generate a new access token. Please try signing in again.";
    let error = json!({"message": message, "type": "invalid_request_error", "param": null, "code": "refresh_token_reused"});
    Plain::json(401, &json!({ "error": error }))
}

/// `GET /api/auth/session`: a token is good for one exchange, a dead one gives `{}`.
pub(super) fn session(world: &mut World, request: &Recorded) -> Plain {
    let accounts = &mut world.accounts;
    let owner = session_cookie(request).and_then(|token| accounts.sessions.remove(&token));
    let account = owner.and_then(|name| accounts.by_name.get(&name).cloned());
    let Some(account) = account.filter(|account| !account.is_deactivated) else {
        return Plain::ok(&json!({}));
    };
    let fresh = accounts.issue_session(&account.name);
    let body = json!({
        "user": {"id": account.user_id, "name": account.name, "email": account.email(),
            "idp": "auth0", "mfa": false, "groups": []},
        "expires": "2099-01-01T00:00:00.000Z",
        "accessToken": accounts.issue(&account.name, TOKEN_SECONDS),
        "authProvider": "auth0",
    });
    let answer = Plain::ok(&body).header("set-cookie", "oai-did=fake; Path=/; Secure");
    cookies(&fresh)
        .iter()
        .fold(answer, |answer, cookie| answer.header("set-cookie", cookie))
}

fn cookies(token: &str) -> Vec<String> {
    let attributes =
        "Path=/; Expires=Thu, 01 Jan 2099 00:00:00 GMT; HttpOnly; Secure; SameSite=Lax";
    if token.len() <= COOKIE_BYTES {
        return vec![format!("{COOKIE}={token}; {attributes}")];
    }
    token
        .as_bytes()
        .chunks(COOKIE_BYTES)
        .map(String::from_utf8_lossy)
        .enumerate()
        .map(|(index, part)| format!("{COOKIE}.{index}={part}; {attributes}"))
        .collect()
}

/// The session token of a request, put together from its parts; `None` where a part is missing or longer than a cookie.
fn session_cookie(request: &Recorded) -> Option<String> {
    let jar: Vec<(&str, &str)> = request
        .headers
        .iter()
        .filter(|(name, _)| name == "cookie")
        .flat_map(|(_, value)| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .collect();
    let find = |name: &str| jar.iter().find(|(key, _)| *key == name).map(|(_, v)| *v);
    if let Some(token) = find(COOKIE) {
        return Some(token.to_owned()).filter(|token| token.len() <= COOKIE_BYTES + 200);
    }
    let parts: Vec<&str> = (0..)
        .map_while(|index| find(&format!("{COOKIE}.{index}")))
        .collect();
    (!parts.is_empty()).then(|| parts.concat())
}
