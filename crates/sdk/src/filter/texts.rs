//! Where texts and token counts stand in the events of the APIs.

use aurora_openai::chat::Usage;
use serde_json::Value;

/// Members of a chat message or delta that are said by the model.
const SAID: [&str; 4] = ["content", "refusal", "reasoning_content", "reasoning"];

pub(super) fn of<'a>(data: &'a mut Value, texts: &mut Vec<&'a mut String>) {
    let Value::Object(members) = data else {
        return;
    };
    let kind = members.get("type").and_then(Value::as_str);
    let kind = kind.unwrap_or_default();
    let is_response =
        kind.starts_with("response.") && !kind.contains("arguments") && !kind.contains("audio");
    let is_said = is_response || kind.starts_with("transcript.text.");
    let is_message = kind == "message";
    let is_block = kind.starts_with("content_block_");
    for (name, value) in members {
        match name.as_str() {
            "choices" => items(value).for_each(|choice| of_choice(choice, texts)),
            "output" => items(value).for_each(|item| of_item(item, texts)),
            "delta" | "text" | "refusal" if is_said => texts.extend(string(value)),
            // The same texts as in `output` once more, as some servers add them to a response.
            "output_text" => texts.extend(string(value)),
            "response" => of(value, texts),
            // `message`: of the Messages API.
            "item" | "message" => of_item(value, texts),
            "part" => of_part(value, texts),
            // The Messages API.
            "content" if is_message => items(value).for_each(|part| of_part(part, texts)),
            "delta" | "content_block" if is_block => of_part(value, texts),
            _ => {}
        }
    }
}

fn items(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value.as_array_mut().into_iter().flatten()
}

fn string(value: &mut Value) -> Option<&mut String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn of_choice<'a>(choice: &'a mut Value, texts: &mut Vec<&'a mut String>) {
    let Value::Object(members) = choice else {
        return;
    };
    for (name, value) in members {
        match name.as_str() {
            "delta" | "message" => {
                let said = value.as_object_mut().into_iter().flatten();
                let said = said.filter(|(name, _)| SAID.contains(&name.as_str()));
                texts.extend(said.filter_map(|(_, value)| string(value)));
            }
            // The older completions API.
            "text" => texts.extend(string(value)),
            _ => {}
        }
    }
}

fn of_item<'a>(item: &'a mut Value, texts: &mut Vec<&'a mut String>) {
    let Value::Object(members) = item else {
        return;
    };
    for (name, value) in members {
        if matches!(name.as_str(), "content" | "summary") {
            items(value).for_each(|part| of_part(part, texts));
        }
    }
}

fn of_part<'a>(part: &'a mut Value, texts: &mut Vec<&'a mut String>) {
    let Value::Object(members) = part else {
        return;
    };
    for (name, value) in members {
        if matches!(name.as_str(), "text" | "refusal" | "thinking") {
            texts.extend(string(value));
        }
    }
}

/// Token counts under either API's names.
pub(super) fn usage(counts: &Value) -> Option<Usage> {
    let count = |names: [&str; 2]| names.iter().find_map(|name| counts.get(name)?.as_u64());
    let prompt = count(["prompt_tokens", "input_tokens"])?;
    let completion = count(["completion_tokens", "output_tokens"]).unwrap_or(0);
    Some(Usage {
        prompt_tokens: prompt,
        completion_tokens: completion,
        total_tokens: count(["total_tokens", "total_tokens"]).unwrap_or(prompt + completion),
        prompt_tokens_details: None,
        completion_tokens_details: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Event;
    use super::*;

    fn texts(data: Value) -> Vec<String> {
        let mut event = Event {
            name: String::new(),
            data,
            is_whole: false,
        };
        event.texts().into_iter().map(|text| text.clone()).collect()
    }

    fn check<const N: usize>(table: [(Value, Vec<&str>); N]) {
        for (data, expected) in table {
            assert_eq!(texts(data.clone()), expected, "{data}");
        }
    }

    #[test]
    fn what_the_model_says_is_found_in_chats_and_responses() {
        let call = json!([{"function": {"arguments": "no"}}]);
        let part = json!({"type": "output_text", "text": "a"});
        let item = json!({"type": "message", "content": [part]});
        let table = [
            (
                json!({"choices": [{"delta": {"role": "x", "content": "a"}}]}),
                vec!["a"],
            ),
            (
                json!({"choices": [{"message": {"content": "a", "tool_calls": call}}]}),
                vec!["a"],
            ),
            (
                json!({"choices": [{"delta": {"reasoning_content": "a"}}, {"delta": {"refusal": "b"}}]}),
                vec!["a", "b"],
            ),
            (json!({"choices": [{"text": "a"}]}), vec!["a"]),
            (
                json!({"type": "response.output_text.delta", "delta": "a"}),
                vec!["a"],
            ),
            (
                json!({"type": "response.output_text.done", "text": "a"}),
                vec!["a"],
            ),
            (
                json!({"type": "response.function_call_arguments.delta", "delta": "no"}),
                vec![],
            ),
            (
                json!({"type": "response.output_item.done", "item": item}),
                vec!["a"],
            ),
            (
                json!({"type": "response.content_part.done", "part": part}),
                vec!["a"],
            ),
            (
                json!({"type": "response.completed", "response": {"output": [item]}}),
                vec!["a"],
            ),
            (json!({"output": [item]}), vec!["a"]),
            (
                json!({"output": [item], "output_text": "b"}),
                vec!["a", "b"],
            ),
        ];
        check(table);
    }

    #[test]
    fn what_the_model_says_is_found_in_transcripts_and_messages() {
        let table = [
            (
                json!({"type": "transcript.text.delta", "delta": "a"}),
                vec!["a"],
            ),
            (
                json!({"type": "transcript.text.done", "text": "a"}),
                vec!["a"],
            ),
            (
                json!({"type": "message", "content": [{"type": "text", "text": "a"}]}),
                vec!["a"],
            ),
            (
                json!({"type": "content_block_start", "content_block": {"type": "text", "text": "a"}}),
                vec!["a"],
            ),
            (
                json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}}),
                vec!["a"],
            ),
            (
                json!({"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "a"}}),
                vec!["a"],
            ),
            (
                json!({"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": "no"}}),
                vec![],
            ),
            (json!({"choices": "odd", "output": 1}), vec![]),
            (json!([1]), vec![]),
        ];
        check(table);
    }

    #[test]
    fn token_counts_are_read_under_both_names() {
        let chat =
            usage(&json!({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3})).unwrap();
        let responses = usage(&json!({"input_tokens": 1, "output_tokens": 2})).unwrap();
        assert_eq!(chat, responses);
        assert_eq!(usage(&json!({"other": 1})), None);
    }
}
