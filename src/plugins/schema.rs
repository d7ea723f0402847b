//! Options against a plugin's own schema, before any of its code sees them.

use aurora_sdk::BuildError;
use boon::{CompileError, Compiler, Draft, InstanceToken, Schemas, UrlLoader, ValidationError};
use serde_json::{Map, Value};

/// Where the schema is, for those who refer to it.
const PLACE: &str = "aurora:options";

/// A schema of a plugin reaches for nothing outside of it.
struct Nothing;

impl UrlLoader for Nothing {
    fn load(&self, url: &str) -> Result<Value, Box<dyn std::error::Error>> {
        Err(format!("a schema of a plugin cannot refer to {url}").into())
    }
}

/// Checks `options` against `schema`.
///
/// # Errors
/// The option at fault, or what is wrong with the schema.
pub(crate) fn check(schema: &Value, options: &Map<String, Value>) -> Result<(), BuildError> {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.set_default_draft(Draft::V2020_12);
    compiler.use_loader(Box::new(Nothing));
    let unusable = |error: Box<CompileError>| {
        BuildError::new(
            "",
            format!("the schema of its options cannot be used: {error:#}"),
        )
    };
    compiler
        .add_resource(PLACE, schema.clone())
        .map_err(|error| unusable(Box::new(error)))?;
    let compiled = compiler
        .compile(PLACE, &mut schemas)
        .map_err(|error| unusable(Box::new(error)))?;
    let options = Value::Object(options.clone());
    schemas
        .validate(&options, compiled)
        .map_err(|error| described(deepest(&error), schema))
}

/// The most exact of the causes.
fn deepest<'e, 's, 'v>(error: &'e ValidationError<'s, 'v>) -> &'e ValidationError<'s, 'v> {
    error.causes.first().map_or(error, deepest)
}

fn described(error: &ValidationError<'_, '_>, schema: &Value) -> BuildError {
    let tokens = error.instance_location.tokens.iter();
    let place: Vec<String> = tokens
        .map(|token| match token {
            InstanceToken::Prop(name) => name.to_string(),
            InstanceToken::Item(index) => index.to_string(),
        })
        .collect();
    let place = place.join("/");
    let known = schema.get("properties").and_then(Value::as_object);
    if let boon::ErrorKind::AdditionalProperties { got } = &error.kind
        && let Some(unknown) = got.first()
    {
        let option = if place.is_empty() {
            unknown.to_string()
        } else {
            format!("{place}/{unknown}")
        };
        let build = BuildError::new(&option, format!("unknown option `{option}`"));
        let names: Vec<&str> = known
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        return match names.as_slice() {
            [] => build.with_hint("this plugin has no options"),
            names if place.is_empty() => {
                build.with_hint(format!("known options: {}", names.join(", ")))
            }
            _ => build,
        };
    }
    let what = error.kind.to_string();
    if place.is_empty() {
        return BuildError::new("", what);
    }
    BuildError::new(&place, format!("option `{place}`: {what}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(options: &Value) -> Result<(), BuildError> {
        let schema = json!({
            "type": "object",
            "properties": {
                "greeting": { "type": "string" },
                "rules": { "type": "array", "items": { "type": "object", "required": ["name"],
                    "properties": { "name": { "type": "string", "pattern": "^[a-z]+$" } } } },
            },
            "additionalProperties": false,
        });
        check(&schema, options.as_object().unwrap())
    }

    #[test]
    fn options_that_fit_pass() {
        checked(&json!({ "greeting": "hi", "rules": [{ "name": "a" }] })).unwrap();
    }

    #[test]
    fn the_option_at_fault_is_named_with_its_place() {
        let table = [
            (json!({ "greting": "hi" }), "greting", "unknown option"),
            (json!({ "greeting": 5 }), "greeting", "want string"),
            (
                json!({ "rules": [{ "name": "a" }, { "name": "B" }] }),
                "rules/1/name",
                "pattern",
            ),
            (json!({ "rules": [{}] }), "rules/0", "name"),
        ];
        for (options, option, part) in table {
            let error = checked(&options).unwrap_err();
            assert_eq!(error.option, option, "{error:?}");
            assert!(error.message.contains(part), "{error:?}");
        }
    }

    #[test]
    fn a_typo_is_told_what_there_is() {
        let error = checked(&json!({ "greting": "hi" })).unwrap_err();
        assert_eq!(
            error.hint.as_deref(),
            Some("known options: greeting, rules")
        );
    }

    #[test]
    fn a_schema_that_cannot_be_used_is_the_plugins_fault() {
        for schema in [
            json!({ "type": 5 }),
            json!({ "$ref": "https://example.com/x.json" }),
        ] {
            let error = check(&schema, &Map::new()).unwrap_err();
            assert!(error.message.contains("schema of its options"), "{error:?}");
        }
    }
}
