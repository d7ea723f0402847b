//! Requests for pictures: transcripts and polls to outcomes.
#![expect(clippy::unwrap_used, reason = "test code")]

use aurora_chatgpt::fault::FaultKind;
use aurora_chatgpt::image::Outcome;
use aurora_chatgpt::stream::{Saved, Turn, TurnOptions};
use serde_json::Value;

fn read(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/transcripts/");
    std::fs::read(format!("{folder}{name}")).unwrap()
}

fn outcome(name: &str) -> Outcome {
    let mut turn = Turn::new(TurnOptions::default());
    turn.feed(&read(name));
    let ending = turn.finish().pop().unwrap();
    Outcome::of_turn(&turn, &ending)
}

fn kind(outcome: Outcome) -> (FaultKind, Option<u64>) {
    match outcome {
        Outcome::Failed(fault) => (fault.kind, fault.clears_in.map(|wait| wait.as_secs())),
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn a_picture_in_the_stream_counts_once() {
    let Outcome::Ready(pictures) = outcome("05_image_tool_inline.sse") else {
        unreachable!()
    };

    assert_eq!(pictures.len(), 1);
    let prompt = pictures[0].prompt.as_deref();
    assert_eq!(
        prompt,
        Some("A cute orange cat wearing sunglasses, digital art")
    );
    assert_eq!(
        pictures[0].message_id,
        "5d0a1c11-0a01-4b6e-8d6a-0d6a00000006"
    );
}

#[test]
fn a_placeholder_is_polled_until_the_picture_is_there() {
    let expected: Value = serde_json::from_slice(&read("06_image_async.json")).unwrap();
    let polls = expected["conversation_poll"].as_array().unwrap().iter();

    let outcomes: Vec<Outcome> = polls
        .map(|poll| Outcome::of_saved(&Saved::read(&poll["body"])))
        .collect();

    assert_eq!(outcome("06_image_async.sse"), Outcome::Pending);
    assert_eq!(outcomes.first(), Some(&Outcome::Pending));
    let Some(Outcome::Ready(pictures)) = outcomes.last() else {
        unreachable!("{outcomes:?}")
    };
    assert_eq!(pictures[0].file_id, expected["expected_result"]["file_id"]);
    let refused = Outcome::of_saved(&Saved::read(&expected["conversation_poll_refused"]));
    assert_eq!(kind(refused), (FaultKind::ContentPolicy, None));
}

#[test]
fn a_quota_is_a_limit_with_its_wait() {
    assert_eq!(
        kind(outcome("25_image_quota.sse")),
        (FaultKind::ImageLimit, Some(840))
    );
}

#[test]
fn speech_is_made_from_what_the_request_said() {
    let expected: Value = serde_json::from_slice(&read("21_tts_seed.json")).unwrap();
    let mut turn = Turn::new(TurnOptions::default());

    turn.feed(&read("21_tts_seed.sse"));

    assert_eq!(
        turn.repeated_answer_id(),
        expected["pick"]["message_id"].as_str()
    );
    assert_eq!(
        turn.conversation_id(),
        expected["pick"]["conversation_id"].as_str()
    );
}
