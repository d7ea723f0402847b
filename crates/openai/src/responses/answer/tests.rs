use std::path::Path;

use serde_json::{Value, json};

use super::super::id::Ids;
use super::super::turn::Turn;
use super::*;

/// Runs `chunks` through an answer to `create`; the events and the answer.
fn run(
    create: &Value,
    chunks: &[Value],
    end: impl FnOnce(&mut Answer) -> Vec<Event>,
) -> (Vec<Event>, Answer) {
    let mut ids = Ids::new(0xabc);
    let create = CreateResponse::parse(create.clone(), &mut ids).unwrap();
    let turn = Turn::new(&create, &[]).unwrap();
    let mut answer = Answer::new(&create, turn.custom_tools, Ids::new(0xdef), 1_700_000_000);
    let mut events = answer.begin();
    for chunk in chunks {
        events.extend(answer.push(serde_json::from_value(chunk.clone()).unwrap()));
    }
    events.extend(end(&mut answer));
    (events, answer)
}

fn finish(answer: &mut Answer) -> Vec<Event> {
    answer.finish(1_700_000_001)
}

fn delta(delta: &Value) -> Value {
    json!({"choices": [{"index": 0, "delta": delta}]})
}

fn end(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

fn piece(index: u32, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
    delta(
        &json!({"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]}),
    )
}

fn parsed(events: &[Event]) -> Vec<Value> {
    events
        .iter()
        .enumerate()
        .map(|(number, event)| {
            let data: Value = serde_json::from_str(&event.data).unwrap();
            assert_eq!(data["type"], event.name);
            assert_eq!(data["sequence_number"], number);
            data
        })
        .collect()
}

/// Compares with `golden/<name>.jsonl`; `BLESS=1` writes it.
fn golden(name: &str, events: &[Event]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/responses/answer/golden")
        .join(name)
        .with_extension("jsonl");
    if std::env::var_os("BLESS").is_some() {
        let lines: Vec<&str> = events.iter().map(|event| event.data.as_str()).collect();
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    }
    let expected: Vec<Value> = std::fs::read_to_string(&path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let events = parsed(events);
    for (event, expected) in events.iter().zip(&expected) {
        assert_eq!(event, expected, "{name}");
    }
    assert_eq!(events.len(), expected.len(), "{name}");
}

fn hello() -> Value {
    json!({"model": "m", "input": "hi", "instructions": "be kind", "metadata": {"a": "b"}, "temperature": 0.5})
}

fn with_tools() -> Value {
    json!({"model": "m", "input": "hi", "tools": [
        {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": false},
        {"type": "custom", "name": "apply_patch"},
    ]})
}

#[test]
fn text_comes_as_one_message() {
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11,
        "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 1}}});
    let chunks = [
        delta(&json!({"role": "assistant", "content": ""})),
        delta(&json!({"content": "Hel"})),
        delta(&json!({"content": "lo"})),
        end("stop"),
        usage,
    ];

    let (events, answer) = run(&hello(), &chunks, finish);

    golden("text", &events);
    assert_eq!(answer.response().output_text(), "Hello");
}

#[test]
fn reasoning_comes_before_the_answer_and_a_refusal_is_a_part_of_it() {
    let chunks = [
        delta(&json!({"reasoning": "may I"})),
        delta(&json!({"reasoning_content": "?", "content": "Well, "})),
        delta(&json!({"refusal": "no"})),
        delta(&json!({"refusal": "."})),
        end("stop"),
    ];

    let (events, _) = run(&hello(), &chunks, finish);

    golden("reasoning_and_refusal", &events);
}

#[test]
fn interleaved_calls_are_kept_apart() {
    let chunks = [
        delta(&json!({"content": "Looking."})),
        piece(0, Some("call_a"), Some("weather"), ""),
        piece(1, Some("call_b"), Some("apply_patch"), "{\"input\":"),
        piece(0, None, None, "{\"city\":"),
        piece(1, None, None, "\"*** é\"}"),
        piece(0, None, None, "\"Oslo\"}"),
        piece(2, None, Some("weather"), ""),
        end("tool_calls"),
    ];

    let (events, _) = run(&with_tools(), &chunks, finish);

    golden("calls", &events);
}

#[test]
fn calls_that_all_have_index_zero_are_told_apart_by_their_ids() {
    let chunks = [
        piece(0, Some("call_a"), Some("weather"), "{\"a\":1}"),
        piece(0, Some("call_b"), Some("weather"), "{\"b\":"),
        piece(0, Some("call_b"), Some("weather"), "2}"),
        end("tool_calls"),
    ];

    let (_, answer) = run(&with_tools(), &chunks, finish);

    let output = serde_json::to_value(&answer.response().output).unwrap();
    assert_eq!(output[0]["arguments"], "{\"a\":1}");
    assert_eq!(output[1]["arguments"], "{\"b\":2}");
    assert_eq!(output[1]["call_id"], "call_b");
}

#[test]
fn an_answer_that_hits_a_limit_is_incomplete() {
    let chunks = [
        delta(&json!({"content": "Look"})),
        piece(0, Some("call_a"), Some("weather"), "{}"),
        piece(1, Some("call_b"), Some("weather"), "{\"ci"),
        end("length"),
    ];

    let (events, _) = run(&with_tools(), &chunks, finish);

    golden("length", &events);
    let (events, answer) = run(&hello(), &[end("content_filter")], finish);
    assert_eq!(events.last().unwrap().name, "response.incomplete");
    assert_eq!(
        answer.response().incomplete_details,
        Some(Incomplete {
            reason: "content_filter"
        })
    );
}

#[test]
fn an_answer_that_breaks_off_has_failed() {
    let chunks = [
        delta(&json!({"reasoning": "hm"})),
        delta(&json!({"content": "Hel"})),
        piece(0, Some("call_a"), Some("weather"), "{\"ci"),
    ];

    let (events, _) = run(&with_tools(), &chunks, |answer| {
        answer.fail("stream_truncated", "cut")
    });

    golden("cut", &events);
}

#[test]
fn log_probabilities_go_with_their_text() {
    let logprob = json!({"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []});
    let chunk = json!({"choices": [{"index": 0, "delta": {"content": "Hi"}, "logprobs": {"content": [logprob]}}]});

    let (events, answer) = run(&hello(), &[chunk], finish);

    let events = parsed(&events);
    let with_logprobs = |name: &str| {
        events.iter().find(|event| event["type"] == name).unwrap()["logprobs"][0].clone()
    };
    assert_eq!(with_logprobs("response.output_text.delta"), logprob);
    assert_eq!(with_logprobs("response.output_text.done"), logprob);
    let output = serde_json::to_value(&answer.response().output).unwrap();
    assert_eq!(output[0]["content"][0]["logprobs"][0], logprob);
}

#[test]
fn however_the_text_is_cut_the_answer_is_the_same() {
    let (thought, said) = ("Überlegen wir mal.", "Grüße 🎉, \"Welt\"!\n");
    let arguments = "{\"city\":\"Tromsø 🎉\",\"n\":[1,2]}";
    let cut = |text: &str, size: usize| -> Vec<String> {
        let chars: Vec<char> = text.chars().collect();
        chars
            .chunks(size)
            .map(|piece| piece.iter().collect())
            .collect()
    };
    let whole = |size: usize| {
        let mut chunks = Vec::new();
        chunks.extend(
            cut(thought, size)
                .iter()
                .map(|text| delta(&json!({"reasoning_content": text}))),
        );
        chunks.extend(
            cut(said, size)
                .iter()
                .map(|text| delta(&json!({"content": text}))),
        );
        chunks.push(piece(0, Some("call_a"), Some("weather"), ""));
        chunks.push(piece(1, Some("call_b"), Some("weather"), ""));
        for text in cut(arguments, size) {
            chunks.push(piece(0, None, None, &text));
            chunks.push(piece(1, None, None, &text));
        }
        chunks.push(end("tool_calls"));
        run(&with_tools(), &chunks, finish)
    };
    let (_, expected) = whole(1000);

    for size in 1..40 {
        let (events, answer) = whole(size);
        assert_eq!(answer.response(), expected.response(), "pieces of {size}");
        let events = parsed(&events);
        let joined = |name: &str, index: u64| -> String {
            events
                .iter()
                .filter(|event| event["type"] == name && event["output_index"] == index)
                .map(|event| event["delta"].as_str().unwrap())
                .collect()
        };
        assert_eq!(joined("response.reasoning_text.delta", 0), thought);
        assert_eq!(joined("response.output_text.delta", 1), said);
        assert_eq!(
            joined("response.function_call_arguments.delta", 2),
            arguments
        );
        assert_eq!(
            joined("response.function_call_arguments.delta", 3),
            arguments
        );
    }
}
