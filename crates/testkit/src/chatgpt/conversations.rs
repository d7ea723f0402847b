//! Conversations as the service stores them.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::answer::{Outcome, Plain};
use super::auth::{Caller, Owner};
use super::record::Recorded;
use super::world::{World, now};

/// The parent of a conversation's first message.
pub(super) const ROOT: &str = "client-created-root";

/// Messages that come after a while.
#[derive(Debug, Clone)]
pub(super) struct Later {
    /// So many looks do not show them.
    pub(super) polls: usize,
    pub(super) messages: Vec<Value>,
    pub(super) async_status: Option<u64>,
}

/// One conversation.
#[derive(Debug, Clone)]
pub(super) struct Conversation {
    pub(super) id: String,
    pub(super) owner: Owner,
    pub(super) is_temporary: bool,
    pub(super) is_visible: bool,
    pub(super) title: String,
    pub(super) async_status: Option<u64>,
    pub(super) model: String,
    created: f64,
    updated: f64,
    /// Id, parent and message, in the order they came.
    nodes: Vec<(String, String, Value)>,
    current: String,
    pub(super) later: Option<Later>,
}

impl Conversation {
    pub(super) fn new(id: &str, owner: &Owner) -> Self {
        Self {
            id: id.to_owned(),
            owner: owner.clone(),
            is_temporary: false,
            is_visible: true,
            title: "New chat".to_owned(),
            async_status: None,
            model: "auto".to_owned(),
            created: now(),
            updated: now(),
            nodes: Vec::new(),
            current: ROOT.to_owned(),
            later: None,
        }
    }

    pub(super) fn message(&self, id: &str) -> Option<&Value> {
        let node = self.nodes.iter().find(|(node, ..)| node == id)?;
        Some(&node.2)
    }

    pub(super) fn knows(&self, node: &str) -> bool {
        node == ROOT || self.message(node).is_some()
    }

    /// Goes back to a message, for what is said next.
    pub(super) fn go_to(&mut self, node: &str) {
        node.clone_into(&mut self.current);
    }

    /// Adds a message after the current one, or replaces the one of its id.
    pub(super) fn add(&mut self, message: &Value) {
        let id = message["id"].as_str().unwrap_or_default();
        if id.is_empty() {
            return;
        }
        self.updated = now();
        if let Some(node) = self.nodes.iter_mut().find(|(node, ..)| node == id) {
            node.2.clone_from(message);
        } else {
            let parent = std::mem::replace(&mut self.current, id.to_owned());
            self.nodes.push((id.to_owned(), parent, message.clone()));
        }
    }

    /// Adds what was to come later.
    pub(super) fn arrive(&mut self) {
        if let Some(later) = self.later.take() {
            self.async_status = later.async_status.or(self.async_status);
            for message in &later.messages {
                self.add(message);
            }
        }
    }

    /// The text that a user said last.
    pub(super) fn last_user_text(&self) -> String {
        let mut messages = self.nodes.iter().rev().map(|(.., message)| message);
        messages
            .find(|message| message["author"]["role"] == "user")
            .map(text_of)
            .unwrap_or_default()
    }

    /// As `GET /conversation/{id}` gives it.
    pub(super) fn to_json(&self) -> Value {
        let mut mapping = Map::new();
        let children = |id: &str| -> Vec<&str> {
            let nodes = self.nodes.iter().filter(|(_, parent, _)| parent == id);
            nodes.map(|(node, ..)| node.as_str()).collect()
        };
        mapping.insert(
            ROOT.to_owned(),
            json!({"id": ROOT, "message": null, "parent": null, "children": children(ROOT)}),
        );
        for (id, parent, message) in &self.nodes {
            let node =
                json!({"id": id, "message": message, "parent": parent, "children": children(id)});
            mapping.insert(id.clone(), node);
        }
        json!({
            "title": self.title, "create_time": self.created, "update_time": self.updated,
            "conversation_id": self.id, "current_node": self.current, "default_model_slug": self.model,
            "async_status": self.async_status, "conversation_async_status": null,
            "is_archived": false, "moderation_results": [], "safe_urls": [], "mapping": mapping,
        })
    }
}

/// The strings of a message, joined.
pub(super) fn text_of(message: &Value) -> String {
    let parts = message["content"]["parts"].as_array();
    let parts = parts.map(Vec::as_slice).unwrap_or_default();
    parts.iter().filter_map(Value::as_str).collect()
}

/// All conversations.
#[derive(Debug, Default)]
pub(super) struct Conversations {
    pub(super) by_id: HashMap<String, Conversation>,
    pub(super) order: Vec<String>,
}

impl Conversations {
    /// The conversation, made where there is none.
    pub(super) fn open(&mut self, id: &str, owner: &Owner) -> &mut Conversation {
        if !self.by_id.contains_key(id) {
            self.order.push(id.to_owned());
        }
        self.by_id
            .entry(id.to_owned())
            .or_insert_with(|| Conversation::new(id, owner))
    }

    /// The conversation, if it is this owner's and not hidden.
    pub(super) fn of(&mut self, owner: &Owner, id: &str) -> Result<&mut Conversation, Plain> {
        self.by_id
            .get_mut(id)
            .filter(|conversation| conversation.owner == *owner && conversation.is_visible)
            .ok_or_else(unknown)
    }

    /// The same, if it is kept too.
    pub(super) fn saved(&mut self, owner: &Owner, id: &str) -> Result<&mut Conversation, Plain> {
        let conversation = self.of(owner, id)?;
        if conversation.is_temporary {
            return Err(unknown());
        }
        Ok(conversation)
    }
}

/// `GET /conversation/{id}`.
pub(super) fn read(world: &mut World, caller: &Caller, id: &str) -> Outcome {
    let conversation = world.conversations.saved(&caller.owner, id)?;
    match &mut conversation.later {
        Some(later) if later.polls > 0 => {
            if later.polls != usize::MAX {
                later.polls -= 1;
            }
        }
        _ => conversation.arrive(),
    }
    Ok(Plain::ok(&conversation.to_json()))
}

/// `PATCH /conversation/{id}`: hides or renames it.
pub(super) fn change(world: &mut World, caller: &Caller, id: &str, request: &Recorded) -> Outcome {
    let body = request.json();
    let conversation = world.conversations.of(&caller.owner, id)?;
    let (visible, title) = (body["is_visible"].as_bool(), body["title"].as_str());
    if visible.is_none() && title.is_none() {
        return Err(Plain::sentence(422, "Nothing to change."));
    }
    if let Some(visible) = visible {
        conversation.is_visible = visible;
    }
    if let Some(title) = title {
        title.clone_into(&mut conversation.title);
    }
    Ok(Plain::ok(&json!({"success": true})))
}

/// `GET /conversations`.
pub(super) fn list(world: &World, caller: &Caller, request: &Recorded) -> Plain {
    let number = |name: &str, default: usize| {
        let value = request.parameter(name);
        value.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (offset, limit) = (number("offset", 0), number("limit", 28));
    let conversations = &world.conversations;
    let mine: Vec<&Conversation> = conversations
        .order
        .iter()
        .rev()
        .filter_map(|id| conversations.by_id.get(id))
        .filter(|one| one.owner == caller.owner && one.is_visible && !one.is_temporary)
        .collect();
    let items: Vec<Value> = mine
        .iter()
        .skip(offset)
        .take(limit)
        .map(|one| json!({"id": one.id, "title": one.title, "create_time": one.created, "update_time": one.updated}))
        .collect();
    Plain::ok(&json!({
        "items": items, "total": mine.len(), "limit": limit, "offset": offset,
    }))
}

/// `GET /conversation/{id}/stream_status`.
pub(super) fn stream_status(world: &mut World, caller: &Caller, id: &str) -> Outcome {
    let conversation = world.conversations.of(&caller.owner, id)?;
    let status = if conversation.later.is_some() {
        "IS_STREAMING"
    } else {
        "COMPLETE"
    };
    Ok(Plain::ok(&json!({ "status": status })))
}

pub(super) fn unknown() -> Plain {
    Plain::detail(404, "conversation_not_found", "conversation_not_found")
}
