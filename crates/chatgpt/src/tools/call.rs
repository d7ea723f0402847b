//! From the text of an element to a call.

use aurora_openai::chat::{FunctionCall, FunctionDelta, ToolCall, ToolCallDelta};
use serde_json::{Map, Value, json};

use super::declared::Functions;

/// A call of a declared function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The function, as it was declared.
    pub name: String,
    /// The arguments as JSON text.
    pub arguments: String,
}

impl Call {
    /// The call as chat completions give it; `id` is `call_` and 24 hex digits.
    pub fn into_tool_call(self, id: String) -> ToolCall {
        ToolCall {
            id,
            kind: "function".to_owned(),
            function: FunctionCall {
                name: self.name,
                arguments: self.arguments,
            },
        }
    }

    /// The call as streams give it: first who is called, then with what.
    pub fn into_deltas(self, index: u32, id: String) -> [ToolCallDelta; 2] {
        let delta = |id, name, arguments| ToolCallDelta {
            index,
            id,
            function: Some(FunctionDelta {
                name,
                arguments: Some(arguments),
            }),
        };
        [
            delta(Some(id), Some(self.name), String::new()),
            delta(None, None, self.arguments),
        ]
    }
}

/// The calls in an element: its first JSON object, or all of its list; `None` when one is not of a declared function.
pub(super) fn read(element: &str, functions: &Functions) -> Option<Vec<Call>> {
    let start = element.find(['{', '['])?;
    if element.get(start..)?.starts_with('[') {
        let end = element.rfind(']')?;
        let list: Vec<Map<String, Value>> = lenient(element.get(start..=end)?)?;
        return list
            .into_iter()
            .map(|call| declared(call, functions))
            .collect();
    }
    let object = object(element)?;
    Some(vec![declared(lenient(object)?, functions)?])
}

/// The first balanced JSON object of a text.
pub(super) fn object(text: &str) -> Option<&str> {
    let start = text.find('{')?;
    let mut scan = Scan::default();
    for (at, c) in text.get(start..)?.char_indices() {
        scan.step(c);
        if scan.depth == 0 {
            return text.get(start..=start + at);
        }
    }
    None
}

/// Where in JSON text one is.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Scan {
    pub(super) depth: u32,
    pub(super) in_string: bool,
    escaped: bool,
}

impl Scan {
    pub(super) fn step(&mut self, c: char) {
        match c {
            _ if self.escaped => self.escaped = false,
            '\\' if self.in_string => self.escaped = true,
            '"' if self.depth > 0 => self.in_string = !self.in_string,
            '{' if !self.in_string => self.depth += 1,
            '}' if !self.in_string => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// Parses JSON; if that fails, once more with stray backslashes doubled and raw control characters escaped.
pub(super) fn lenient<T: serde::de::DeserializeOwned>(json: &str) -> Option<T> {
    serde_json::from_str(json)
        .or_else(|_| serde_json::from_str(&mend(json)))
        .ok()
}

fn mend(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 8);
    let mut in_string = false;
    let mut rest = json.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                let next = rest.clone().next();
                let hex = rest
                    .clone()
                    .skip(1)
                    .take(4)
                    .filter(char::is_ascii_hexdigit)
                    .count();
                let is_escape = match next {
                    Some('u') => hex == 4,
                    Some(next) => matches!(next, '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't'),
                    None => false,
                };
                out.push('\\');
                if is_escape {
                    out.extend(rest.next());
                } else {
                    out.push('\\');
                }
                continue;
            }
            '"' => in_string = !in_string,
            '\n' if in_string => out.push_str("\\n"),
            '\r' if in_string => out.push_str("\\r"),
            '\t' if in_string => out.push_str("\\t"),
            _ => {}
        }
        if !(in_string && c.is_control()) {
            out.push(c);
        }
    }
    out
}

/// Name and arguments under any of the names that models use for them.
pub(super) fn declared(mut object: Map<String, Value>, functions: &Functions) -> Option<Call> {
    let (key, name) = ["name", "tool", "tool_name", "function"]
        .iter()
        .find_map(|key| {
            let value = object.get(*key)?;
            let name = value.as_str().or_else(|| value.get("name")?.as_str())?;
            Some((*key, name.to_owned()))
        })?;
    let function = functions.find(name.trim())?;
    let mut source = match object.remove(key) {
        Some(Value::Object(inner)) => inner,
        _ => Map::new(),
    };
    let given = ["arguments", "parameters", "args"].iter().find_map(|key| {
        let outer = object.remove(*key);
        outer.or_else(|| source.remove(*key))
    });
    let arguments = match given {
        Some(Value::String(text)) => match lenient::<Map<String, Value>>(&text) {
            Some(map) => map.into(),
            None if text.trim().is_empty() => json!({}),
            None => json!({ "command": text }),
        },
        Some(Value::Null) => json!({}),
        Some(arguments) => arguments,
        None => object.into(),
    };
    Some(Call {
        name: function.name.clone(),
        arguments: arguments.to_string(),
    })
}
