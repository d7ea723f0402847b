use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn scanned(form: Form, bytes: &[u8]) -> Scanner {
    let mut scanner = Scanner::new(form);
    scanner.push(bytes);
    scanner
}

fn json_of(value: &Value) -> Scanner {
    scanned(Form::Json, value.to_string().as_bytes())
}

#[test]
fn the_usage_of_every_api_is_found() {
    let answers = [
        json!({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21,
               "prompt_tokens_details": {"total_tokens": 5}}}),
        json!({"usage": {"input_tokens": 9, "output_tokens": 12, "total_tokens": 21}, "output": []}),
        json!({"object": "list", "data": [{"embedding": [0.1, 2]}], "usage": {"prompt_tokens": 21, "total_tokens": 21}}),
        json!({"type": "response.completed", "response": {"output": [{"content": []}],
               "usage": {"input_tokens": 20, "output_tokens": 1, "total_tokens": 21}}}),
        json!({"type": "message", "usage": {"input_tokens": 19, "output_tokens": 2}}),
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 20, "output_tokens": 1}}}),
    ];

    for answer in answers {
        assert_eq!(json_of(&answer).reported(), Some(21), "{answer}");
    }
}

#[test]
fn what_is_no_usage_counts_nothing() {
    let answers = [
        json!({"usage": null}),
        json!({"usage": {"seconds": 3}}),
        json!({"usage": "total_tokens"}),
        json!({"usage": [{"total_tokens": 3}]}),
        json!([{"usage": {"total_tokens": 3}}]),
        json!({"metadata": {"usage": {"total_tokens": 3}}}),
        json!({"choices": [{"message": {"content": "\"usage\":{\"total_tokens\":3}"}}]}),
        json!({"choices": [{"message": {"usage": {"total_tokens": 3}}}]}),
        json!({"total_tokens": 3}),
    ];

    for answer in answers {
        assert_eq!(json_of(&answer).reported(), None, "{answer}");
    }
}

#[test]
fn the_last_word_of_a_stream_holds() {
    let stream = "event: message_start\ndata: {\"message\":{\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n\
        : a comment with { in it\n\n\
        data: {\"cut\": \"in the mid\n\n\
        data: {\"usage\":null,\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\r\n\r\n\
        data: {\"usage\":{\"output_tokens\":12.0}}\n\ndata: [DONE]\n\n";

    let scanner = scanned(Form::Events, stream.as_bytes());

    assert_eq!(scanner.reported(), Some(19));
    assert_eq!(scanner.said(), 2);
}

#[test]
fn what_was_said_is_measured_once() {
    let chat = json!({"model": "not-said", "choices": [{"message": {"role": "assistant", "content": "abcd",
        "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}}]});
    assert_eq!(json_of(&chat).said(), 6);

    let responses = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"ab\"}\n\n\
        data: {\"type\":\"response.output_text.delta\",\"delta\":\"cd\"}\n\n\
        data: {\"type\":\"response.output_text.done\",\"text\":\"abcd\"}\n\n";
    assert_eq!(scanned(Form::Events, responses.as_bytes()).said(), 4);
}

#[test]
fn files_in_a_question_are_not_text() {
    let question = json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "abcd"},
        {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{}", "A".repeat(1000))}},
        {"type": "input_audio", "input_audio": {"data": "A".repeat(1000), "format": "wav"}},
    ]}]});

    let strings = json_of(&question).strings();

    let all = [
        "m",
        "user",
        "text",
        "abcd",
        "image_url",
        "input_audio",
        "wav",
    ];
    assert_eq!(strings, all.concat().len() as u64);
}

#[test]
fn deep_and_long_nonsense_is_no_danger() {
    for byte in *b"{}[]\":,\\9\n" {
        let mut scanner = scanned(Form::Events, &vec![byte; 100_000]);
        scanner.push(b"\n\n\n\ndata: {\"usage\":{\"total_tokens\":4}}\n\n");
        assert_eq!(scanner.reported(), Some(4), "{}", char::from(byte));
    }
    let huge = format!("{{\"usage\":{{\"total_tokens\":{}}}}}", "9".repeat(1000));
    assert_eq!(
        scanned(Form::Json, huge.as_bytes()).reported(),
        Some(u64::MAX)
    );
}

proptest! {
    #[test]
    fn it_does_not_matter_where_bytes_are_split(
        words in prop::collection::vec("[a-z\"\\\\\u{e9}\n{}:,]{0,12}", 1..6),
        total in 0..u64::MAX,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        is_stream: bool,
    ) {
        let usage = json!({"prompt_tokens": 3, "total_tokens": total});
        let (form, text) = if is_stream {
            let mut events: Vec<Value> = words.iter().map(|word| json!({"choices": [{"delta": {"content": word}}], "usage": null})).collect();
            events.push(json!({"choices": [], "usage": usage}));
            let events: Vec<String> = events.iter().map(|event| format!("data: {event}\n\n")).collect();
            (Form::Events, events.concat())
        } else {
            (Form::Json, json!({"content": words.concat(), "usage": usage}).to_string())
        };
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len())).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let mut scanner = Scanner::new(form);
        for pair in at.windows(2) {
            scanner.push(&text.as_bytes()[pair[0]..pair[1]]);
        }

        let whole = scanned(form, text.as_bytes());
        prop_assert_eq!(scanner.reported(), Some(total));
        prop_assert_eq!(scanner.said(), whole.said());
        // Line ends, quotes and backslashes are escaped by one byte, which does not count.
        prop_assert_eq!(scanner.said(), words.concat().len() as u64);
    }

    #[test]
    fn no_bytes_can_break_it(bytes in prop::collection::vec(any::<u8>(), 0..400), is_stream: bool) {
        let form = if is_stream { Form::Events } else { Form::Json };
        let scanner = scanned(form, &bytes);
        prop_assert!(scanner.strings() <= bytes.len() as u64);
    }
}
