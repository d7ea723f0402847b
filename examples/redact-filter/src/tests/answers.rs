//! What models say, whole and in events.

use aurora_sdk::testing::{self, FakeHost};
use aurora_sdk::{Body, Response};

use super::requests::Pieces;
use super::*;
use crate::Redact;

/// The body that the client reads, and the host.
fn pass(response: Response) -> (String, FakeHost) {
    let host = FakeHost::new();
    let options = json!({ "words": ["Project X"], "replacement": "#" });
    let request = testing::request("POST", "/");
    let passed = host.filter(&Redact, options, request, response).unwrap();
    assert!(passed.answer.broken.is_none());
    (passed.answer.text(), host)
}

fn stream(text: &str, piece: usize) -> Response {
    let pieces = text
        .as_bytes()
        .chunks(piece)
        .map(|piece| Ok(piece.to_vec().into()));
    let body = Body::stream(Box::pin(Pieces(pieces.collect())), None);
    Response::events(body.into_stream())
}

/// The events that the client reads.
fn events(sent: &[Value]) -> Vec<Value> {
    let text: String = sent.iter().map(written).collect();
    let (text, _) = pass(stream(&text, 7));
    parsed(&text)
}

fn written(event: &Value) -> String {
    match event["type"].as_str() {
        Some(name) => format!("event: {name}\ndata: {event}\n\n"),
        None => format!("data: {event}\n\n"),
    }
}

fn parsed(text: &str) -> Vec<Value> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let json = lines.filter(|line| *line != "[DONE]");
    json.map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn chunk(index: u64, delta: &Value) -> Value {
    json!({ "id": "c", "choices": [{ "index": index, "delta": delta, "finish_reason": null }] })
}

fn finish(index: u64) -> Value {
    json!({ "id": "c", "choices": [{ "index": index, "delta": {}, "finish_reason": "stop" }] })
}

/// What is said in one field of one choice.
fn said(events: &[Value], index: u64, field: &str) -> String {
    let choices = events
        .iter()
        .flat_map(|event| event["choices"].as_array().unwrap());
    let choices = choices.filter(|choice| choice["index"] == index);
    choices
        .filter_map(|choice| choice["delta"][field].as_str())
        .collect()
}

#[test]
fn a_secret_is_masked_wherever_the_stream_is_cut() {
    let text = "I am ann@example.com, card 4111 1111 1111 1111; Project X";
    for at in 0..=text.len() {
        let (one, other) = text.split_at(at);
        let sent = [
            chunk(0, &json!({ "role": "assistant", "content": "" })),
            chunk(0, &json!({ "content": one })),
            chunk(0, &json!({ "content": other })),
            finish(0),
        ];
        assert_eq!(
            said(&events(&sent), 0, "content"),
            "I am #, card #; #",
            "{at}"
        );
    }
    let letters = text
        .chars()
        .map(|c| chunk(0, &json!({ "content": c.to_string() })));
    let sent: Vec<Value> = letters.chain([finish(0)]).collect();
    assert_eq!(said(&events(&sent), 0, "content"), "I am #, card #; #");
}

#[test]
fn it_makes_no_difference_how_the_bytes_come() {
    let chunks = [
        chunk(0, &json!({ "content": "ä ann@exa" })),
        chunk(0, &json!({ "content": "mple.com" })),
        finish(0),
    ];
    let text: String = chunks.iter().map(written).collect::<String>() + "data: [DONE]\n\n";
    let (expected, _) = pass(stream(&text, text.len()));
    assert!(expected.ends_with("data: [DONE]\n\n"));
    assert_eq!(said(&parsed(&expected), 0, "content"), "ä #");
    for piece in 1..text.len() {
        assert_eq!(pass(stream(&text, piece)).0, expected, "{piece}");
    }
}

#[test]
fn each_choice_and_field_is_a_text_of_its_own() {
    let sent = [
        chunk(0, &json!({ "content": "ann@exam" })),
        chunk(1, &json!({ "content": "bob@exam" })),
        chunk(
            0,
            &json!({ "reasoning_content": "+49 30 12", "content": "ple.c" }),
        ),
        chunk(0, &json!({ "reasoning_content": "34567", "content": "om" })),
        chunk(1, &json!({ "content": "ple.com." })),
        finish(1),
        finish(0),
    ];

    let events = events(&sent);

    assert_eq!(said(&events, 0, "content"), "#");
    assert_eq!(said(&events, 0, "reasoning_content"), "#");
    assert_eq!(said(&events, 1, "content"), "#.");
}

#[test]
fn what_is_held_back_goes_out_before_the_end_of_its_choice() {
    let sent = [
        chunk(0, &json!({ "role": "assistant", "content": "so long" })),
        chunk(1, &json!({ "content": "fare well" })),
        finish(0),
        json!({ "id": "c", "choices": [], "usage": { "prompt_tokens": 1, "completion_tokens": 1 } }),
    ];

    let events = events(&sent);

    assert_eq!(
        events,
        [
            chunk(0, &json!({ "role": "assistant", "content": "so " })),
            chunk(1, &json!({ "content": "fare " })),
            chunk(0, &json!({ "content": "long" })),
            finish(0),
            sent[3].clone(),
            chunk(1, &json!({ "content": "well" })),
        ]
    );
}

#[test]
fn text_in_the_last_chunk_of_a_choice_stays_in_it() {
    let last = |content| {
        let delta = json!({ "content": content });
        json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": "stop" }] })
    };

    assert_eq!(events(&[last("ann@example.com")]), [last("#")]);
}

#[test]
fn chunks_that_say_nothing_any_more_are_left_out_and_no_others() {
    let call = json!({ "tool_calls": [{ "index": 0, "function": { "arguments": "{\"to\":\"ann@example.com\"}" } }] });
    let sent = [
        chunk(0, &json!({ "content": "hel" })),
        chunk(0, &json!({ "content": "lo " })),
        chunk(0, &call),
        finish(0),
    ];

    let events = events(&sent);

    assert_eq!(
        events,
        [
            chunk(0, &json!({ "content": "hello " })),
            chunk(0, &call),
            finish(0)
        ]
    );
}

#[test]
fn events_of_responses_are_masked_and_numbered_anew() {
    let delta = |number, text| {
        json!({ "type": "response.output_text.delta", "sequence_number": number, "item_id": "i",
            "output_index": 0, "content_index": 0, "delta": text, "logprobs": [{ "token": text }] })
    };
    let expected_delta = |number, text| {
        let mut delta = delta(number, text);
        delta["logprobs"] = json!([]);
        delta
    };
    let text = "mail ann@example.com or call 0";
    let part = |text| json!({ "type": "output_text", "text": text });
    let done = |number, text| {
        json!({ "type": "response.output_text.done", "sequence_number": number, "item_id": "i",
            "output_index": 0, "content_index": 0, "text": text })
    };
    let completed = |number, text| {
        let item = json!({ "type": "message", "content": [part(text)] });
        json!({ "type": "response.completed", "sequence_number": number, "response": { "output": [item] } })
    };
    let sent = [
        json!({ "type": "response.created", "sequence_number": 0 }),
        delta(1, "mail ann@"),
        delta(2, "example"),
        delta(3, ".com or "),
        delta(4, "call 0"),
        done(5, text),
        completed(6, text),
    ];

    let masked = "mail # or call 0";
    assert_eq!(
        events(&sent),
        [
            sent[0].clone(),
            expected_delta(1, "mail "),
            expected_delta(2, "# or "),
            expected_delta(3, "call "),
            expected_delta(4, "0"),
            done(5, masked),
            completed(6, masked),
        ]
    );
}

#[test]
fn a_text_that_nobody_ends_goes_out_with_its_answer() {
    let delta = |number, text| json!({ "type": "response.output_text.delta", "sequence_number": number, "output_index": 0, "delta": text });
    for end in [
        "response.completed",
        "response.incomplete",
        "response.failed",
    ] {
        let end = |number| json!({ "type": end, "sequence_number": number });

        let events = events(&[delta(7, "so long"), end(8)]);

        assert_eq!(events, [delta(7, "so "), delta(8, "long"), end(9)]);
    }
}

#[test]
fn events_of_the_messages_api_are_masked() {
    let delta = |text| json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": text } });
    let stop = json!({ "type": "content_block_stop", "index": 0 });

    let events = events(&[delta("I am ann@"), delta("example.com"), stop.clone()]);

    assert_eq!(events, [delta("I am "), delta("#"), stop]);
}

#[test]
fn events_of_transcriptions_are_masked() {
    let delta = |text| json!({ "type": "transcript.text.delta", "delta": text });
    let done = |text| json!({ "type": "transcript.text.done", "text": text });

    let events = events(&[delta("Project"), delta(" X"), done("Project X")]);

    assert_eq!(events, [delta("#"), done("#")]);
}

#[test]
fn whole_answers_are_masked() {
    let choice = |text| json!({ "choices": [{ "message": { "content": text }, "logprobs": { "content": [] } }] });
    let item =
        |text| json!({ "type": "message", "content": [{ "type": "output_text", "text": text }] });
    let secret = "ann@example.com";
    let mut expected = choice("#");
    expected["choices"][0]["logprobs"] = Value::Null;
    let table = [
        (choice(secret), expected),
        (
            json!({ "output": [item(secret)], "output_text": secret }),
            json!({ "output": [item("#")], "output_text": "#" }),
        ),
        (
            json!({ "type": "message", "content": [{ "type": "text", "text": secret }] }),
            json!({ "type": "message", "content": [{ "type": "text", "text": "#" }] }),
        ),
        (
            json!({ "choices": [{ "text": secret }] }),
            json!({ "choices": [{ "text": "#" }] }),
        ),
        (json!({ "text": secret }), json!({ "text": "#" })),
        (
            json!({ "data": [{ "url": secret, "id": secret }] }),
            json!({ "data": [{ "url": secret, "id": secret }] }),
        ),
    ];
    for (sent, expected) in table {
        let (text, host) = pass(Response::json(&sent).unwrap());
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
        let ways: Vec<String> = host
            .recorded()
            .into_iter()
            .map(|one| one.labels["way"].clone())
            .collect();
        assert_eq!(!ways.is_empty(), sent != expected);
        assert!(ways.iter().all(|way| way == "answer"));
    }
}
