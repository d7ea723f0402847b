//! Who asks: tokens, workspaces, device ids.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::Plain;
use super::record::Recorded;
use super::world::{World, unix};

/// Whom a file or a conversation belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    /// The account's name, or `device:ID`.
    pub(super) account: String,
    /// The workspace's id; empty for devices.
    pub(super) workspace: String,
}

/// Somebody who was let in.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) owner: Owner,
    pub(super) is_anonymous: bool,
}

impl Caller {
    /// Refuses those without an account.
    pub(super) fn with_account(&self) -> Result<(), Plain> {
        if self.is_anonymous {
            return Err(Plain::sentence(403, "Log in to use this feature."));
        }
        Ok(())
    }
}

/// Lets somebody in to `/backend-api` or `/backend-anon`, or says why not.
pub(super) fn admit(world: &World, request: &Recorded) -> Result<Caller, Plain> {
    if request.path.starts_with("/backend-anon/") {
        return device(world, request);
    }
    let token = bearer(request)?;
    let issued = world.accounts.tokens.get(token);
    let Some(issued) = issued else {
        return Err(if is_jwt(token) {
            invalidated("token_invalidated")
        } else {
            unreadable()
        });
    };
    let account = world.accounts.owner(token).ok_or_else(unreadable)?;
    if account.is_deactivated {
        return Err(deactivated());
    }
    if issued.is_revoked {
        return Err(invalidated("token_revoked"));
    }
    if issued.expires_at <= unix() {
        return Err(expired());
    }
    let workspace = match request.header("chatgpt-account-id") {
        None => account.workspace.clone(),
        Some(workspace) if account.owns(workspace) => workspace.to_owned(),
        Some(_) => {
            return Err(Plain::detail(
                403,
                "workspace_forbidden",
                "You do not have access to this workspace.",
            ));
        }
    };
    Ok(Caller {
        owner: Owner {
            account: account.name.clone(),
            workspace,
        },
        is_anonymous: false,
    })
}

/// The token of an `Authorization: Bearer` header.
fn bearer(request: &Recorded) -> Result<&str, Plain> {
    request
        .header("authorization")
        .ok_or_else(|| Plain::sentence(401, "Unauthorized"))?
        .strip_prefix("Bearer ")
        .filter(|token| !token.is_empty() && !token.contains([' ', ',']))
        .ok_or_else(unreadable)
}

fn device(world: &World, request: &Recorded) -> Result<Caller, Plain> {
    if request.header("authorization").is_some() {
        return Err(unreadable());
    }
    let id = request.header("oai-device-id").unwrap_or_default();
    if Uuid::try_parse(id).is_err() {
        return Err(Plain::detail(
            401,
            "device_id_required",
            "A device id is needed.",
        ));
    }
    // Stricter than the service, which takes any id: the gateway must send those that its operator gave it.
    if !world.accounts.devices.contains(id) {
        return Err(Plain::detail(
            403,
            "device_id_unknown",
            "No test handed out this device id.",
        ));
    }
    Ok(Caller {
        owner: Owner {
            account: format!("device:{id}"),
            workspace: String::new(),
        },
        is_anonymous: true,
    })
}

/// The account that a request speaks for, as far as its headers tell; for the record.
pub(super) fn claimed(world: &World, request: &Recorded) -> Option<String> {
    if request.path.starts_with("/backend-anon/") {
        let id = request.header("oai-device-id")?;
        return Some(format!("device:{id}"));
    }
    let token = request.header("authorization")?.strip_prefix("Bearer ")?;
    Some(world.accounts.owner(token)?.name.clone())
}

fn is_jwt(token: &str) -> bool {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let payload = URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    serde_json::from_slice::<Value>(&payload).is_ok_and(|claims| claims.is_object())
}

fn invalidated(code: &str) -> Plain {
    Plain::detail(
        401,
        code,
        "Your authentication token has been invalidated. Please try signing in again.",
    )
}

fn expired() -> Plain {
    let body = json!({"detail": {
        "message": "Your authentication token has expired. Please try signing in again.",
        "type": "invalid_request_error", "code": "token_expired", "param": null,
    }});
    Plain::json(401, &body)
}

fn unreadable() -> Plain {
    top_level(
        "invalid_jwt",
        "Could not parse your authentication token. Please try signing in again.",
    )
}

fn deactivated() -> Plain {
    top_level(
        "account_deactivated",
        "Your OpenAI account has been deactivated, please check your email for more information.",
    )
}

fn top_level(code: &str, message: &str) -> Plain {
    let error =
        json!({"message": message, "type": "invalid_request_error", "param": null, "code": code});
    Plain::json(401, &json!({"error": error, "status": 401}))
}
