//! The functions that a client declares.

use serde_json::{Map, Value};

/// One declared function.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its parameters, as a JSON schema.
    pub parameters: Map<String, Value>,
}

/// All declared functions, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Functions {
    list: Vec<Function>,
}

/// What `tool_choice` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Choice {
    /// The model may call.
    #[default]
    Auto,
    /// It must not; what looks like a call is text.
    None,
    /// It must call something.
    Required,
    /// It must call this.
    Named(String),
}

impl Choice {
    /// Reads `tool_choice`; what is absent or unknown is [`Choice::Auto`].
    pub fn read(value: Option<&Value>) -> Self {
        match value {
            Some(Value::String(word)) => match word.as_str() {
                "none" => Self::None,
                "required" | "any" => Self::Required,
                _ => Self::Auto,
            },
            Some(Value::Object(choice)) => {
                let inner = choice
                    .get("function")
                    .and_then(|function| function.get("name"));
                let name = inner.or_else(|| choice.get("name")).and_then(Value::as_str);
                name.map_or(Self::Auto, |name| Self::Named(name.to_owned()))
            }
            _ => Self::Auto,
        }
    }
}

impl Functions {
    /// Reads `tools`, in the chat form (`function` inside) and the flat form; others are left out.
    pub fn read(tools: &[Value]) -> Self {
        let list = tools.iter().filter_map(|tool| {
            let function = tool.get("function").unwrap_or(tool).as_object()?;
            let text = |key: &str| function.get(key).and_then(Value::as_str);
            Some(Function {
                name: text("name").filter(|name| !name.is_empty())?.to_owned(),
                description: text("description").unwrap_or("").trim().to_owned(),
                parameters: function
                    .get("parameters")
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default(),
            })
        });
        Self {
            list: list.collect(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The functions, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Function> {
        self.list.iter()
    }

    /// The function with this name: exactly, else without regard to case.
    pub fn find(&self, name: &str) -> Option<&Function> {
        let exact = self.list.iter().find(|function| function.name == name);
        exact.or_else(|| {
            self.list
                .iter()
                .find(|function| function.name.eq_ignore_ascii_case(name))
        })
    }
}

impl Function {
    /// Its parameters by name, each with its schema and whether it is required.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&str, &Value, bool)> {
        let required = self.parameters.get("required").and_then(Value::as_array);
        let required = required.map(Vec::as_slice).unwrap_or_default();
        let properties = self.parameters.get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().map(|(name, schema)| {
            let is_required = required.iter().any(|known| known == name);
            (name.as_str(), schema, is_required)
        })
    }
}
