//! What the service says in place of an event stream, by name.

use serde_json::{Value, json};

use super::answer::Plain;

const NAMES: [&str; 17] = [
    "token_expired",
    "token_invalidated",
    "invalid_jwt",
    "account_deactivated",
    "unusual_activity",
    "challenge_page",
    "workspace_forbidden",
    "conversation_not_found",
    "message_too_long",
    "conversation_too_large",
    "invalid_body",
    "model_cap",
    "too_many",
    "one_at_a_time",
    "server_error",
    "bad_gateway",
    "ok_but_json",
];

/// All names.
pub(super) fn names() -> Vec<&'static str> {
    NAMES.to_vec()
}

/// The refusal of that name.
pub(super) fn find(name: &str) -> Option<Plain> {
    let detail = |status: u16, code: &str, message: &str| Plain::detail(status, code, message);
    let top = |code: &str, message: &str| {
        let error = json!({"message": message, "type": "invalid_request_error", "param": null, "code": code});
        Plain::json(401, &json!({"error": error, "status": 401}))
    };
    Some(match name {
        "token_expired" => detail(
            401,
            name,
            "Your authentication token has expired. Please try signing in again.",
        ),
        "token_invalidated" => detail(
            401,
            name,
            "Your authentication token has been invalidated. Please try signing in again.",
        ),
        "invalid_jwt" => top(
            name,
            "Could not parse your authentication token. Please try signing in again.",
        ),
        "account_deactivated" => top(
            name,
            "Your OpenAI account has been deactivated, please check your email for more information.",
        ),
        "unusual_activity" => Plain::sentence(
            403,
            "Our systems have detected unusual activity coming from your system. Please try again later.",
        ),
        "challenge_page" => page(
            403,
            "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>",
        )
        .header("server", "cloudflare")
        .header("cf-mitigated", "challenge"),
        "workspace_forbidden" => detail(403, name, "You do not have access to this workspace."),
        "conversation_not_found" => detail(404, name, name),
        "message_too_long" => detail(
            413,
            "message_length_exceeds_limit",
            "The message you submitted was too long, please reload the conversation and submit something shorter.",
        ),
        "conversation_too_large" => detail(413, name, "Conversation is too large"),
        "invalid_body" => unprocessable(),
        "model_cap" => cap(),
        "too_many" => Plain::sentence(429, "Too many requests in 1 hour. Try again later."),
        "one_at_a_time" => super::running::busy(),
        "server_error" => Plain::sentence(500, "Internal Server Error"),
        "bad_gateway" => page(502, "<html><body><h1>502 Bad Gateway</h1></body></html>"),
        "ok_but_json" => detail(200, "load_failed", "Unable to load conversation"),
        _ => return None,
    })
}

fn page(status: u16, html: &'static str) -> Plain {
    Plain::new(status, "text/html; charset=UTF-8", html)
}

fn unprocessable() -> Plain {
    let item: Value = json!({"loc": ["body", "thinking_effort"], "msg": "value is not a valid enumeration member", "type": "type_error.enum"});
    Plain::json(422, &json!({ "detail": [item] }))
}

fn cap() -> Plain {
    Plain::json(
        429,
        &json!({"detail": {
            "message": "You've hit the limit for this model. Please try again later.",
            "code": "model_cap_exceeded", "clears_in": 5400,
        }}),
    )
}
