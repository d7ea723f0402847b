//! What the fake says when no test told it what to say.

use serde_json::{Map, Value, json};

use super::conversations::text_of;
use super::validate::{Ask, files_of};

/// An answer that names what was asked; a call of the first declared function where the user asks for the weather.
pub(super) fn answer(ask: &Ask, documents_pending: usize) -> String {
    if ask.is_continuation {
        return " This goes on.".to_owned();
    }
    let role = |message: &Value| message["author"]["role"].as_str().map(str::to_owned);
    let last = ask
        .messages
        .iter()
        .rposition(|message| role(message).as_deref() == Some("user"));
    let Some(last) = last else {
        return "Hello! How can I help?".to_owned();
    };
    let question = said(&ask.messages[last]);
    let before = last.checked_sub(1).and_then(|at| ask.messages.get(at));
    let has_result = before.is_some_and(|message| {
        role(message).as_deref() == Some("assistant") && text_of(message).contains("<tool_call>")
    }) || ask
        .messages
        .last()
        .is_some_and(|message| role(message).as_deref() == Some("tool"));
    if !has_result
        && question.to_lowercase().contains("weather")
        && let Some(call) = ask
            .messages
            .iter()
            .filter(|message| role(message).as_deref() == Some("system"))
            .find_map(|message| call(&text_of(message)))
    {
        return format!("I look that up.\n<tool_call>{call}</tool_call>");
    }
    let attachments: usize = ask
        .messages
        .iter()
        .map(|message| {
            files_of(message).len().min(
                message["metadata"]["attachments"]
                    .as_array()
                    .map_or(0, Vec::len),
            )
        })
        .sum();
    let mut text = format!(
        "This is the fake service. You said: \"{question}\". Model {}, effort {}, {} messages, {attachments} attachments.",
        ask.model,
        ask.effort,
        ask.messages.len(),
    );
    if has_result {
        text.push_str(" The functions have answered.");
    }
    if documents_pending > 0 {
        text.push_str(" Not indexed yet: ");
        text.push_str(&documents_pending.to_string());
        text.push('.');
    }
    text
}

/// A message's text without the paragraphs that teach the convention for calls: repeated, they would be read as calls.
fn said(message: &Value) -> String {
    let text = text_of(message);
    let paragraphs: Vec<&str> = text
        .split("\n\n")
        .filter(|paragraph| !paragraph.contains("<tool_call"))
        .collect();
    paragraphs.join("\n\n")
}

/// A call of the first function that a system text lists as `- name: description`, with its parameters below.
fn call(system: &str) -> Option<Value> {
    if !system.contains("<tool_call>") {
        return None;
    }
    let mut lines = system.lines().skip_while(|line| !line.starts_with("- "));
    let name = lines.next()?.trim_start_matches("- ").split(':').next()?;
    let arguments: Map<String, Value> = lines
        .take_while(|line| line.starts_with("    "))
        .filter(|line| line.contains("required"))
        .filter_map(argument)
        .collect();
    Some(json!({"name": name.trim(), "arguments": arguments}))
}

/// A value for a parameter such as `city (string, required): ..`.
fn argument(line: &str) -> Option<(String, Value)> {
    let (name, rest) = line.trim().split_once(" (")?;
    let kind = rest.split(',').next()?;
    let value = match (kind, rest.split_once("One of: ")) {
        (_, Some((_, values))) => {
            let first = values.split([',', '.']).next()?;
            serde_json::from_str(first).ok()?
        }
        ("integer" | "number", None) => 1.into(),
        ("boolean", None) => true.into(),
        ("array", None) => json!([]),
        ("object", None) => json!({}),
        _ => "Paris".into(),
    };
    Some((name.to_owned(), value))
}
