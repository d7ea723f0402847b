//! What the service says about itself and an account.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::accounts::{jwt, random};
use super::answer::{Outcome, Plain};
use super::audio::VOICES;
use super::auth::Caller;
use super::record::Recorded;
use super::validate::{self, item};
use super::world::{World, unix};

/// `GET /models`.
pub(super) fn models(world: &World, caller: &Caller) -> Plain {
    if let Some(models) = &world.settings.models {
        return Plain::ok(models);
    }
    let effort = |word: &str, label: &str| json!({"thinking_effort": word, "full_label": format!("{label} thinking"), "short_label": label, "description": ""});
    let mut models = vec![json!({
        "slug": "gpt-5-6", "max_tokens": 34815, "title": "GPT-5.6", "description": "", "tags": ["gpt5.6"],
        "capabilities": {}, "reasoning_type": "auto",
    })];
    if !caller.is_anonymous {
        models.push(json!({
            "slug": "gpt-5-6-thinking", "max_tokens": 196_608, "title": "GPT-5.6 Thinking", "description": "", "tags": [],
            "capabilities": {}, "reasoning_type": "reasoning", "configurable_thinking_effort": true,
            "thinking_efforts": [effort("standard", "Standard"), effort("extended", "Extended")],
            "default_thinking_effort": "standard",
        }));
    }
    Plain::ok(&json!({
        "models": models, "default_model_slug": "gpt-5-6", "model_picker_version": 2, "versions": [],
        "categories": [{"category": "gpt_5", "human_category_name": "GPT-5", "default_model": "gpt-5-6", "subscription_level": "plus"}],
    }))
}

/// `GET /me`.
pub(super) fn me(world: &World, caller: &Caller) -> Outcome {
    let account = world.accounts.by_name.get(&caller.owner.account);
    let account = account.ok_or_else(Plain::not_found)?;
    Ok(Plain::ok(&json!({
        "object": "user", "id": account.user_id, "email": account.email(), "name": account.name,
        "chatgpt_account_id": account.workspace, "plan_type": account.plan,
    })))
}

/// `GET /accounts/check/v4-2023-04-27`.
pub(super) fn accounts(world: &World, caller: &Caller) -> Outcome {
    let account = world.accounts.by_name.get(&caller.owner.account);
    let account = account.ok_or_else(Plain::not_found)?;
    let entry = |id: &str, structure: &str, plan: &str| {
        json!({
            "account": {"account_id": id, "account_user_role": "account-owner", "is_deactivated": account.is_deactivated,
                "name": (structure == "workspace").then_some("Team"), "structure": structure, "plan_type": plan},
            "features": [],
            "entitlement": {"has_active_subscription": plan != "free", "subscription_plan": format!("chatgpt{plan}plan")},
        })
    };
    let personal = entry(&account.workspace, "personal", &account.plan);
    let mut all = Map::from_iter([(account.workspace.clone(), personal)]);
    let mut ordering = vec![account.workspace.clone()];
    for team in &account.teams {
        all.insert(team.clone(), entry(team, "workspace", "team"));
        ordering.push(team.clone());
    }
    Ok(Plain::ok(
        &json!({"accounts": all, "account_ordering": ordering}),
    ))
}

/// `GET /settings/voices`.
pub(super) fn voices() -> Plain {
    let voices: Vec<Value> = VOICES
        .iter()
        .map(|voice| json!({"voice": voice, "name": voice, "description": "", "preview_url": null}))
        .collect();
    Plain::ok(&json!({"selected": "cove", "voices": voices}))
}

/// `POST /attributions`: the name of a site is its host.
pub(super) fn attributions(request: &Recorded) -> Outcome {
    let body = request.json();
    let url = body["urls"][0].as_str();
    let url = url.ok_or_else(|| validate::refuse(&[item("urls", "field required")]))?;
    let host = url.split('/').nth(2).unwrap_or(url);
    Ok(Plain::ok(&json!({"url": url, "attribution": host})))
}

/// `POST /conversation/init`.
pub(super) fn init(request: &Recorded) -> Outcome {
    let body = request.json();
    if !body["timezone_offset_min"].is_i64() {
        return Err(validate::refuse(&[item(
            "timezone_offset_min",
            "field required",
        )]));
    }
    let reset = "2099-01-01T00:00:00+00:00";
    Ok(Plain::ok(&json!({
        "type": "conversation_detail_metadata", "banner_info": null, "blocked_features": [], "model_limits": [],
        "limits_progress": [
            {"feature_name": "image_gen", "remaining": 42, "reset_after": reset},
            {"feature_name": "file_upload", "remaining": 78, "reset_after": reset},
        ],
        "default_model_slug": "auto", "atlas_mode_enabled": null,
    })))
}

/// `POST /f/conversation/prepare`: a conduit token for about a minute.
pub(super) fn prepare(world: &World, request: &Recorded) -> Outcome {
    let body = request.json();
    let mut items = Vec::new();
    for field in ["action", "parent_message_id", "model"] {
        if !body[field].is_string() {
            items.push(item(field, "field required"));
        }
    }
    let state = body["client_prepare_state"].as_str().unwrap_or_default();
    if !["none", "sent", "success"].contains(&state) {
        items.push(item(
            "client_prepare_state",
            "value is not a valid enumeration member",
        ));
    }
    if !items.is_empty() {
        return Err(validate::refuse(&items));
    }
    let token = (!world.settings.no_conduit).then(conduit_token);
    Ok(Plain::ok(&json!({"status": "ok", "conduit_token": token})))
}

/// A token for `X-Conduit-Token`.
pub(super) fn conduit_token() -> String {
    jwt(
        &json!({"exp": unix() + 60, "conduit_uuid": Uuid::new_v4().to_string(), "nonce": random(8)}),
    )
}
