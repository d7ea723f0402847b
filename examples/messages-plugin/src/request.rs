//! A request of the Messages API as a chat request.

mod messages;
mod tools;

use aurora_openai::chat::{ChatRequest, Message};
use aurora_sdk::Error;
use serde_json::{Map, Value};

use crate::at::At;

/// The members that are translated, and those that say nothing to other models.
const KNOWN: [&str; 13] = [
    "model",
    "max_tokens",
    "system",
    "messages",
    "tools",
    "tool_choice",
    "temperature",
    "top_p",
    "stop_sequences",
    "stream",
    "metadata",
    "service_tier",
    "cache_control",
];

/// What a client asks for.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The turn.
    pub(crate) chat: ChatRequest,
    /// Whether it wants events.
    pub(crate) stream: bool,
    /// Where the model is to stop.
    pub(crate) stop_sequences: Vec<String>,
    /// Members that have no counterpart.
    pub(crate) left_out: Vec<String>,
}

/// Reads `body`.
///
/// # Errors
/// The field at fault.
pub(crate) fn read(body: &Value) -> Result<Asked, Error> {
    let root = At::root(body);
    let model = root.get("model")?.name()?.to_owned();
    let mut rest = Map::new();
    let max_tokens = root.get("max_tokens")?.count()?;
    rest.insert("max_tokens".to_owned(), max_tokens.into());
    for name in ["temperature", "top_p"] {
        if let Some(number) = root.find(name)? {
            rest.insert(name.to_owned(), number.number()?.clone().into());
        }
    }
    let stop_sequences = stop_sequences(&root)?;
    if !stop_sequences.is_empty() {
        rest.insert("stop".to_owned(), stop_sequences.clone().into());
    }
    if let Some(user) = user(&root)? {
        rest.insert("user".to_owned(), user.into());
    }
    let tools = tools::read(&root)?;
    if !tools.is_empty() {
        rest.extend(tools::choice(&root)?);
    }
    let chat = ChatRequest {
        model,
        messages: conversation(&root)?,
        tools,
        rest,
    };
    Ok(Asked {
        chat,
        stream: match root.find("stream")? {
            Some(stream) => stream.truth()?,
            None => false,
        },
        stop_sequences,
        left_out: left_out(&root)?,
    })
}

fn conversation(root: &At<'_>) -> Result<Vec<Message>, Error> {
    let mut all = Vec::new();
    if let Some(system) = root.find("system")? {
        all.push(messages::system(&system)?);
    }
    let list = root.get("messages")?;
    let before = all.len();
    for message in list.items()? {
        messages::read(&message, &mut all)?;
    }
    if all.len() == before {
        return Err(list.refused("must have a message"));
    }
    Ok(all)
}

fn stop_sequences(root: &At<'_>) -> Result<Vec<String>, Error> {
    let Some(list) = root.find("stop_sequences")? else {
        return Ok(Vec::new());
    };
    list.items()?
        .map(|sequence| Ok(sequence.name()?.to_owned()))
        .collect()
}

fn user(root: &At<'_>) -> Result<Option<String>, Error> {
    let Some(metadata) = root.find("metadata")? else {
        return Ok(None);
    };
    let user = metadata.find("user_id")?;
    user.map(|user| Ok(user.text()?.to_owned())).transpose()
}

fn left_out(root: &At<'_>) -> Result<Vec<String>, Error> {
    let members = root.object()?.iter();
    let said = members.filter(|(name, value)| !value.is_null() && !KNOWN.contains(&name.as_str()));
    Ok(said.map(|(name, _)| name.clone()).collect())
}
