use super::*;

fn request(value: Value) -> ChatRequest {
    serde_json::from_value(value).unwrap()
}

fn said(drafts: &[Draft]) -> Vec<(&'static str, &str)> {
    let drafts = drafts.iter();
    drafts
        .map(|draft| (draft.role.as_str(), draft.text.as_str()))
        .collect()
}

#[test]
fn system_messages_are_gathered_in_front() {
    let request = request(json!({"model": "auto", "max_tokens": 5, "messages": [
        {"role": "system", "content": "One."},
        {"role": "user", "content": "Hi"},
        {"role": "developer", "content": [{"type": "text", "text": "Two."}]}]}));
    let turn = Turn {
        instructions: Some("Tools.".to_owned()),
        reminder: Some("Remember.".to_owned()),
        ..Turn::default()
    };

    let drafts = drafts(&request, &turn).unwrap();

    let leading = "Tools.\n\nYour answer must not be longer than 5 tokens.\n\nOne.\n\nTwo.";
    assert_eq!(
        said(&drafts),
        [("system", leading), ("user", "Hi\n\nRemember.")]
    );
}

#[test]
fn calls_and_results_make_a_round_trip() {
    let request = request(json!({"model": "auto", "messages": [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "call_1", "type": "function",
            "function": {"name": "get_weather", "arguments": "{\"city\":\"Paris\"}"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "sunny"}]},
        {"role": "function", "name": "other", "content": "x"}]}));

    let as_tool = drafts(&request, &Turn::default()).unwrap();
    let as_user = drafts(
        &request,
        &Turn {
            tool_results: ToolResults::User,
            ..Turn::default()
        },
    )
    .unwrap();

    let call =
        "<tool_call>{\"arguments\":{\"city\":\"Paris\"},\"name\":\"get_weather\"}</tool_call>";
    assert_eq!(
        said(&as_tool),
        [
            ("user", "Weather?"),
            ("assistant", call),
            ("tool", "Result of the tool `get_weather`:\nsunny"),
            ("tool", "Result of the tool `other`:\nx"),
        ]
    );
    assert_eq!(as_user[2].role, Role::User);
}

#[test]
fn what_cannot_be_converted_is_named() {
    let robot = request(json!({"model": "", "messages": [{"role": "robot", "content": "x"}]}));
    let empty = request(json!({"model": "", "messages": []}));

    let role = Invalid::Role {
        index: 0,
        role: "robot".to_owned(),
    };
    assert_eq!(drafts(&robot, &Turn::default()), Err(role));
    assert_eq!(drafts(&empty, &Turn::default()), Err(Invalid::NoMessages));
}

#[test]
fn attachments_of_a_message_are_references() {
    let request = request(
        json!({"model": "", "messages": [{"role": "user", "content": "x",
        "attachments": [{"id": "file-1", "name": "a.pdf"}, {"file_id": "file-1"}, 7]}]}),
    );

    let drafts = drafts(&request, &Turn::default()).unwrap();

    assert_eq!(drafts[0].references.len(), 1);
}
