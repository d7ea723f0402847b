//! Answers whose rest is had elsewhere.

use serde_json::{Value, json};

use super::answer::{Answer, Plain};
use super::auth::{Caller, Owner};
use super::pace::Pace;
use super::perform::Performance;
use super::record::Recorded;
use super::turn::event_stream_headers;
use super::websocket::Push;
use super::world::{Shared, World};

/// The rest of an answer.
#[derive(Debug, Clone)]
pub(super) struct Handoff {
    pub(super) owner: Owner,
    pub(super) conversation: String,
    /// What `X-Conduit-Token` must say.
    pub(super) token: String,
    pub(super) topic: String,
    /// Frames, one an item; offsets count them from 0.
    pub(super) items: Vec<String>,
    /// The status of `resume`.
    pub(super) resume: u16,
    /// It ends early.
    pub(super) resume_bytes: Option<usize>,
}

/// `POST /f/conversation/resume`.
pub(super) fn resume(
    world: &mut World,
    caller: &Caller,
    request: &Recorded,
) -> Result<Answer, Plain> {
    let body = request.json();
    let id = body["conversation_id"].as_str().unwrap_or_default();
    let offset = body["offset"]
        .as_u64()
        .and_then(|offset| usize::try_from(offset).ok())
        .ok_or_else(|| Plain::sentence(422, "offset must be a number"))?;
    world.conversations.of(&caller.owner, id)?;
    let handoff = world
        .handoffs
        .iter()
        .rev()
        .find(|one| one.conversation == id && one.owner == caller.owner)
        .ok_or_else(gone)?;
    if request.header("x-conduit-token") != Some(&handoff.token) {
        return Err(Plain::detail(
            403,
            "invalid_conduit_token",
            "The conduit token does not fit.",
        ));
    }
    if handoff.resume != 200 {
        return Err(Plain::detail(
            handoff.resume,
            "stream_gone",
            "The stream is gone.",
        ));
    }
    let items = handoff
        .items
        .get(offset..)
        .filter(|items| !items.is_empty());
    let body: String = items.ok_or_else(gone)?.concat();
    let pace = Pace {
        length: handoff.resume_bytes,
        ..Pace::default()
    };
    let beats = pace.beats(body.into_bytes());
    if handoff.resume_bytes.is_none() {
        world.conversations.of(&caller.owner, id)?.arrive();
    }
    Ok(Answer::Stream(Box::new(Performance {
        headers: event_stream_headers(),
        beats,
        pings: None,
        running: None,
        pushes: Vec::new(),
    })))
}

fn gone() -> Plain {
    Plain::detail(404, "stream_gone", "There is no such stream.")
}

impl Handoff {
    /// What the websocket tells of it, one frame an item.
    pub(super) fn pushes(&self) -> Vec<Push> {
        let item = |(at, text): (usize, &String)| {
            let parent = (at > 0).then(|| format!("si-{at}"));
            let payload = json!({
                "type": "stream-item", "conversation_id": self.conversation,
                "turn_exchange_id": self.topic.trim_start_matches("conversation-turn-"),
                "stream_item_id": format!("si-{}", at + 1), "parent_stream_item_id": parent,
                "encoded_item": text, "server_timestamp_ms": 1_771_950_003_000_u64 + at as u64,
            });
            Push {
                account: self.owner.account.clone(),
                topic: self.topic.clone(),
                offset: at + 1,
                payload: json!({"type": "conversation-turn-stream", "payload": payload}),
                is_sent: false,
            }
        };
        self.items.iter().enumerate().map(item).collect()
    }
}

/// `GET /celsius/ws/user`: a signed address for one account.
pub(super) fn websocket(
    shared: &Shared,
    world: &mut World,
    caller: &Caller,
) -> Result<Plain, Plain> {
    if world.settings.no_websocket {
        return Err(Plain::sentence(503, "Service Unavailable"));
    }
    let ticket = super::accounts::random(32);
    let account = caller.owner.account.clone();
    world.tickets.push((ticket.clone(), account));
    let url = format!("ws://{}/p7/ws/user/fake?verify={ticket}", shared.service);
    Ok(Plain::ok(&json!({ "websocket_url": url })))
}

/// Whose websocket this handshake opens.
pub(super) fn ticket(world: &World, request: &Recorded) -> Result<String, Plain> {
    let ticket = request.parameter("verify").unwrap_or_default();
    let is_upgrade = request
        .header("upgrade")
        .is_some_and(|kind| kind.eq_ignore_ascii_case("websocket"));
    if !is_upgrade || request.header("sec-websocket-key").is_none() {
        return Err(Plain::new(426, "text/plain", "a websocket is served here"));
    }
    world
        .tickets
        .iter()
        .find(|(known, _)| *known == ticket)
        .map(|(_, account)| account.clone())
        .ok_or_else(|| Plain::sentence(403, "The address is not signed."))
}

/// The `conversation-update` that tells of a picture.
pub(super) fn update(owner: &Owner, conversation: &str, kind: &str, content: &Value) -> Push {
    let payload =
        json!({"conversation_id": conversation, "update_type": kind, "update_content": content});
    Push {
        account: owner.account.clone(),
        topic: "conversations".to_owned(),
        offset: 0,
        payload: json!({"type": "conversation-update", "payload": payload}),
        is_sent: false,
    }
}
