//! Chat completions.

use serde_json::{Value, json};

use crate::client::{Client, NOW, error, events, json};

fn chat(more: Value) -> Value {
    let mut request = json!({
        "model": "m1",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "Hello there"},
        ],
    });
    if let (Some(request), Value::Object(more)) = (request.as_object_mut(), more) {
        request.extend(more);
    }
    request
}

fn ask(more: Value) -> Value {
    json(&Client::default().post("chat/completions", &chat(more)))
}

fn stream(more: Value) -> Vec<Value> {
    let mut request = chat(more);
    request["stream"] = json!(true);
    events(&Client::default().post("chat/completions", &request))
}

/// The joined `member` of the deltas of choice `index`.
fn joined(events: &[Value], index: u64, member: &str) -> String {
    events
        .iter()
        .filter_map(|event| event["choices"].get(0))
        .filter(|choice| choice["index"] == index)
        .filter_map(|choice| choice["delta"][member].as_str())
        .collect()
}

#[test]
fn the_answer_says_what_was_received_and_is_the_same_again() {
    let answer = ask(json!({}));

    assert_eq!(
        answer["choices"][0]["message"]["content"],
        "You said: Hello there. (model m1, 2 messages)"
    );
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "m1");
    assert_eq!(answer["created"], NOW);
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
    let usage = &answer["usage"];
    assert_eq!(usage["prompt_tokens"], 12);
    assert_eq!(usage["completion_tokens"], 8);
    assert_eq!(usage["total_tokens"], 20);
    assert_eq!(answer, ask(json!({})));
}

#[test]
fn pictures_files_and_sounds_are_counted() {
    let parts = json!([
        {"type": "text", "text": "Look!"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
        {"type": "image_url", "image_url": "https://example.com/a.png"},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
    ]);

    let answer = ask(json!({"messages": [{"role": "user", "content": parts}]}));

    assert_eq!(
        answer["choices"][0]["message"]["content"],
        "You said: Look! Received: 2 pictures, 1 file, 1 audio clip. (model m1, 1 message)"
    );
}

#[test]
fn stops_and_limits_cut_the_text() {
    let stopped = ask(json!({"stop": ["there", "nothing"]}));
    let limited = ask(json!({"max_completion_tokens": 3}));
    let streamed = stream(json!({"max_tokens": 3}));

    assert_eq!(
        stopped["choices"][0]["message"]["content"],
        "You said: Hello "
    );
    assert_eq!(stopped["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        limited["choices"][0]["message"]["content"],
        "You said: Hello"
    );
    assert_eq!(limited["choices"][0]["finish_reason"], "length");
    assert_eq!(limited["usage"]["completion_tokens"], 3);
    assert_eq!(joined(&streamed, 0, "content"), "You said: Hello");
    let last = &streamed[streamed.len() - 2];
    assert_eq!(last["choices"][0]["finish_reason"], "length");
}

#[test]
fn a_stream_is_role_words_stop_usage_done() {
    let events = stream(json!({"stream_options": {"include_usage": true}}));

    let plain = ask(json!({}));
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(
        joined(&events, 0, "content"),
        plain["choices"][0]["message"]["content"]
    );
    assert_eq!(events.len(), 1 + 8 + 3);
    assert_eq!(events[9]["choices"][0]["finish_reason"], "stop");
    assert!(events[..10].iter().all(|event| event["usage"].is_null()));
    assert!(
        events[..10]
            .iter()
            .all(|event| event.get("usage").is_some())
    );
    assert_eq!(events[10]["choices"], json!([]));
    assert_eq!(events[10]["usage"], plain["usage"]);
    assert_eq!(events[11], "[DONE]");
    assert!(
        events[..11]
            .iter()
            .all(|event| event["id"] == events[0]["id"])
    );
}

#[test]
fn a_stream_without_the_option_has_no_usage() {
    let events = stream(json!({}));

    assert!(events.iter().all(|event| event.get("usage").is_none()));
}

#[test]
fn several_choices_are_kept_apart() {
    let plain = ask(json!({"n": 3}));
    let events = stream(json!({"n": 3}));

    assert_eq!(plain["choices"].as_array().unwrap().len(), 3);
    assert_eq!(plain["usage"]["completion_tokens"], 24);
    for index in 0..3 {
        let at = usize::try_from(index).unwrap();
        assert_eq!(
            joined(&events, index, "content"),
            plain["choices"][at]["message"]["content"]
        );
    }
}

fn with_weather(text: &str) -> Value {
    json!({
        "messages": [{"role": "user", "content": text}],
        "tools": [{"type": "function", "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "unit": {"type": "string", "enum": ["celsius", "kelvin"]},
                    "days": {"type": "integer"},
                },
                "required": ["city", "unit"],
            },
        }}],
    })
}

#[test]
fn a_named_function_is_called_with_arguments_that_fit() {
    let answer = ask(with_weather("What is the weather?"));

    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(call["type"], "function");
    assert!(call["id"].as_str().unwrap().starts_with("call_"));
    assert_eq!(call["function"]["name"], "get_weather");
    assert_eq!(
        call["function"]["arguments"],
        r#"{"city":"example city","unit":"celsius"}"#
    );
}

#[test]
fn a_streamed_call_starts_with_its_name_and_goes_on_in_pieces() {
    let events = stream(with_weather("weather"));

    let pieces: Vec<&Value> = events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["tool_calls"].get(0))
        .collect();
    assert!(pieces[0]["id"].as_str().unwrap().starts_with("call_"));
    assert_eq!(pieces[0]["function"]["name"], "get_weather");
    assert_eq!(pieces[0]["function"]["arguments"], "");
    assert!(pieces.len() > 2);
    assert!(pieces[1..].iter().all(|piece| piece.get("id").is_none()));
    let arguments: String = pieces
        .iter()
        .filter_map(|piece| piece["function"]["arguments"].as_str())
        .collect();
    assert_eq!(arguments, r#"{"city":"example city","unit":"celsius"}"#);
    assert_eq!(
        events[events.len() - 2]["choices"][0]["finish_reason"],
        "tool_calls"
    );
}

#[test]
fn a_tool_result_is_quoted() {
    let mut request = with_weather("weather");
    request["messages"].as_array_mut().unwrap().extend([
        json!({"role": "assistant", "content": null, "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}},
        ]}),
        json!({"role": "tool", "tool_call_id": "c", "content": "22 degrees"}),
    ]);

    let answer = ask(request);

    assert_eq!(
        answer["choices"][0]["message"]["content"],
        "The tool answered: 22 degrees. (model m1, 3 messages)"
    );
}

#[test]
fn a_response_format_makes_json() {
    let object = ask(json!({"response_format": {"type": "json_object"}}));
    let schema = ask(
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {
            "type": "object",
            "properties": {"count": {"type": "integer"}},
            "required": ["count"],
        }}}}),
    );

    let content = |answer: &Value| -> Value {
        let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
        serde_json::from_str(text).unwrap()
    };
    assert_eq!(
        content(&object)["message"],
        "You said: Hello there. (model m1, 2 messages)"
    );
    assert_eq!(content(&schema), json!({"count": 1}));
}

#[test]
fn an_effort_gives_reasoning() {
    let plain = ask(json!({"reasoning_effort": "high"}));
    let events = stream(json!({"reasoning_effort": "high"}));
    let none = ask(json!({"reasoning_effort": "none"}));

    let reasoning = plain["choices"][0]["message"]["reasoning_content"].as_str();
    assert_eq!(
        reasoning,
        Some("Thinking with high effort about 2 messages.")
    );
    assert_eq!(
        Some(joined(&events, 0, "reasoning_content").as_str()),
        reasoning
    );
    assert_eq!(
        plain["usage"]["completion_tokens_details"]["reasoning_tokens"],
        7
    );
    assert!(
        none["choices"][0]["message"]
            .get("reasoning_content")
            .is_none()
    );
}

#[test]
fn bad_requests_name_the_member_at_fault() {
    let client = Client::default();
    let cases = [
        (json!({"model": null}), "model"),
        (json!({"messages": null}), "messages"),
        (json!({"messages": []}), "messages"),
        (json!({"messages": [{"content": "x"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "king"}]}), "messages[0].role"),
        (
            json!({"messages": [{"role": "user", "content": 3}]}),
            "messages[0].content",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "text"}]}]}),
            "messages[0].content[0].text",
        ),
        (json!({"max_tokens": 0}), "max_tokens"),
        (json!({"max_tokens": -1}), "max_tokens"),
        (json!({"tools": vec![0; 2000]}), "tools"),
        (json!({"n": 1000}), "n"),
        (json!({"stop": 1}), "stop"),
        (json!({"tool_choice": "required"}), "tool_choice"),
        (
            json!({"tools": [{"type": "function"}]}),
            "tools[0].function.name",
        ),
        (
            json!({"response_format": {"type": "xml"}}),
            "response_format.type",
        ),
    ];
    for (more, param) in cases {
        let (status, _, named) = error(&client.post("chat/completions", &chat(more)));

        assert_eq!((status, named.as_deref()), (400, Some(param)));
    }
}
