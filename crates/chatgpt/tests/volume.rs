//! Volume: time grows with the bytes that arrive, not with their square; nothing that arrives makes it panic.

use std::time::{Duration, Instant};

use aurora_chatgpt::stream::{Event, FinishReason, StreamError, Turn, TurnOptions};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

fn run(body: &[u8], piece: usize) -> (String, Option<Event>) {
    let mut turn = Turn::new(TurnOptions::default());
    let mut text = String::new();
    for piece in body.chunks(piece) {
        for event in turn.feed(piece) {
            if let Event::Text(more) = event {
                text.push_str(&more);
            }
        }
    }
    let mut events = turn.finish();
    let last = events.pop();
    for event in events {
        if let Event::Text(more) = event {
            text.push_str(&more);
        }
    }
    (text, last)
}

fn frame(text: &str) -> String {
    let message = json!({"id": "a", "author": {"role": "assistant"}, "status": "in_progress",
        "content": {"content_type": "text", "parts": [text]}, "metadata": {"message_type": "next"}});
    format!(
        "data: {}\n\n",
        json!({"message": message, "conversation_id": "c"})
    )
}

fn deltas(prefix: &str, count: usize) -> String {
    let mut body = frame(prefix);
    body.push_str("data: {\"p\":\"/message/content/parts/0\",\"o\":\"append\",\"v\":\"x\"}\n\n");
    for _ in 1..count {
        body.push_str("data: {\"v\":\"x\"}\n\n");
    }
    body.push_str("data: [DONE]\n\n");
    body
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

#[test]
fn five_mebibytes_in_four_snapshots_arrive_whole() {
    let text = "word ".repeat(1 << 20);
    let steps = (1..=4).map(|step| frame(text.get(..text.len() / 4 * step).unwrap()));
    let body: String = steps.chain(["data: [DONE]\n\n".to_owned()]).collect();

    let (told, last) = run(body.as_bytes(), 64 << 10);

    assert_eq!(told, text);
    assert_eq!(last, Some(Event::Finish(FinishReason::Stop)));
}

#[test]
fn ten_thousand_deltas_cost_the_same_after_a_long_text() {
    let (short, long) = (deltas("", 10_000), deltas(&"y".repeat(1 << 20), 10_000));
    let alone = time(|| drop(run(frame(&"y".repeat(1 << 20)).as_bytes(), 64 << 10)));
    let after_short = time(|| assert_eq!(run(short.as_bytes(), 4096).0.len(), 10_000));

    let after_long = time(|| assert_eq!(run(long.as_bytes(), 4096).0.len(), (1 << 20) + 10_000));

    let bound = after_short * 4 + alone * 4 + Duration::from_millis(500);
    assert!(
        after_long < bound,
        "{after_long:?} {after_short:?} {alone:?}"
    );
}

#[test]
fn a_turn_beyond_its_bound_fails() {
    let mut turn = Turn::new(TurnOptions::default());
    turn.feed(frame("").as_bytes());
    let more = json!({"p": "/message/content/parts/0", "o": "append", "v": "x".repeat(24 << 20)});
    let more = format!("data: {more}\n\n");

    let events: Vec<Event> = (0..2).flat_map(|_| turn.feed(more.as_bytes())).collect();

    assert_eq!(events.last(), Some(&Event::Failed(StreamError::TooLarge)));
    assert_eq!(turn.finish(), []);
}

const WORDS: &str = "message /message/content/parts/0 /message/content/thoughts/0/content append patch replace \
    truncate remove text thoughts assistant tool all finished_successfully final moderation stream_handoff error \
    \u{e200}cite \u{e202}turn0search0\u{e201} 【3†source】 é";

const KEYS: &str = "message v p o type id author role content content_type parts thoughts metadata status end_turn \
    recipient channel error choices conversation_id content_references citations matched_text start_ix end_ix";

fn one_of(words: &'static str) -> impl Strategy<Value = &'static str> {
    prop::sample::select(words.split_whitespace().collect::<Vec<_>>())
}

/// JSON that is close enough to the protocol to reach every part of it.
fn odd_frame() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        one_of(WORDS).prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((one_of(KEYS), inner), 0..6).prop_map(|pairs| {
                let pairs = pairs
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value));
                Value::Object(pairs.collect())
            }),
        ]
    })
}

fn stream(frames: &[Value]) -> String {
    let frames = frames.iter().map(|frame| format!("data: {frame}\n\n"));
    frames.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..600)) {
        run(&bytes, 7);
    }

    #[test]
    fn no_frames_make_it_panic_and_no_split_matters(frames in vec(odd_frame(), 1..12), piece in 1_usize..40) {
        let body = stream(&frames);

        let (text, _) = run(body.as_bytes(), usize::MAX);
        let private = text.contains(|c| ('\u{e000}'..='\u{f8ff}').contains(&c));
        prop_assert!(!private, "private-use characters");
        prop_assert_eq!(run(body.as_bytes(), piece), run(body.as_bytes(), usize::MAX));
    }
}
