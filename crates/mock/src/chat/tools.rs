//! When the mock calls functions, and which.
//!
//! - After a tool message at the end: never, it quotes the result instead, so that agents come to an end.
//! - `tool_choice` "none": never. A named function: that one.
//! - "auto" (the default): every function that the last user text names, at most eight, in the order of `tools`. It
//!   names `get_weather` with `get_weather`, "get weather" or a word of the name that has four letters or more
//!   ("weather"), whatever the case, in its first 20,000 characters. A text with the word "tool" or "function" calls the first one.
//! - "required": as "auto", and the first function where none is named.
//! - `parallel_tool_calls: false`: only the first of them.

use std::collections::HashSet;

use aurora_sdk::Error;
use serde_json::{Value, json};

use super::conversation::Conversation;
use super::schema;
use crate::fields::Fields;
use crate::refusal::{missing, wrong_type, wrong_value};
use crate::words::quote;

/// Calls of one answer at most.
const MAX_CALLS: usize = 8;

/// Functions offered at most, ten times what OpenAI takes, and characters searched for their names: both together
/// bound the search.
const MAX_FUNCTIONS: usize = 1280;
const MAX_SEARCHED: usize = 20_000;

/// One function call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    /// JSON text.
    pub(super) arguments: String,
}

impl Call {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "type": "function",
            "function": {"name": self.name, "arguments": self.arguments},
        })
    }
}

/// A function that may be called.
#[derive(Clone, Copy)]
struct Function<'a> {
    name: &'a str,
    parameters: Option<&'a Value>,
}

enum Choice<'a> {
    None,
    Auto,
    Required,
    Named(&'a str),
}

/// The calls that answer `conversation`, their ids still empty; none where it is answered with text.
pub(super) fn calls(fields: &Fields, conversation: &Conversation) -> Result<Vec<Call>, Error> {
    let functions = functions(fields)?;
    let choice = Choice::of(fields.get("tool_choice"))?;
    let one_only = fields.get("parallel_tool_calls") == Some(&Value::Bool(false));
    let text = conversation.last_user.as_deref().unwrap_or_default();
    let mut chosen: Vec<Function<'_>> = match choice {
        Choice::None => Vec::new(),
        Choice::Auto => asked_for(&functions, text),
        Choice::Required => {
            let mut chosen = asked_for(&functions, text);
            if chosen.is_empty() {
                chosen.extend(functions.first());
            }
            if chosen.is_empty() {
                return Err(wrong_value("tool_choice", "a choice that `tools` allows"));
            }
            chosen
        }
        Choice::Named(name) => {
            let function = functions.iter().find(|function| function.name == name);
            let expected = "the name of a function in `tools`";
            vec![*function.ok_or_else(|| wrong_value("tool_choice", expected))?]
        }
    };
    if !conversation.tool_results.is_empty() {
        return Ok(Vec::new());
    }
    chosen.truncate(if one_only { 1 } else { MAX_CALLS });
    Ok(chosen
        .into_iter()
        .map(|function| Call {
            id: String::new(),
            name: function.name.to_owned(),
            arguments: function
                .parameters
                .map_or(json!({}), schema::example)
                .to_string(),
        })
        .collect())
}

impl<'a> Choice<'a> {
    fn of(choice: Option<&'a Value>) -> Result<Self, Error> {
        let expected = "none, auto, required or a named function";
        match choice {
            None => Ok(Self::Auto),
            Some(Value::String(word)) => Self::of_word(word),
            Some(Value::Object(members)) => {
                if let Some(allowed) = members.get("allowed_tools") {
                    // Which of the tools are allowed is not looked at: the mode decides.
                    return Self::of_word(
                        allowed.get("mode").and_then(Value::as_str).unwrap_or(""),
                    );
                }
                members
                    .get("function")
                    .and_then(|function| function.get("name"))
                    .and_then(Value::as_str)
                    .map(Self::Named)
                    .ok_or_else(|| missing("tool_choice.function.name"))
            }
            Some(_) => Err(wrong_type("tool_choice", expected)),
        }
    }

    fn of_word(word: &str) -> Result<Self, Error> {
        match word {
            "none" => Ok(Self::None),
            "auto" => Ok(Self::Auto),
            "required" => Ok(Self::Required),
            _ => Err(wrong_value(
                "tool_choice",
                "none, auto, required or a named function",
            )),
        }
    }
}

/// The functions in `tools`; tools of other types cannot be called here.
fn functions(fields: &Fields) -> Result<Vec<Function<'_>>, Error> {
    let Some(tools) = fields.get("tools") else {
        return Ok(Vec::new());
    };
    let tools = tools
        .as_array()
        .ok_or_else(|| wrong_type("tools", "an array"))?;
    if tools.len() > MAX_FUNCTIONS {
        let expected = format!("at most {MAX_FUNCTIONS} tools");
        return Err(wrong_value("tools", &expected));
    }
    tools
        .iter()
        .enumerate()
        .filter_map(|(index, tool)| {
            let kind = tool.get("type").and_then(Value::as_str);
            (kind.is_none_or(|kind| kind == "function")).then(|| {
                let name = tool.pointer("/function/name").and_then(Value::as_str);
                Ok(Function {
                    name: name
                        .filter(|name| !name.is_empty())
                        .ok_or_else(|| missing(&format!("tools[{index}].function.name")))?,
                    parameters: tool.pointer("/function/parameters"),
                })
            })
        })
        .collect()
}

/// The functions that `text` names.
fn asked_for<'a>(functions: &[Function<'a>], text: &str) -> Vec<Function<'a>> {
    let text = quote(text, MAX_SEARCHED).to_lowercase();
    let said: HashSet<&str> = words(&text).collect();
    let mut chosen: Vec<Function<'a>> = functions
        .iter()
        .filter(|function| {
            let name = function.name.to_lowercase();
            text.contains(&name)
                || words(&name).any(|word| word.chars().count() >= 4 && said.contains(word))
                || text.contains(&words(&name).collect::<Vec<_>>().join(" "))
        })
        .copied()
        .take(MAX_CALLS)
        .collect();
    if chosen.is_empty() && (said.contains("tool") || said.contains("function")) {
        chosen.extend(functions.first());
    }
    chosen
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(request: &Value) -> Vec<String> {
        let fields = Fields::parse(request.to_string().as_bytes()).unwrap();
        let conversation = Conversation::of(&fields).unwrap();
        calls(&fields, &conversation)
            .unwrap()
            .into_iter()
            .map(|call| call.name)
            .collect()
    }

    fn request(text: &str, choice: &Value) -> Value {
        json!({
            "messages": [{"role": "user", "content": text}],
            "tools": [
                {"type": "function", "function": {"name": "get_time"}},
                {"type": "function", "function": {"name": "get_weather"}},
            ],
            "tool_choice": choice,
        })
    }

    #[test]
    fn a_text_calls_the_functions_that_it_names() {
        let auto = json!("auto");

        assert_eq!(
            chosen(&request("How is the WEATHER?", &auto)),
            ["get_weather"]
        );
        assert_eq!(chosen(&request("get time, please", &auto)), ["get_time"]);
        assert_eq!(chosen(&request("use a tool", &auto)), ["get_time"]);
        assert_eq!(
            chosen(&request("time and weather", &auto)),
            ["get_time", "get_weather"]
        );
        assert!(chosen(&request("whether or not", &auto)).is_empty());
    }

    #[test]
    fn a_choice_overrules_the_text() {
        let named = json!({"type": "function", "function": {"name": "get_weather"}});

        assert_eq!(chosen(&request("hi", &named)), ["get_weather"]);
        assert_eq!(chosen(&request("hi", &json!("required"))), ["get_time"]);
        assert!(chosen(&request("weather", &json!("none"))).is_empty());
    }

    #[test]
    fn a_tool_result_ends_the_calls() {
        let mut request = request("weather", &json!("required"));
        request["messages"]
            .as_array_mut()
            .unwrap()
            .push(json!({"role": "tool", "tool_call_id": "x", "content": "sunny"}));

        assert!(chosen(&request).is_empty());
    }
}
