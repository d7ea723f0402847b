//! Content parts of the Responses API as content parts of a chat message.

use serde_json::{Map, Value, json};

use super::item::kind;
use super::refusal::Refusal;

/// The text of `part`, where it is one of text.
pub(super) fn text(part: &Value) -> Option<&str> {
    match kind(part) {
        Some("input_text" | "output_text" | "text" | "summary_text") | None => {
            part.get("text").and_then(Value::as_str)
        }
        Some(_) => None,
    }
}

/// `part` for a chat message; `at` names it.
pub(super) fn to_chat(part: &Value, at: &str) -> Result<Value, Refusal> {
    if let Some(text) = text(part) {
        return Ok(json!({"type": "text", "text": text}));
    }
    match kind(part) {
        Some("input_image") => image(part, at),
        Some("input_file") => file(part, at),
        Some("input_audio") => match part.get("input_audio") {
            Some(audio @ Value::Object(_)) => {
                Ok(json!({"type": "input_audio", "input_audio": audio}))
            }
            _ => Err(Refusal::missing(format!("{at}.input_audio"))),
        },
        // Parts in the form of the chat API are no trouble to anybody.
        Some("image_url" | "file") => Ok(part.clone()),
        Some("input_text" | "output_text" | "text") => Err(Refusal::missing(format!("{at}.text"))),
        Some(other) => Err(Refusal::new(
            "invalid_value",
            format!("{at}.type"),
            format!(
                "a part of type '{other}' cannot stand here; use input_text, input_image, input_file or input_audio"
            ),
        )),
        None => Err(Refusal::missing(format!("{at}.type"))),
    }
}

fn image(part: &Value, at: &str) -> Result<Value, Refusal> {
    let url = match part.get("image_url") {
        Some(Value::String(url)) => url,
        Some(Value::Object(nested)) if nested.get("url").is_some_and(Value::is_string) => {
            return Ok(json!({"type": "image_url", "image_url": nested}));
        }
        _ => return by_id(part).ok_or_else(|| Refusal::missing(format!("{at}.image_url"))),
    };
    let mut image = json!({ "url": url });
    if let (Some(detail @ Value::String(_)), Some(members)) =
        (part.get("detail"), image.as_object_mut())
    {
        members.insert("detail".to_owned(), detail.clone());
    }
    Ok(json!({"type": "image_url", "image_url": image}))
}

fn file(part: &Value, at: &str) -> Result<Value, Refusal> {
    if let Some(file) = by_id(part) {
        return Ok(file);
    }
    if part.get("file_data").is_some_and(Value::is_string) {
        let members: Map<String, Value> = ["file_data", "filename"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), part.get(name)?.clone())))
            .collect();
        return Ok(json!({"type": "file", "file": members}));
    }
    if part.get("file_url").is_some_and(Value::is_string) {
        let reason = "upload the file, or send its bytes as `file_data`";
        return Err(Refusal::unsupported(&format!("{at}.file_url"), reason));
    }
    Err(Refusal::missing(format!("{at}.file_id")))
}

fn by_id(part: &Value) -> Option<Value> {
    let id = part.get("file_id")?.as_str()?;
    Some(json!({"type": "file", "file": {"file_id": id}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_change_their_shape() {
        let cases = [
            (
                json!({"type": "input_image", "image_url": "https://x/y.png", "detail": "low"}),
                json!({"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}),
            ),
            (
                json!({"type": "input_image", "file_id": "file-1"}),
                json!({"type": "file", "file": {"file_id": "file-1"}}),
            ),
            (
                json!({"type": "input_file", "file_data": "data:,x", "filename": "a.txt"}),
                json!({"type": "file", "file": {"file_data": "data:,x", "filename": "a.txt"}}),
            ),
            (
                json!({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}),
                json!({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}),
            ),
        ];

        for (part, expected) in cases {
            assert_eq!(to_chat(&part, "p").unwrap(), expected);
        }
    }

    #[test]
    fn a_wrong_part_is_named() {
        let cases = [
            (
                json!({"type": "input_text"}),
                "missing_required_parameter",
                "p.text",
            ),
            (
                json!({"type": "input_image"}),
                "missing_required_parameter",
                "p.image_url",
            ),
            (
                json!({"type": "input_file", "file_url": "https://x"}),
                "unsupported_parameter",
                "p.file_url",
            ),
            (json!({"type": "smell"}), "invalid_value", "p.type"),
            (json!({}), "missing_required_parameter", "p.type"),
        ];

        for (part, code, param) in cases {
            let refusal = to_chat(&part, "p").unwrap_err();
            assert_eq!((refusal.code, refusal.param.as_str()), (code, param));
        }
    }
}
