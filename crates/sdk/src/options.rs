//! Options as a type of the plugin's own.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::BuildError;

/// Reads options into a type; unknown ones are its own affair (`#[serde(deny_unknown_fields)]` refuses them).
///
/// # Errors
/// With the path of the option that does not fit.
pub fn read<T: DeserializeOwned>(options: &Map<String, Value>) -> Result<T, BuildError> {
    serde_path_to_error::deserialize(Value::Object(options.clone())).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        if path == "." {
            // Serde blames the whole for what is missing or unknown, and names it.
            return BuildError::new("", message);
        }
        let option = path.replace('[', "/").replace(']', "").replace('.', "/");
        BuildError::new(option, format!("`{path}`: {message}"))
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Options {
        rules: Vec<Rule>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Rule {
        name: String,
    }

    fn read_from(options: &Value) -> Result<Options, BuildError> {
        read(options.as_object().unwrap())
    }

    #[test]
    fn the_path_of_what_does_not_fit_is_named() {
        let error = read_from(&json!({ "rules": [{ "name": "a" }, { "name": 5 }] })).unwrap_err();

        assert_eq!(error.option, "rules/1/name");
        assert!(error.message.contains("invalid type"), "{}", error.message);
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(read_from(&json!({})).unwrap_err().message.contains("rules"));
        let unknown = read_from(&json!({ "rules": [], "rule": 1 })).unwrap_err();
        assert!(unknown.message.contains("rule"), "{unknown:?}");
    }

    #[test]
    fn what_fits_is_read() {
        let options = read_from(&json!({ "rules": [{ "name": "a" }] })).unwrap();
        assert_eq!(
            options.rules,
            [Rule {
                name: "a".to_owned()
            }]
        );
    }
}
