//! Requests: what becomes of each field.

use aurora_sdk::Level;

use super::*;

/// What `messages` become.
fn conversation(messages: &Value) -> Value {
    let chat = asked(&body(&json!({ "messages": messages })));
    serde_json::to_value(chat.messages).unwrap()
}

#[test]
fn the_least_that_is_needed_is_a_chat() {
    let chat = asked(&body(&json!({})));

    assert_eq!(
        serde_json::to_value(chat).unwrap(),
        json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "hello" }] })
    );
}

#[test]
fn every_setting_has_its_counterpart() {
    let table = [
        (json!({ "temperature": 0.5 }), json!({ "temperature": 0.5 })),
        (json!({ "top_p": 1 }), json!({ "top_p": 1 })),
        (
            json!({ "stop_sequences": ["END", "\n"] }),
            json!({ "stop": ["END", "\n"] }),
        ),
        (json!({ "stop_sequences": [] }), json!({})),
        (
            json!({ "metadata": { "user_id": "u-1" } }),
            json!({ "user": "u-1" }),
        ),
        (json!({ "metadata": {}, "temperature": null }), json!({})),
        (
            json!({ "tool_choice": { "type": "any" } }),
            json!({}), // There are no tools to choose from.
        ),
    ];
    for (more, expected) in table {
        let mut chat = asked(&body(&more)).rest;
        chat.remove("max_tokens");
        assert_eq!(Value::Object(chat), expected, "{more}");
    }
}

#[test]
fn tools_are_functions() {
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let tools = json!([
        { "name": "weather", "description": "the weather", "input_schema": schema, "cache_control": {} },
        { "type": "custom", "name": "now", "input_schema": {}, "strict": true },
    ]);

    let chat = asked(&body(&json!({ "tools": tools })));

    assert_eq!(
        Value::Array(chat.tools),
        json!([
            {
                "type": "function",
                "function": { "name": "weather", "description": "the weather", "parameters": schema },
            },
            { "type": "function", "function": { "name": "now", "parameters": {}, "strict": true } },
        ])
    );
}

#[test]
fn the_choice_of_tools_is_translated() {
    let table = [
        (json!({ "type": "auto" }), json!({ "tool_choice": "auto" })),
        (
            json!({ "type": "any" }),
            json!({ "tool_choice": "required" }),
        ),
        (json!({ "type": "none" }), json!({ "tool_choice": "none" })),
        (
            json!({ "type": "tool", "name": "t" }),
            json!({ "tool_choice": { "type": "function", "function": { "name": "t" } } }),
        ),
        (
            json!({ "type": "auto", "disable_parallel_tool_use": true }),
            json!({ "tool_choice": "auto", "parallel_tool_calls": false }),
        ),
    ];
    for (choice, expected) in table {
        let more = json!({ "tools": [{ "name": "t", "input_schema": {} }], "tool_choice": choice });
        let mut chat = asked(&body(&more)).rest;
        chat.remove("max_tokens");
        assert_eq!(Value::Object(chat), expected, "{choice}");
    }
}

#[test]
fn a_system_prompt_is_the_first_message() {
    let table = [
        (json!("be brief"), "be brief"),
        (
            json!([{ "type": "text", "text": "be" }, { "type": "text", "text": "brief" }]),
            "be\n\nbrief",
        ),
    ];
    for (system, expected) in table {
        let first = asked(&body(&json!({ "system": system })))
            .messages
            .remove(0);
        assert_eq!(
            (first.role.as_str(), first.content),
            ("system", expected.into())
        );
    }
}

#[test]
fn blocks_of_a_user_become_parts_where_a_text_will_not_do() {
    let text = json!({ "type": "text", "text": "what is it?" });
    let here = json!({ "type": "base64", "media_type": "image/png", "data": "aGk=" });
    let there = json!({ "type": "url", "url": "https://example.com/a.png" });
    let images = [here, there].map(|source| json!({ "type": "image", "source": source }));

    let blocks = json!([images[0], text, images[1]]);

    assert_eq!(
        conversation(&json!([{ "role": "user", "content": blocks }])),
        json!([{ "role": "user", "content": [
            { "type": "image_url", "image_url": { "url": "data:image/png;base64,aGk=" } },
            { "type": "text", "text": "what is it?" },
            { "type": "image_url", "image_url": { "url": "https://example.com/a.png" } },
        ] }])
    );
    assert_eq!(
        conversation(&json!([{ "role": "user", "content": [text, text] }])),
        json!([{ "role": "user", "content": "what is it?\n\nwhat is it?" }])
    );
}

#[test]
fn calls_of_tools_and_their_results_follow_each_other() {
    let messages = json!([
        { "role": "user", "content": "the weather?" },
        { "role": "assistant", "content": [
            { "type": "thinking", "thinking": "hm", "signature": "s" },
            { "type": "text", "text": "I look." },
            { "type": "tool_use", "id": "t1", "name": "weather", "input": { "city": "Oslo" } },
            { "type": "tool_use", "id": "t2", "name": "now", "input": {} },
        ] },
        { "role": "user", "content": [
            { "type": "text", "text": "and quickly" },
            { "type": "tool_result", "tool_use_id": "t1", "content": "rain" },
            { "type": "tool_result", "tool_use_id": "t2", "is_error": true, "content": [
                { "type": "text", "text": "no clock" },
                { "type": "image", "source": { "type": "url", "url": "https://example.com/c.png" } },
            ] },
        ] },
    ]);

    let call = |id, name, arguments| {
        let function = json!({ "name": name, "arguments": arguments });
        json!({ "id": id, "type": "function", "function": function })
    };
    assert_eq!(
        conversation(&messages),
        json!([
            { "role": "user", "content": "the weather?" },
            { "role": "assistant", "content": "I look.", "tool_calls": [
                call("t1", "weather", r#"{"city":"Oslo"}"#),
                call("t2", "now", "{}"),
            ] },
            { "role": "tool", "tool_call_id": "t1", "content": "rain" },
            { "role": "tool", "tool_call_id": "t2", "content": "The tool failed. no clock" },
            { "role": "user", "content": [
                { "type": "text", "text": "and quickly" },
                { "type": "image_url", "image_url": { "url": "https://example.com/c.png" } },
            ] },
        ])
    );
}

#[test]
fn a_turn_of_results_alone_adds_no_empty_message() {
    let call = json!({ "type": "tool_use", "id": "t1", "name": "now", "input": {} });
    let result = json!({ "type": "tool_result", "tool_use_id": "t1" });
    let messages = json!([{ "role": "assistant", "content": [call] }, { "role": "user", "content": [result] }]);

    let all = conversation(&messages);

    assert_eq!(all[0]["content"], Value::Null);
    assert_eq!(
        all[1],
        json!({ "role": "tool", "tool_call_id": "t1", "content": "" })
    );
    assert_eq!(all.as_array().unwrap().len(), 2);
}

#[test]
fn what_has_no_counterpart_is_left_out_and_logged() {
    let more = json!({ "thinking": { "type": "adaptive" }, "top_k": 5, "service_tier": "auto" });
    let host = FakeHost::new().chats(testing::says("hi"));

    send(&host, &body(&more));

    let rest = host.asked().remove(0).rest;
    assert_eq!(rest.keys().collect::<Vec<_>>(), ["max_tokens"]);
    let line = "left out, since chats have no such thing: thinking, top_k";
    assert_eq!(host.logged(), [(Level::Info, line.to_owned())]);
}
