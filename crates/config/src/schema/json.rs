//! The JSON Schema of aurora.toml.

use serde_json::{Map, Value, json};

use super::keys::ROOT;
use super::{Key, Kind, Section};
use crate::layers::parse_text;

/// JSON Schema (2020-12) of aurora.toml, for editors.
pub fn schema() -> Value {
    let mut root = section(&ROOT);
    if let Some(root) = root.as_object_mut() {
        root.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        root.insert("title".to_owned(), json!("aurora.toml"));
    }
    root
}

fn section(section: &Section) -> Value {
    let properties: Map<String, Value> = section
        .keys
        .iter()
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    let required: Vec<&str> = section
        .keys
        .iter()
        .filter(|key| key.required)
        .map(|key| key.name)
        .collect();
    let rest = section.rest.map_or(Value::Bool(false), kind);
    let mut out =
        json!({ "type": "object", "properties": properties, "additionalProperties": rest });
    if let (Some(out), false) = (out.as_object_mut(), required.is_empty()) {
        out.insert("required".to_owned(), json!(required));
    }
    out
}

fn property(key: &Key) -> Value {
    let mut out = kind(&key.kind);
    let Some(members) = out.as_object_mut() else {
        return out;
    };
    let protocols = match key.only {
        [] => String::new(),
        only => format!(" Only with protocol {}.", only.join(", ")),
    };
    members.insert(
        "description".to_owned(),
        json!(format!("{}{protocols}", key.doc)),
    );
    let default = key.default.filter(|default| *default != "{}");
    if let Some(default) = default.and_then(|text| parse_text(text, &key.kind)) {
        members.insert("default".to_owned(), default.to_json());
    }
    out
}

fn kind(of: &Kind) -> Value {
    match of {
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Number { min, max } => json!({ "type": "number", "minimum": min, "maximum": max }),
        Kind::Duration => json!({ "type": "string", "pattern": "^[0-9]", "examples": ["30s"] }),
        Kind::DurationOrOff => {
            json!({ "type": "string", "pattern": "^([0-9]|off$)", "examples": ["30s", "off"] })
        }
        Kind::Size => json!({ "type": "string", "pattern": "^[0-9]", "examples": ["64MiB"] }),
        Kind::Url(_) => json!({ "type": "string", "format": "uri" }),
        Kind::Proxy(_) => {
            json!({ "anyOf": [{ "type": "string", "format": "uri" }, one_of_secret("env")] })
        }
        Kind::Word(words) => json!({ "enum": words }),
        Kind::RoutePath => json!({ "type": "string", "pattern": "^/[^?#]*$" }),
        Kind::Sha256 => json!({ "type": "string", "pattern": "^[0-9a-fA-F]{64}$" }),
        Kind::Digest => json!({ "type": "string", "pattern": "^sha256:[0-9a-fA-F]{64}$" }),
        Kind::PublicKey => {
            json!({ "type": "string", "pattern": "^RW[Q-T][0-9a-zA-Z+/]{53}$" })
        }
        Kind::FileName => json!({ "type": "string", "pattern": r"^[^/\\]+$" }),
        Kind::Secret => secret(),
        Kind::SecretOr(table) => json!({ "anyOf": [secret(), section(table)] }),
        Kind::TextOr(table) => {
            json!({ "anyOf": [{ "type": "string", "minLength": 1 }, section(table)] })
        }
        Kind::List(item) => json!({ "type": "array", "items": kind(item) }),
        Kind::OneOrMany(item) => {
            json!({ "anyOf": [kind(item), { "type": "array", "items": kind(item) }] })
        }
        Kind::Table(table) => section(table),
        Kind::Named(table) => json!({ "type": "object", "additionalProperties": section(table) }),
        Kind::Map => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::Free => json!({ "type": "object" }),
        Kind::Any => Value::Bool(true),
        Kind::Text
        | Kind::Path
        | Kind::Moment
        | Kind::Address
        | Kind::Method
        | Kind::Header
        | Kind::Origin
        | Kind::Variable => json!({ "type": "string", "minLength": 1 }),
    }
}

fn secret() -> Value {
    let (env, file) = (one_of_secret("env"), one_of_secret("file"));
    json!({ "anyOf": [{ "type": "string", "minLength": 1 }, env, file] })
}

fn one_of_secret(name: &str) -> Value {
    json!({ "type": "object", "properties": { name: { "type": "string" } },
            "required": [name], "additionalProperties": false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_knows_every_section_and_default() {
        let schema = schema();

        let server = &schema["properties"]["server"]["properties"];
        assert_eq!(server["max_body"]["default"], "32MiB");
        assert_eq!(server["max_in_flight"]["default"], 10_000);
        assert_eq!(schema["additionalProperties"], false);
        let upstream = &schema["properties"]["upstreams"]["additionalProperties"];
        assert_eq!(upstream["required"][0], "protocol");
        assert_eq!(
            schema["properties"]["routes"]["items"]["properties"]["retry"]["type"],
            "object"
        );
    }

    #[test]
    fn what_plugins_check_themselves_is_open_and_the_rest_is_not() {
        let schema = schema();

        let plugins = &schema["properties"]["plugins"];
        assert_eq!(plugins["properties"]["trust"]["default"], "owner-check");
        let plugin = &plugins["additionalProperties"];
        assert_eq!(plugin["type"], "object");
        assert_eq!(plugin["additionalProperties"], true);
        let grant = &plugin["properties"]["grant"];
        assert_eq!(grant["properties"]["max_concurrency"]["default"], 64);
        assert_eq!(grant["additionalProperties"], false);
    }
}
