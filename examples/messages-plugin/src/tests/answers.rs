//! Answers: whole, and event by event.

use super::*;

fn text_block(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

/// Chunks of one choice, and the counts.
fn chunks(deltas: &[Value], finish_reason: &str) -> Value {
    let choice = |delta: &Value| json!({ "choices": [{ "index": 0, "delta": delta }] });
    let mut all: Vec<Value> = deltas.iter().map(choice).collect();
    all.push(json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": finish_reason }] }));
    all.push(json!({ "choices": [], "usage": {
        "prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": { "cached_tokens": 4 },
    } }));
    all.into()
}

fn piece(index: u32, name: Option<&str>, arguments: &str) -> Value {
    let function = json!({ "name": name, "arguments": arguments });
    let id = name.map(|name| format!("call_{name}"));
    json!({ "tool_calls": [{ "index": index, "id": id, "function": function }] })
}

#[test]
fn a_whole_answer_is_a_message() {
    let said = [
        json!({ "role": "assistant", "content": "" }),
        json!({ "reasoning_content": "hm" }),
        json!({ "content": "Good " }),
        json!({ "content": "day" }),
    ];

    let (answer, host) = answer(&json!({}), &chunks(&said, "stop"), None);

    assert_eq!(
        answer.json(),
        json!({
            "id": "msg_req1", "type": "message", "role": "assistant", "model": "m",
            "content": [text_block("Good day")],
            "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {
                "input_tokens": 3, "output_tokens": 2,
                "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0,
            },
        })
    );
    assert_eq!(answer.header("request-id"), Some("req-1"));
    let used = [
        ("input_tokens".to_owned(), 7),
        ("output_tokens".to_owned(), 2),
    ];
    assert_eq!(host.used(), used);
}

#[test]
fn why_the_model_stopped_is_translated() {
    let text = json!({ "content": "done. END" });
    let call = piece(0, Some("now"), "{}");
    let table = [
        (&text, "stop", "end_turn"),
        (&text, "length", "max_tokens"),
        (&text, "content_filter", "refusal"),
        (&text, "tool_calls", "end_turn"),
        (&text, "eos", "end_turn"),
        (&call, "tool_calls", "tool_use"),
        (&call, "stop", "tool_use"),
        (&call, "length", "max_tokens"),
    ];
    for (delta, reason, expected) in table {
        let chunks = chunks(std::slice::from_ref(delta), reason);
        let (answer, _) = answer(&json!({}), &chunks, None);
        assert_eq!(answer.json()["stop_reason"], expected, "{reason}: {delta}");
    }
    let refusal = chunks(&[json!({ "refusal": "I must not." })], "stop");
    let (refused, _) = answer(&json!({}), &refusal, None);
    assert_eq!(refused.json()["stop_reason"], "refusal");
    assert_eq!(
        refused.json()["content"],
        json!([text_block("I must not.")])
    );
}

#[test]
fn a_stop_sequence_is_named_where_it_can_be_known() {
    let more = json!({ "stop_sequences": ["STOP", "END"] });
    let chunks = |text| chunks(&[json!({ "content": text })], "stop");

    let (known, _) = answer(&more, &chunks("done. END"), None);
    let (unknown, _) = answer(&more, &chunks("done. "), None);

    assert_eq!(known.json()["stop_reason"], "stop_sequence");
    assert_eq!(known.json()["stop_sequence"], "END");
    assert_eq!(unknown.json()["stop_reason"], "end_turn");
    assert_eq!(unknown.json()["stop_sequence"], Value::Null);
}

#[test]
fn events_come_in_the_order_of_this_api() {
    let said = [
        json!({ "content": "I " }),
        json!({ "content": "look." }),
        piece(0, Some("weather"), ""),
        piece(0, None, "{\"city\":"),
        piece(0, None, "\"Oslo\"}"),
        piece(1, Some("now"), "{}"),
    ];
    let stream = json!({ "stream": true });

    let (answer, host) = answer(&stream, &chunks(&said, "tool_calls"), None);

    assert!(answer.broken.is_none());
    assert_eq!(
        answer.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    let usage = json!({
        "input_tokens": 3, "output_tokens": 2,
        "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0,
    });
    let nothing = json!({
        "input_tokens": 0, "output_tokens": 0,
        "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0,
    });
    let start = |index, block| json!({ "type": "content_block_start", "index": index, "content_block": block });
    let stop = |index| json!({ "type": "content_block_stop", "index": index });
    let delta =
        |index, delta| json!({ "type": "content_block_delta", "index": index, "delta": delta });
    let text = |text| json!({ "type": "text_delta", "text": text });
    let json = |part| json!({ "type": "input_json_delta", "partial_json": part });
    let call = |id, name| json!({ "type": "tool_use", "id": id, "name": name, "input": {} });
    assert_eq!(
        events(&answer),
        [
            json!({ "type": "message_start", "message": {
                "id": "msg_req1", "type": "message", "role": "assistant", "model": "m", "content": [],
                "stop_reason": null, "stop_sequence": null, "usage": nothing,
            } }),
            start(0, text_block("")),
            delta(0, text("I ")),
            delta(0, text("look.")),
            stop(0),
            start(1, call("call_weather", "weather")),
            delta(1, json("{\"city\":")),
            delta(1, json("\"Oslo\"}")),
            stop(1),
            start(2, call("call_now", "now")),
            delta(2, json("{}")),
            stop(2),
            json!({
                "type": "message_delta",
                "delta": { "stop_reason": "tool_use", "stop_sequence": null },
                "usage": usage,
            }),
            json!({ "type": "message_stop" }),
        ]
    );
    assert_eq!(host.used().len(), 2);
}

#[test]
fn calls_that_interleave_come_one_after_the_other() {
    let said = [
        piece(0, Some("a"), ""),
        piece(1, Some("b"), "{\"y\""),
        piece(0, None, "{\"x\":1"),
        json!({ "content": "so" }),
        piece(0, None, "}"),
        piece(1, None, ":2}"),
    ];

    let (answer, _) = answer(
        &json!({ "stream": true }),
        &chunks(&said, "tool_calls"),
        None,
    );

    let events = events(&answer);
    let blocks = events.iter().filter_map(|event| event["index"].as_u64());
    assert!(blocks.collect::<Vec<_>>().is_sorted());
    let parts = |index: u64| -> String {
        let deltas = events.iter().filter(|event| event["index"] == index);
        let deltas = deltas.filter_map(|event| {
            let delta = &event["delta"];
            delta["partial_json"].as_str().or(delta["text"].as_str())
        });
        deltas.collect()
    };
    assert_eq!(parts(0), "{\"x\":1}");
    assert_eq!(parts(1), "{\"y\":2}");
    assert_eq!(parts(2), "so");
}

#[test]
fn arguments_that_are_cut_off_stay_text_so_that_no_tool_runs_without_them() {
    let input = |arguments| {
        let (answer, _) = answer(
            &json!({}),
            &chunks(&[piece(0, Some("f"), arguments)], "length"),
            None,
        );
        answer.json()["content"][0]["input"].clone()
    };

    assert_eq!(input("{\"a\": 1}"), json!({ "a": 1 }));
    assert_eq!(input(""), json!({}));
    assert_eq!(input("{\"a\":"), "{\"a\":");
}

#[test]
fn an_answer_of_nothing_is_a_message_of_nothing() {
    let (whole, _) = answer(&json!({}), &chunks(&[], "stop"), None);
    let (streamed, _) = answer(&json!({ "stream": true }), &chunks(&[], "stop"), None);

    assert_eq!(whole.json()["content"], json!([]));
    let kinds: Vec<Value> = events(&streamed)
        .iter()
        .map(|e| e["type"].clone())
        .collect();
    assert_eq!(kinds, ["message_start", "message_delta", "message_stop"]);
}

#[test]
fn where_nothing_may_be_streamed_the_answer_is_whole() {
    let host = FakeHost::new().stream(false).chats(testing::says("hi"));

    let answer = send(&host, &body(&json!({ "stream": true })));

    assert_eq!(answer.json()["content"], json!([text_block("hi")]));
}
