//! The Responses API over chat: any request is translated or refused, and any answer ends in one event that holds it all.
#![no_main]

use aurora_openai::chat::ChatChunk;
use aurora_openai::responses::{Answer, CreateResponse, Event, Ids, Turn};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const LAST: [&str; 3] = [
    "response.completed",
    "response.incomplete",
    "response.failed",
];

fuzz_target!(|input: &[u8]| {
    // The first line is the request, each further one a chunk of the answer.
    let mut lines = input.split(|byte| *byte == b'\n');
    let Ok(body) = serde_json::from_slice(lines.next().unwrap_or_default()) else {
        return;
    };
    let create = match CreateResponse::parse(body, &mut Ids::new(1)) {
        Ok(create) => create,
        Err(refusal) => return assert!(!refusal.message.is_empty()),
    };
    let turn = match Turn::new(&create, &[]) {
        Ok(turn) => turn,
        Err(refusal) => return assert!(!refusal.message.is_empty()),
    };
    serde_json::to_string(&turn.chat).expect("a chat request has a JSON form");
    // What was answered and is kept can be continued.
    if let Ok(again) = Turn::new(&create, &create.input) {
        assert!(again.chat.messages.len() >= turn.chat.messages.len());
    }

    let mut answer = Answer::new(&create, turn.custom_tools, Ids::new(2), 1);
    let mut events = answer.begin();
    let mut fails = false;
    for line in lines {
        match serde_json::from_slice::<ChatChunk>(line) {
            Ok(chunk) => events.extend(answer.push(chunk)),
            Err(_) => fails = true,
        }
    }
    events.extend(if fails {
        answer.fail("stream_truncated", "cut")
    } else {
        answer.finish(2)
    });
    check(&events, &answer);
});

fn check(events: &[Event], answer: &Answer) {
    let mut deltas = String::new();
    for (place, event) in events.iter().enumerate() {
        let data: Value = serde_json::from_str(&event.data).expect("events are JSON");
        assert_eq!(data["type"], event.name);
        assert_eq!(data["sequence_number"], place);
        assert_eq!(LAST.contains(&event.name), place + 1 == events.len());
        if let ("response.output_text.delta", Some(delta)) = (event.name, data["delta"].as_str()) {
            deltas.push_str(delta);
        }
    }
    let kept = serde_json::to_value(answer.response()).expect("a response has a JSON form");
    let last: Value = serde_json::from_str(&events[events.len() - 1].data).expect("as above");
    assert_eq!(last["response"], kept);
    let items = kept["output"].as_array().expect("output is a list");
    let parts = items
        .iter()
        .flat_map(|item| item["content"].as_array().into_iter().flatten());
    let texts = parts.filter(|part| part["type"] == "output_text");
    let text: String = texts.filter_map(|part| part["text"].as_str()).collect();
    assert_eq!(text, deltas);
}
