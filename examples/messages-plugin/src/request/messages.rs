//! The messages of a conversation, and the blocks that they are made of.

use aurora_openai::chat::{FunctionCall, Message, ToolCall};
use aurora_sdk::Error;
use serde_json::{Value, json};

use crate::at::At;

/// Between blocks of text that become one text.
const BETWEEN: &str = "\n\n";

/// Translates a message, which may become several.
pub(super) fn read(message: &At<'_>, all: &mut Vec<Message>) -> Result<(), Error> {
    let role = message.get("role")?;
    let content = message.get("content")?;
    match role.text()? {
        "user" => user(&content, all)?,
        "assistant" => all.push(assistant(&content)?),
        "system" => all.push(system(&content)?),
        _ => return Err(role.refused("must be `user` or `assistant`")),
    }
    Ok(())
}

pub(super) fn system(content: &At<'_>) -> Result<Message, Error> {
    let mut texts = Vec::new();
    for block in blocks(content)? {
        match block {
            Block::Text(text) => texts.push(text),
            other => return Err(other.misplaced(content)),
        }
    }
    Ok(of("system", texts.join(BETWEEN).into()))
}

fn of(role: &str, content: Value) -> Message {
    Message {
        role: role.to_owned(),
        content,
        ..Message::default()
    }
}

/// What tools said comes first, since it must follow the calls; chats have no pictures in it, so they come after.
fn user(content: &At<'_>, all: &mut Vec<Message>) -> Result<(), Error> {
    let mut parts = Vec::new();
    let mut has_results = false;
    for block in blocks(content)? {
        match block {
            Block::Text(text) => parts.push(Part::Text(text)),
            Block::Image(url) => parts.push(Part::Image(url)),
            Block::Result(result, images) => {
                has_results = true;
                all.push(result);
                parts.extend(images.into_iter().map(Part::Image));
            }
            other => return Err(other.misplaced(content)),
        }
    }
    if !(has_results && parts.is_empty()) {
        all.push(of("user", joined(parts)));
    }
    Ok(())
}

enum Part {
    Text(String),
    Image(String),
}

/// One text where there is nothing else, which all upstreams take; otherwise a list of parts.
fn joined(parts: Vec<Part>) -> Value {
    let texts: Option<Vec<&str>> = parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Image(_) => None,
        })
        .collect();
    if let Some(texts) = texts {
        return texts.join(BETWEEN).into();
    }
    let parts = parts.into_iter().map(|part| match part {
        Part::Text(text) => json!({ "type": "text", "text": text }),
        Part::Image(url) => json!({ "type": "image_url", "image_url": { "url": url } }),
    });
    parts.collect()
}

fn assistant(content: &At<'_>) -> Result<Message, Error> {
    let (mut texts, mut tool_calls) = (Vec::new(), Vec::new());
    for block in blocks(content)? {
        match block {
            Block::Text(text) => texts.push(text),
            Block::Call(call) => tool_calls.push(call),
            // What another model thought is no use to this one.
            Block::Thought => {}
            other => return Err(other.misplaced(content)),
        }
    }
    let content = if texts.is_empty() && !tool_calls.is_empty() {
        Value::Null
    } else {
        texts.join(BETWEEN).into()
    };
    Ok(Message {
        tool_calls,
        ..of("assistant", content)
    })
}

/// A block, translated as far as it can be without its neighbours.
enum Block {
    Text(String),
    /// Where it is, or itself as a `data:` URL.
    Image(String),
    Call(ToolCall),
    /// And the pictures in it.
    Result(Message, Vec<String>),
    Thought,
}

impl Block {
    fn misplaced(&self, content: &At<'_>) -> Error {
        let what = match self {
            Self::Text(_) => "text",
            Self::Image(_) => "pictures",
            Self::Call(_) => "calls of tools",
            Self::Result(..) => "results of tools",
            Self::Thought => "thoughts",
        };
        content.refused(&format!("a message of this role has no {what}"))
    }
}

/// The blocks of `content`, which may be a mere text.
fn blocks(content: &At<'_>) -> Result<Vec<Block>, Error> {
    if let Value::String(text) = content.value() {
        return Ok(vec![Block::Text(text.clone())]);
    }
    content.items()?.map(|block| read_block(&block)).collect()
}

fn read_block(block: &At<'_>) -> Result<Block, Error> {
    let kind = block.get("type")?;
    Ok(match kind.text()? {
        "text" => Block::Text(block.get("text")?.text()?.to_owned()),
        "image" => Block::Image(image(&block.get("source")?)?),
        "tool_use" => Block::Call(call(block)?),
        "tool_result" => result(block)?,
        "thinking" | "redacted_thinking" => Block::Thought,
        other => return Err(kind.refused(&format!("blocks of type `{other}` are not taken here"))),
    })
}

fn image(source: &At<'_>) -> Result<String, Error> {
    let kind = source.get("type")?;
    match kind.text()? {
        "url" => Ok(source.get("url")?.name()?.to_owned()),
        "base64" => {
            let media_type = source.get("media_type")?.name()?;
            let data = source.get("data")?.name()?;
            Ok(format!("data:{media_type};base64,{data}"))
        }
        _ => Err(kind.refused("must be `base64` or `url`")),
    }
}

fn call(block: &At<'_>) -> Result<ToolCall, Error> {
    let input = block.get("input")?;
    input.object()?;
    Ok(ToolCall {
        id: block.get("id")?.name()?.to_owned(),
        kind: "function".to_owned(),
        function: FunctionCall {
            name: block.get("name")?.name()?.to_owned(),
            arguments: input.value().to_string(),
        },
    })
}

fn result(block: &At<'_>) -> Result<Block, Error> {
    let id = block.get("tool_use_id")?.name()?.to_owned();
    let (mut texts, mut images) = (Vec::new(), Vec::new());
    if let Some(content) = block.find("content")? {
        for inner in blocks(&content)? {
            match inner {
                Block::Text(text) => texts.push(text),
                Block::Image(url) => images.push(url),
                other => return Err(other.misplaced(&content)),
            }
        }
    }
    let has_failed = match block.find("is_error")? {
        Some(is_error) => is_error.truth()?,
        None => false,
    };
    let mut text = texts.join(BETWEEN);
    if has_failed {
        // Chats have no other place for it.
        text.insert_str(0, "The tool failed. ");
    }
    let message = Message {
        tool_call_id: Some(id),
        ..of("tool", text.into())
    };
    Ok(Block::Result(message, images))
}
