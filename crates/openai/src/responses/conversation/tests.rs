use serde_json::{Value, json};

use super::super::id::Ids;
use super::super::item::normalised;
use super::*;

fn translate(input: Value) -> Result<Value, Refusal> {
    let items = normalised(input, &mut Ids::new(0))?;
    let mut conversation = Conversation::default();
    for (index, item) in items.iter().enumerate() {
        conversation.push(item, &format!("input[{index}]"))?;
    }
    Ok(serde_json::to_value(conversation.finish().0).unwrap())
}

#[test]
fn adjacent_calls_and_the_text_before_them_are_one_message() {
    let messages = translate(json!([
        {"role": "user", "content": "weather?"},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"role": "assistant", "content": "let me look"},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "b", "name": "g", "arguments": "{\"x\":1}"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "2"}]},
        {"type": "function_call", "call_id": "c", "name": "h", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "3"},
    ]));

    let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    assert_eq!(
        messages.unwrap(),
        json!([
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": "let me look", "tool_calls": [call("a", "f", "{}"), call("b", "g", "{\"x\":1}")]},
            {"role": "tool", "content": "1", "tool_call_id": "a"},
            {"role": "tool", "content": "2", "tool_call_id": "b"},
            {"role": "assistant", "content": null, "tool_calls": [call("c", "h", "{}")]},
            {"role": "tool", "content": "3", "tool_call_id": "c"},
        ])
    );
}

#[test]
fn text_behind_calls_does_not_part_them_from_their_outputs() {
    let messages = translate(json!([
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"role": "assistant", "content": "calling"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {"role": "assistant", "content": "done"},
    ]))
    .unwrap();

    let roles: Vec<&str> = messages
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["assistant", "tool", "assistant"]);
    assert_eq!(messages[0]["content"], "calling");
}

#[test]
fn a_custom_call_is_a_function_call_with_one_input() {
    let messages = translate(json!([
        {"type": "custom_tool_call", "call_id": "a", "name": "apply_patch", "input": "*** \"x\""},
        {"type": "custom_tool_call_output", "call_id": "a", "output": "ok"},
    ]))
    .unwrap();

    assert_eq!(
        messages[0]["tool_calls"][0]["function"]["arguments"],
        "{\"input\":\"*** \\\"x\\\"\"}"
    );
    assert_eq!(messages[1]["tool_call_id"], "a");
}

#[test]
fn pictures_of_tools_follow_the_run_of_outputs() {
    let messages = translate(json!([
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "b", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_image", "image_url": "data:x"}]},
        {"type": "function_call_output", "call_id": "b", "output": "2"},
        {"role": "user", "content": "and?"},
    ]))
    .unwrap();

    assert_eq!(messages[1]["role"], "tool");
    assert_eq!(messages[2]["content"], "2");
    assert_eq!(
        messages[3]["content"],
        json!([{"type": "image_url", "image_url": {"url": "data:x"}}])
    );
    assert_eq!(messages[4]["content"], "and?");
}

#[test]
fn several_parts_stay_parts_and_refusals_are_kept() {
    let messages = translate(json!([
        {"role": "developer", "content": "be short"},
        {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
    ]))
    .unwrap();

    assert_eq!(
        messages,
        json!([
            {"role": "system", "content": "be short"},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": null, "refusal": "no"},
        ])
    );
}

#[test]
fn a_wrong_item_is_named() {
    let cases = [
        (
            json!([{"role": "tool", "content": "x"}]),
            "invalid_value",
            "input[0].role",
        ),
        (
            json!([{"role": "user", "content": [{"type": "x"}]}]),
            "invalid_value",
            "input[0].content[0].type",
        ),
        (
            json!([{"type": "function_call", "name": "f", "arguments": ""}]),
            "missing_required_parameter",
            "input[0].call_id",
        ),
        (
            json!([{"type": "function_call_output", "call_id": "a", "output": ""}]),
            "invalid_value",
            "input[0].call_id",
        ),
        (
            json!([{"type": "mesage", "content": "x"}]),
            "invalid_value",
            "input[0].type",
        ),
        (
            json!([{"type": "item_reference", "id": "msg_x"}]),
            "item_not_found",
            "input[0].id",
        ),
    ];

    for (input, code, param) in cases {
        let refusal = translate(input).unwrap_err();
        assert_eq!((refusal.code, refusal.param.as_str()), (code, param));
    }
}
