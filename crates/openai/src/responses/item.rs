//! Input items in their full form.

use serde_json::{Map, Value, json};

use super::id::Ids;
use super::refusal::Refusal;

/// `input` as a list of items in their full form, each with an id.
///
/// Takes a string, a list of items (messages also in the easy form `{role, content}`), and a list of content parts,
/// which stands for one user message.
pub(super) fn normalised(input: Value, ids: &mut Ids) -> Result<Vec<Value>, Refusal> {
    let items = match input {
        Value::String(_) => vec![json!({"role": "user", "content": input})],
        Value::Array(parts) if !parts.is_empty() && parts.iter().all(is_part) => {
            vec![json!({"role": "user", "content": parts})]
        }
        Value::Array(items) => items,
        _ => return Err(Refusal::wrong_type("input", "a string or a list of items")),
    };
    items
        .into_iter()
        .enumerate()
        .map(|(index, item)| match item {
            Value::Object(item) => full(item, index).map(|item| identified(item, ids)),
            _ => Err(Refusal::wrong_type(format!("input[{index}]"), "an object")),
        })
        .collect()
}

/// The item that `item` only refers to.
pub fn reference(item: &Value) -> Option<&str> {
    let explicit = kind(item) == Some("item_reference");
    let bare = kind(item).is_none() && item.get("role").is_none();
    (explicit || bare)
        .then(|| item.get("id").and_then(Value::as_str))
        .flatten()
}

/// `item` with an id of its own where it has none.
fn identified(mut item: Value, ids: &mut Ids) -> Value {
    let prefix = match kind(&item) {
        Some("message") => "msg",
        Some("reasoning") => "rs",
        Some("function_call") => "fc",
        Some("function_call_output") => "fco",
        Some("custom_tool_call") => "ctc",
        Some("custom_tool_call_output") => "ctco",
        _ => "item",
    };
    if let Some(members) = item.as_object_mut()
        && !members.get("id").is_some_and(Value::is_string)
    {
        members.insert("id".to_owned(), ids.item(prefix).into());
    }
    item
}

pub(super) fn kind(item: &Value) -> Option<&str> {
    item.get("type").and_then(Value::as_str)
}

fn is_part(value: &Value) -> bool {
    matches!(
        kind(value),
        Some("input_text" | "input_image" | "input_file" | "input_audio")
    )
}

fn full(mut item: Map<String, Value>, index: usize) -> Result<Value, Refusal> {
    let is_message = match item.get("type") {
        Some(Value::String(kind)) => kind == "message",
        None | Some(Value::Null) => item.contains_key("role") || item.contains_key("content"),
        Some(_) => {
            return Err(Refusal::wrong_type(
                format!("input[{index}].type"),
                "a string",
            ));
        }
    };
    if !is_message {
        let item = Value::Object(item);
        return match kind(&item) {
            Some(_) => Ok(item),
            None if reference(&item).is_some() => Ok(item),
            None => Err(Refusal::missing(format!("input[{index}].type"))),
        };
    }
    item.insert("type".to_owned(), "message".into());
    let role = item.entry("role").or_insert_with(|| "user".into());
    let text = if *role == "assistant" {
        "output_text"
    } else {
        "input_text"
    };
    let content = match item.remove("content") {
        Some(Value::String(content)) if text == "output_text" => {
            json!([{"type": text, "text": content, "annotations": []}])
        }
        Some(Value::String(content)) => json!([{"type": text, "text": content}]),
        Some(Value::Array(parts)) => Value::Array(parts),
        Some(part @ Value::Object(_)) => json!([part]),
        None | Some(Value::Null) if text == "output_text" => json!([]),
        None | Some(Value::Null) => {
            return Err(Refusal::missing(format!("input[{index}].content")));
        }
        Some(_) => {
            let param = format!("input[{index}].content");
            return Err(Refusal::wrong_type(param, "a string or a list of parts"));
        }
    };
    item.insert("content".to_owned(), content);
    item.entry("status").or_insert_with(|| "completed".into());
    Ok(Value::Object(item))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_user_message_is_the_same_message() {
        let forms = [
            json!("hi"),
            json!([{"role": "user", "content": "hi"}]),
            json!([{"content": "hi"}]),
            json!([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}]),
            json!([{"type": "input_text", "text": "hi"}]),
        ];

        for form in forms {
            let items = normalised(form, &mut Ids::new(0)).unwrap();
            assert_eq!(
                Value::Array(items),
                json!([{"type": "message", "role": "user", "status": "completed",
                        "content": [{"type": "input_text", "text": "hi"}],
                        "id": "msg_000000000000000000000000000000000000"}])
            );
        }
    }

    #[test]
    fn a_reference_may_leave_its_type_out() {
        assert_eq!(reference(&json!({"id": "msg_1"})), Some("msg_1"));
        assert_eq!(
            reference(&json!({"type": "item_reference", "id": "msg_1"})),
            Some("msg_1")
        );
        assert_eq!(reference(&json!({"id": "msg_1", "role": "user"})), None);
    }

    #[test]
    fn an_item_of_no_kind_is_refused() {
        let refusal = normalised(json!([{"text": "hi"}]), &mut Ids::new(0)).unwrap_err();

        assert_eq!(refusal.param, "input[0].type");
    }
}
