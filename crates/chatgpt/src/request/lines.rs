//! What the service has no parameters for is asked for in words.

use serde_json::{Map, Value};

/// The lines for `response_format`, `stop` and the token limit, in this order.
pub(super) fn asked(rest: &Map<String, Value>) -> Vec<String> {
    [format(rest), stop(rest), limit(rest)]
        .into_iter()
        .flatten()
        .collect()
}

/// The schema itself is part of the line, so the model can follow it.
fn format(rest: &Map<String, Value>) -> Option<String> {
    let format = rest.get("response_format")?;
    let plain = "Answer with one JSON object only: no other text and no code fences.";
    match format.get("type")?.as_str()? {
        "json_object" => Some(plain.to_owned()),
        "json_schema" => {
            let schema = format
                .get("json_schema")
                .and_then(|schema| schema.get("schema"));
            Some(match schema {
                Some(schema) => {
                    format!("{plain} It must be valid under this JSON schema:\n{schema}")
                }
                None => plain.to_owned(),
            })
        }
        _ => None,
    }
}

/// The texts at which an answer stops; [`crate::stop::Stops`] enforces them.
fn stop(rest: &Map<String, Value>) -> Option<String> {
    let quoted: Vec<String> = crate::stop::texts(rest.get("stop"))
        .into_iter()
        .map(|text| Value::from(text).to_string())
        .collect();
    (!quoted.is_empty()).then(|| {
        format!(
            "End your answer just before you would write one of these texts: {}.",
            quoted.join(", ")
        )
    })
}

fn limit(rest: &Map<String, Value>) -> Option<String> {
    let keys = ["max_completion_tokens", "max_tokens"];
    let limit = keys
        .iter()
        .find_map(|key| rest.get(*key)?.as_u64())
        .filter(|&limit| limit > 0)?;
    Some(format!(
        "Your answer must not be longer than {limit} tokens."
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_become_lines_in_order() {
        let rest = json!({"max_tokens": 50, "stop": ["END", "", "\n"],
            "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}});

        let lines = asked(rest.as_object().unwrap());

        assert_eq!(lines.len(), 3);
        assert!(lines[0].ends_with("schema:\n{\"type\":\"object\"}"));
        assert!(lines[1].contains("\"END\", \"\\n\"."));
        assert!(lines[2].contains("50 tokens"));
    }

    #[test]
    fn what_was_not_asked_for_has_no_line() {
        for rest in [
            json!({}),
            json!({"stop": null, "max_tokens": null, "response_format": {"type": "text"}}),
            json!({"stop": [], "max_tokens": 0}),
        ] {
            assert!(asked(rest.as_object().unwrap()).is_empty(), "{rest}");
        }
    }
}
