//! Tools and the choice among them.
//!
//! Function tools change their shape. Custom tools become functions with one string, `input`, and are translated back
//! in the answer. Built-in tools need a server that runs them, so they are left out, unless the client insists.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::item::kind;
use super::refusal::Refusal;

/// The tools of a chat request.
#[derive(Debug, Default)]
pub(super) struct Tools {
    pub(super) functions: Vec<Value>,
    /// Names of those that are custom tools.
    pub(super) custom: BTreeSet<String>,
    pub(super) choice: Option<Value>,
    /// Types of those that are left out.
    pub(super) left_out: BTreeSet<String>,
}

impl Tools {
    /// Translates `tools` and `choice`.
    pub(super) fn new(tools: &[Value], choice: Option<&Value>) -> Result<Self, Refusal> {
        let mut this = Self::default();
        for (index, tool) in tools.iter().enumerate() {
            let at = format!("tools[{index}]");
            match kind(tool) {
                Some("function") => this.functions.push(function(tool, &at)?),
                Some("custom") => {
                    this.custom.insert(name(tool, &at)?.to_owned());
                    this.functions.push(custom(tool, &at)?);
                }
                Some(other) => {
                    this.left_out.insert(other.to_owned());
                }
                None => return Err(Refusal::missing(format!("{at}.type"))),
            }
        }
        if let Some(choice) = choice {
            this.choose(choice)?;
        }
        if this.functions.is_empty() {
            // Servers refuse a choice among no tools.
            this.choice = None;
        }
        Ok(this)
    }

    fn choose(&mut self, choice: &Value) -> Result<(), Refusal> {
        if let Some(mode) = choice.as_str() {
            return self.mode(mode, "tool_choice");
        }
        match kind(choice) {
            Some("function" | "custom") => {
                let name = name(choice, "tool_choice")?;
                if !self
                    .functions
                    .iter()
                    .any(|tool| function_name(tool) == name)
                {
                    let message = format!("tool_choice names '{name}', which is not in 'tools'");
                    return Err(Refusal::new("invalid_value", "tool_choice", message));
                }
                self.choice = Some(json!({"type": "function", "function": {"name": name}}));
                Ok(())
            }
            Some("allowed_tools") => self.allow(choice),
            Some(other) => Err(unsupported(other)),
            None => Err(Refusal::wrong_type(
                "tool_choice",
                "a string or an object with a type",
            )),
        }
    }

    fn mode(&mut self, mode: &str, at: &str) -> Result<(), Refusal> {
        match mode {
            "required" if self.functions.is_empty() => match self.left_out.first() {
                Some(tool) => Err(unsupported(tool)),
                None => Err(Refusal::new(
                    "invalid_value",
                    at,
                    "a tool is required, and there is none",
                )),
            },
            "none" | "auto" | "required" => {
                self.choice = Some(mode.into());
                Ok(())
            }
            _ => Err(Refusal::new(
                "invalid_value",
                at,
                "the choice of tools is none, auto, required or an object",
            )),
        }
    }

    /// Fewer tools say the same as `allowed_tools`, and every upstream understands them.
    fn allow(&mut self, choice: &Value) -> Result<(), Refusal> {
        let allowed = choice
            .get("tools")
            .and_then(Value::as_array)
            .ok_or_else(|| Refusal::missing("tool_choice.tools"))?;
        let names: BTreeSet<&str> = allowed
            .iter()
            .filter_map(|tool| tool.get("name").and_then(Value::as_str))
            .collect();
        self.functions
            .retain(|tool| names.contains(function_name(tool)));
        let mode = choice.get("mode").and_then(Value::as_str).unwrap_or("auto");
        self.mode(mode, "tool_choice.mode")
    }
}

fn unsupported(tool: &str) -> Refusal {
    let message = format!(
        "the tool '{tool}' is demanded by tool_choice, but this upstream can only call functions and custom tools"
    );
    Refusal::new("unsupported_tool", "tool_choice", message)
}

fn function(tool: &Value, at: &str) -> Result<Value, Refusal> {
    // The chat API's nested form is unmistakable, so it is taken too.
    if let Some(Value::Object(nested)) = tool.get("function") {
        return Ok(json!({"type": "function", "function": nested}));
    }
    let mut function = Map::new();
    function.insert("name".to_owned(), name(tool, at)?.into());
    for member in ["description", "parameters", "strict"] {
        if let Some(value) = tool.get(member).filter(|value| !value.is_null()) {
            function.insert(member.to_owned(), value.clone());
        }
    }
    Ok(json!({"type": "function", "function": function}))
}

fn custom(tool: &Value, at: &str) -> Result<Value, Refusal> {
    let mut description = tool
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    if let Some(format) = tool.get("format")
        && let Some(definition) = format.get("definition").and_then(Value::as_str)
    {
        let syntax = format
            .get("syntax")
            .and_then(Value::as_str)
            .unwrap_or("text");
        description.push_str("\n\n`input` must follow this grammar (");
        description.push_str(syntax);
        description.push_str("):\n");
        description.push_str(definition);
    }
    Ok(json!({
        "type": "function",
        "function": {
            "name": name(tool, at)?,
            "description": description.trim_start(),
            "parameters": {
                "type": "object",
                "properties": {"input": {"type": "string", "description": "The tool's whole input, as plain text."}},
                "required": ["input"],
                "additionalProperties": false,
            },
        },
    }))
}

fn name<'a>(tool: &'a Value, at: &str) -> Result<&'a str, Refusal> {
    tool.get("name")
        .or_else(|| tool.pointer("/function/name"))
        .and_then(Value::as_str)
        .ok_or_else(|| Refusal::missing(format!("{at}.name")))
}

fn function_name(tool: &Value) -> &str {
    tool.pointer("/function/name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both() -> Vec<Value> {
        vec![
            json!({"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}),
            json!({"type": "web_search"}),
            json!({"type": "custom", "name": "patch", "description": "edits", "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"}}),
        ]
    }

    #[test]
    fn functions_change_shape_custom_tools_are_emulated_and_the_rest_is_left_out() {
        let tools = Tools::new(&both(), None).unwrap();

        assert_eq!(
            tools.functions[0],
            json!({"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}})
        );
        assert_eq!(
            tools.functions[1]["function"]["parameters"]["required"],
            json!(["input"])
        );
        let description = tools.functions[1]["function"]["description"]
            .as_str()
            .unwrap();
        assert!(description.starts_with("edits") && description.ends_with("start: X"));
        assert!(tools.custom.contains("patch"));
        assert!(tools.left_out.contains("web_search"));
    }

    #[test]
    fn choices_are_translated() {
        let cases = [
            (json!("auto"), json!("auto")),
            (json!("required"), json!("required")),
            (
                json!({"type": "function", "name": "f"}),
                json!({"type": "function", "function": {"name": "f"}}),
            ),
            (
                json!({"type": "custom", "name": "patch"}),
                json!({"type": "function", "function": {"name": "patch"}}),
            ),
        ];

        for (choice, expected) in cases {
            assert_eq!(
                Tools::new(&both(), Some(&choice)).unwrap().choice,
                Some(expected)
            );
        }
    }

    #[test]
    fn allowed_tools_are_the_only_ones() {
        let choice = json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "custom", "name": "patch"}]});

        let tools = Tools::new(&both(), Some(&choice)).unwrap();

        assert_eq!(tools.functions.len(), 1);
        assert_eq!(tools.choice, Some(json!("required")));
    }

    #[test]
    fn a_demanded_built_in_tool_is_refused() {
        let hosted = [json!({"type": "web_search"})];
        let cases = [json!({"type": "web_search"}), json!("required")];

        for choice in cases {
            let refusal = Tools::new(&hosted, Some(&choice)).unwrap_err();
            assert_eq!(refusal.code, "unsupported_tool");
            assert!(refusal.message.contains("web_search"));
        }
        assert_eq!(
            Tools::new(&hosted, Some(&json!("auto"))).unwrap().choice,
            None
        );
    }

    #[test]
    fn a_choice_that_is_not_there_is_refused() {
        let choice = json!({"type": "function", "name": "g"});

        assert_eq!(
            Tools::new(&both(), Some(&choice)).unwrap_err().param,
            "tool_choice"
        );
    }
}
