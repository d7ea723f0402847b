//! Responses items as the messages of a chat conversation.
//!
//! - `developer` becomes `system`: many upstreams refuse the word, and those that prefer it take the other one too.
//! - Calls that stand together become one assistant message, together with the text before them, as the chat API
//!   demands; outputs become tool messages.
//! - Pictures and files in a tool's output move into a user message behind the run of outputs: a tool message may
//!   hold text only.
//! - Reasoning items are left out: strict upstreams refuse an unknown `reasoning_content`, and none needs it.
//! - Traces of built-in tools are left out and reported.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Value, json};

use super::item::kind;
use super::part;
use super::refusal::Refusal;
use crate::chat::{FunctionCall, Message, ToolCall};

/// A conversation that grows item by item.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    messages: Vec<Message>,
    /// Calls so far: an output must answer one of them.
    calls: HashSet<String>,
    /// What tools gave beside text, waiting for the end of the outputs.
    attachments: Vec<Value>,
    left_out: BTreeSet<String>,
}

impl Conversation {
    /// A message of the system's.
    pub(super) fn instruct(&mut self, text: &str) {
        self.messages.push(message("system", text.into()));
    }

    /// Adds `item`; `at` names it in refusals.
    pub(super) fn push(&mut self, item: &Value, at: &str) -> Result<(), Refusal> {
        let kind = kind(item).unwrap_or("item_reference");
        if !matches!(
            kind,
            "function_call_output" | "custom_tool_call_output" | "reasoning"
        ) {
            self.attach();
        }
        match kind {
            "message" => self.message(item, at),
            "function_call" => {
                let arguments = match item.get("arguments") {
                    Some(Value::String(arguments)) => arguments.clone(),
                    Some(arguments @ Value::Object(_)) => arguments.to_string(),
                    _ => return Err(Refusal::missing(format!("{at}.arguments"))),
                };
                self.call(item, at, arguments)
            }
            "custom_tool_call" => {
                let arguments = json!({ "input": required(item, at, "input")? });
                self.call(item, at, arguments.to_string())
            }
            "function_call_output" | "custom_tool_call_output" => self.output(item, at),
            "reasoning" => Ok(()),
            "item_reference" => Err(Refusal::new(
                "item_not_found",
                format!("{at}.id"),
                "no stored item has this id; send the item itself",
            )),
            other if is_foreign(other) => {
                self.left_out.insert(other.to_owned());
                Ok(())
            }
            other => Err(Refusal::new(
                "invalid_value",
                format!("{at}.type"),
                format!("items of type '{other}' are not known"),
            )),
        }
    }

    /// The messages, and the kinds of items that were left out.
    pub(super) fn finish(mut self) -> (Vec<Message>, BTreeSet<String>) {
        self.attach();
        (self.messages, self.left_out)
    }

    fn message(&mut self, item: &Value, at: &str) -> Result<(), Refusal> {
        let parts = match item.get("content") {
            Some(Value::Array(parts)) => parts.as_slice(),
            _ => return Err(Refusal::missing(format!("{at}.content"))),
        };
        match item.get("role").and_then(Value::as_str) {
            Some("assistant") => self.assistant(parts, at),
            Some(role @ ("user" | "system" | "developer")) => {
                let role = if role == "user" { "user" } else { "system" };
                let content = content(parts, &format!("{at}.content"))?;
                self.messages.push(message(role, content));
                Ok(())
            }
            _ => Err(Refusal::new(
                "invalid_value",
                format!("{at}.role"),
                "the role of a message is user, assistant, system or developer",
            )),
        }
    }

    fn assistant(&mut self, parts: &[Value], at: &str) -> Result<(), Refusal> {
        let mut text = String::new();
        let mut refusal = String::new();
        for (index, part) in parts.iter().enumerate() {
            if let Some(more) = part::text(part) {
                text.push_str(more);
            } else if let Some(more) = part.get("refusal").and_then(Value::as_str) {
                refusal.push_str(more);
            } else {
                let param = format!("{at}.content[{index}].type");
                let message = "a message of the assistant has output_text and refusal parts";
                return Err(Refusal::new("invalid_value", param, message));
            }
        }
        let content = if text.is_empty() && !refusal.is_empty() {
            Value::Null
        } else {
            text.into()
        };
        // Text behind calls that are not answered yet must not part them from their outputs.
        let mut said = match self.messages.pop() {
            Some(last) if !last.tool_calls.is_empty() && last.content.is_null() => last,
            last => {
                self.messages.extend(last);
                message("assistant", Value::Null)
            }
        };
        said.content = content;
        if !refusal.is_empty() {
            said.rest.insert("refusal".to_owned(), refusal.into());
        }
        self.messages.push(said);
        Ok(())
    }

    fn call(&mut self, item: &Value, at: &str, arguments: String) -> Result<(), Refusal> {
        let call = ToolCall {
            id: required(item, at, "call_id")?.to_owned(),
            kind: "function".to_owned(),
            function: FunctionCall {
                name: required(item, at, "name")?.to_owned(),
                arguments,
            },
        };
        self.calls.insert(call.id.clone());
        match self.messages.last_mut() {
            Some(last) if last.role == "assistant" => last.tool_calls.push(call),
            _ => {
                let mut calling = message("assistant", Value::Null);
                calling.tool_calls.push(call);
                self.messages.push(calling);
            }
        }
        Ok(())
    }

    fn output(&mut self, item: &Value, at: &str) -> Result<(), Refusal> {
        let id = required(item, at, "call_id")?;
        if !self.calls.contains(id) {
            let message = format!("no tool call found for the output with call_id '{id}'");
            return Err(Refusal::new(
                "invalid_value",
                format!("{at}.call_id"),
                message,
            ));
        }
        let text = match item.get("output") {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => self.output_parts(parts, at)?,
            _ => return Err(Refusal::missing(format!("{at}.output"))),
        };
        let mut answer = message("tool", text.into());
        answer.tool_call_id = Some(id.to_owned());
        self.messages.push(answer);
        Ok(())
    }

    fn output_parts(&mut self, parts: &[Value], at: &str) -> Result<String, Refusal> {
        let mut texts = Vec::new();
        let mut attached = 0_usize;
        for (index, part) in parts.iter().enumerate() {
            if let Some(text) = part::text(part) {
                texts.push(text);
            } else {
                let part = part::to_chat(part, &format!("{at}.output[{index}]"))?;
                self.attachments.push(part);
                attached += 1;
            }
        }
        if texts.is_empty() && attached > 0 {
            return Ok("(the output follows as an attachment)".to_owned());
        }
        Ok(texts.join("\n"))
    }

    fn attach(&mut self) {
        if !self.attachments.is_empty() {
            let parts = std::mem::take(&mut self.attachments);
            self.messages.push(message("user", Value::Array(parts)));
        }
    }
}

fn message(role: &str, content: Value) -> Message {
    Message {
        role: role.to_owned(),
        content,
        ..Message::default()
    }
}

/// One text as a string, which every upstream takes; else the parts.
fn content(parts: &[Value], at: &str) -> Result<Value, Refusal> {
    if let [only] = parts
        && let Some(text) = part::text(only)
    {
        return Ok(text.into());
    }
    parts
        .iter()
        .enumerate()
        .map(|(index, part)| part::to_chat(part, &format!("{at}[{index}]")))
        .collect()
}

/// Items that only servers with tools of their own understand.
fn is_foreign(kind: &str) -> bool {
    const PREFIXES: [&str; 5] = [
        "mcp_",
        "tool_search_",
        "compaction",
        "program",
        "additional_",
    ];
    kind.ends_with("_call")
        || kind.ends_with("_call_output")
        || PREFIXES.iter().any(|prefix| kind.starts_with(prefix))
}

fn required<'a>(item: &'a Value, at: &str, name: &str) -> Result<&'a str, Refusal> {
    item.get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| Refusal::missing(format!("{at}.{name}")))
}

#[cfg(test)]
mod tests;
