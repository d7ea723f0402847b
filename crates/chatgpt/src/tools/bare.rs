//! Calls without an element: JSON objects in the text of an answer.

use serde_json::{Map, Value, json};

use super::call::{self, Call};
use super::declared::{Function, Functions};

/// How many objects of one answer are tried.
const MAX_OBJECTS: usize = 64;

const SHELLS: [&str; 8] = [
    "bash",
    "shell",
    "run_command",
    "execute_command",
    "terminal",
    "powershell",
    "run",
    "command",
];

/// The text before the first bare call, and all of them; `None` when there is none.
pub(super) fn find(answer: &str, functions: &Functions) -> Option<(String, Vec<Call>)> {
    let mut calls: Vec<Call> = Vec::new();
    let mut before = None;
    let mut rest = answer;
    for _ in 0..MAX_OBJECTS {
        let Some(start) = rest.find('{') else { break };
        let Some(object) = call::object(rest) else {
            break;
        };
        let parsed: Option<Map<String, Value>> = call::lenient(object);
        let found = parsed.and_then(|map| read(map, functions));
        if let Some(call) = found {
            let done = answer.len() - rest.len() + start;
            before = before.or(answer.get(..done));
            if !calls.contains(&call) {
                calls.push(call);
            }
        }
        rest = rest.get(start + object.len()..).unwrap_or_default();
    }
    let text = before?.trim_end();
    let text = text
        .strip_suffix("```json")
        .or_else(|| text.strip_suffix("```"))
        .unwrap_or(text);
    Some((text.trim_end().to_owned(), calls))
}

fn read(map: Map<String, Value>, functions: &Functions) -> Option<Call> {
    let names_itself = ["arguments", "parameters", "args"]
        .iter()
        .any(|key| map.contains_key(*key));
    if names_itself {
        return call::declared(map, functions);
    }
    let command = shell_command(&map)?;
    let (function, parameter) = functions.iter().find_map(shell)?;
    Some(Call {
        name: function.name.clone(),
        arguments: json!({ parameter: command }).to_string(),
    })
}

/// A declared function that looks like a shell, with its command parameter.
fn shell(function: &Function) -> Option<(&Function, &str)> {
    let name = function.name.to_lowercase();
    let is_shell = SHELLS.contains(&name.as_str());
    let mut parameters = function.parameters();
    let command =
        parameters.find(|(name, _, _)| matches!(*name, "command" | "cmd" | "script" | "input"));
    is_shell.then_some((function, command?.0))
}

/// The command of `{"cmd": ["bash", "-lc", "ls"]}` or `{"command": "ls"}`, without the shell around it.
fn shell_command(map: &Map<String, Value>) -> Option<String> {
    let value = map.get("cmd").or_else(|| map.get("command"))?;
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(words) => {
            let words: Vec<&str> = words.iter().map(Value::as_str).collect::<Option<_>>()?;
            match words.as_slice() {
                [_, "-c" | "-lc" | "-Command", command] => Some((*command).to_owned()),
                [] => None,
                words => Some(words.join(" ")),
            }
        }
        _ => None,
    }
}
