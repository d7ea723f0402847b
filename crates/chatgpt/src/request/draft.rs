//! Canonical messages to the service's, before uploads.

use aurora_openai::chat::{ChatRequest, Message};
use serde_json::{Value, json};

use super::content::{self, Invalid, Reference};
use super::{Attachment, lines};

/// Authors that a request may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Instructions.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool of the client.
    Tool,
}

impl Role {
    /// The service's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// A message before its uploads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub text: String,
    /// Pictures and files to upload or to look up.
    pub references: Vec<Reference>,
}

/// Under whose name results of the client's tools go to the service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ToolResults {
    /// As a tool, which the service takes from clients.
    #[default]
    Tool,
    /// As the user, should it refuse them.
    User,
}

/// What the gateway adds to a conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turn {
    /// First paragraph of the leading system message: the tools, where there are any.
    pub instructions: Option<String>,
    /// Last paragraph of the last user or tool message.
    pub reminder: Option<String>,
    /// Under whose name tool results go.
    pub tool_results: ToolResults,
}

/// Converts a conversation: one leading system message, then the others in their order.
///
/// The leading message gathers the gateway's instructions, the lines for `response_format`, `stop` and the token limit,
/// and the client's system and developer messages, with blank lines between them.
///
/// # Errors
/// [`Invalid`] names the message or part that cannot be converted.
pub fn drafts(request: &ChatRequest, turn: &Turn) -> Result<Vec<Draft>, Invalid> {
    if request.messages.is_empty() {
        return Err(Invalid::NoMessages);
    }
    let mut leading: Vec<String> = turn.instructions.iter().cloned().collect();
    leading.extend(lines::asked(&request.rest));
    let mut drafts: Vec<Draft> = Vec::new();
    for (index, message) in request.messages.iter().enumerate() {
        let (text, references) = content::read(index, &message.content)?;
        let role = match message.role.as_str() {
            "system" | "developer" => {
                leading.push(text);
                continue;
            }
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" | "function" if turn.tool_results == ToolResults::User => Role::User,
            "tool" | "function" => Role::Tool,
            role => {
                let role = role.to_owned();
                return Err(Invalid::Role { index, role });
            }
        };
        let text = match message.role.as_str() {
            "assistant" => with_calls(text, message),
            "tool" | "function" => result(&text, message, &request.messages),
            _ => text,
        };
        let mut draft = Draft {
            role,
            text,
            references,
        };
        attach(message, &mut draft.references);
        drafts.push(draft);
    }
    let mut asking = drafts.iter_mut().rev();
    if let (Some(reminder), Some(last)) = (
        &turn.reminder,
        asking.find(|draft| draft.role != Role::Assistant),
    ) {
        last.text = join([last.text.as_str(), reminder.as_str()]);
    }
    let leading = join(leading.iter().map(String::as_str));
    if !leading.is_empty() {
        drafts.insert(
            0,
            Draft {
                role: Role::System,
                text: leading,
                references: Vec::new(),
            },
        );
    }
    Ok(drafts)
}

impl Draft {
    /// The service's message, with the uploads in place of the references.
    ///
    /// `create_time` is in seconds; `hints` repeats the request's `system_hints`. Pictures come first, the text last.
    pub fn message(
        &self,
        id: &str,
        create_time: f64,
        uploads: &[Attachment],
        hints: &[&str],
    ) -> Value {
        let pictures = uploads.iter().filter(|upload| upload.is_picture());
        let mut parts: Vec<Value> = pictures.map(Attachment::pointer).collect();
        let content_type = if parts.is_empty() {
            "text"
        } else {
            "multimodal_text"
        };
        parts.push(self.text.as_str().into());
        let mut metadata = json!({
            "developer_mode_connector_ids": [],
            "selected_sources": [],
            "selected_github_repos": [],
            "selected_all_github_repos": false,
            "serialization_metadata": {"custom_symbol_offsets": []},
        });
        if let Some(metadata) = metadata.as_object_mut() {
            if !uploads.is_empty() {
                let entries: Vec<Value> = uploads.iter().map(Attachment::entry).collect();
                metadata.insert("attachments".to_owned(), entries.into());
            }
            if !hints.is_empty() && self.role == Role::User {
                metadata.insert("system_hints".to_owned(), hints.into());
            }
        }
        json!({
            "id": id,
            "author": {"role": self.role.as_str()},
            "create_time": create_time,
            "content": {"content_type": content_type, "parts": parts},
            "metadata": metadata,
        })
    }
}

fn join<'a>(paragraphs: impl IntoIterator<Item = &'a str>) -> String {
    let full = paragraphs
        .into_iter()
        .filter(|text| !text.trim().is_empty());
    full.collect::<Vec<_>>().join("\n\n")
}

/// The text, then a line for each call, as the model is asked to write them.
fn with_calls(text: String, message: &Message) -> String {
    let calls = message.tool_calls.iter().map(|call| {
        let function = &call.function;
        let arguments = serde_json::from_str(&function.arguments);
        let arguments: Value = arguments.unwrap_or_else(|_| function.arguments.clone().into());
        let call = json!({"name": function.name, "arguments": arguments});
        format!("<tool_call>{call}</tool_call>")
    });
    let lines = Some(text)
        .filter(|text| !text.is_empty())
        .into_iter()
        .chain(calls);
    lines.collect::<Vec<_>>().join("\n")
}

fn result(text: &str, message: &Message, all: &[Message]) -> String {
    let id = message.tool_call_id.as_deref();
    let named = message.rest.get("name").and_then(Value::as_str);
    let called = || {
        let mut calls = all.iter().flat_map(|message| &message.tool_calls);
        let call = calls.find(|call| Some(call.id.as_str()) == id)?;
        Some(call.function.name.as_str())
    };
    match named.or_else(called) {
        Some(name) => format!("Result of the tool `{name}`:\n{text}"),
        None => format!("Result of a tool:\n{text}"),
    }
}

fn attach(message: &Message, references: &mut Vec<Reference>) {
    let attachments = message.rest.get("attachments").and_then(Value::as_array);
    for attachment in attachments.map(Vec::as_slice).unwrap_or_default() {
        if let Some(reference) = attachment.as_object().and_then(content::file) {
            content::add(references, reference);
        }
    }
}

#[cfg(test)]
mod tests;
