//! Whole transcripts: each gives what is written beside it, however the bytes are cut.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

#[path = "transcripts/reduction.rs"]
mod reduction;

use aurora_chatgpt::stream::{Event, FinishReason, Handoff, StreamError, Turn, TurnOptions};
use aurora_chatgpt::tools::{Choice, Functions, Machine, Piece};
use reduction::{NAMES, Reduced, Transcript, reduce};

#[test]
fn every_transcript_reduces_to_what_is_written_beside_it() {
    for name in NAMES {
        let transcript = Transcript::load(name);

        let reduced = reduce(&transcript.bodies, usize::MAX);

        transcript.check(&reduced);
    }
}

#[test]
fn one_byte_at_a_time_gives_the_same_events() {
    for name in NAMES {
        let transcript = Transcript::load(name);

        let single = reduce(&transcript.bodies, 1);

        assert_eq!(single, reduce(&transcript.bodies, usize::MAX), "{name}");
    }
}

#[test]
fn every_split_gives_the_same_events() {
    for name in [
        "12_unicode_split",
        "18b_handoff_resume",
        "20_tool_call_text",
    ] {
        let body = Transcript::load(name).bodies.pop().unwrap();
        let whole = reduce(std::slice::from_ref(&body), usize::MAX);
        for at in 0..body.len() {
            let (head, tail) = body.split_at(at);
            let mut turn = Turn::new(TurnOptions::default());
            let mut events = turn.feed(head);
            events.extend(turn.feed(tail));
            events.extend(turn.finish());
            assert_eq!(Reduced::of(&events, &turn), whole, "{name} split at {at}");
        }
    }
}

#[test]
fn a_cut_stream_never_looks_finished() {
    let ends = [
        "[DONE]",
        "message_stream_complete\"",
        "\"end_turn\": true, \"weight\": 1.0",
        "\"/message/end_turn\", \"o\": \"replace\", \"v\": true",
        "\"blocked\": true",
        "stream_handoff",
        "\"message\": null",
    ];
    for name in NAMES {
        let body = Transcript::load(name).bodies.remove(0);
        let text = String::from_utf8_lossy(&body).into_owned();
        let end = ends
            .iter()
            .filter_map(|mark| text.find(mark))
            .min()
            .unwrap();
        // all bytes of the short ones; the time grows with the square
        for at in (0..end).step_by(1 + end / 700) {
            let mut turn = Turn::new(TurnOptions::default());
            let (head, _) = body.split_at(at);
            turn.feed(head);
            let last = turn.finish().pop();
            assert_eq!(
                last,
                Some(Event::Failed(StreamError::Truncated)),
                "{name} cut at {at}"
            );
        }
    }
}

#[test]
fn a_cut_after_the_finished_answer_is_a_success() {
    let body = Transcript::load("02_delta_basic").bodies.remove(0);
    let text = String::from_utf8(body).unwrap();
    let (head, _) = text.split_once("data: {\"type\": \"message_marker\", \"conversation_id\": \"67a1f0c2-3b44-8006-9d1e-5c0a7b21e4f0\", \"message_id\": \"5d0a1c11-0a01-4b6e-8d6a-0d6a00000003\", \"marker\": \"last_token\"").unwrap();
    let mut turn = Turn::new(TurnOptions::default());

    turn.feed(head.as_bytes());

    assert_eq!(turn.finish().pop(), Some(Event::Finish(FinishReason::Stop)));
}

#[test]
fn a_handoff_says_where_the_rest_is() {
    let body = Transcript::load("18_stream_handoff").bodies.remove(0);
    let mut turn = Turn::new(TurnOptions::default());
    turn.feed(&body);

    let last = turn.finish().pop();

    let handoff = Handoff {
        conversation_id: "67a1f0c2-3b44-8006-9d1e-5c0a7b21e4f0".to_owned(),
        topic_id: Some("conversation-turn-0f4c1d52-77aa-4b55-9b0e-1d3e5a7c9b11".to_owned()),
        resume_token: Some("eyJhbGciOiJFUzI1NiJ9.ZmFrZS1yZXN1bWUtdG9rZW4.c2ln".to_owned()),
    };
    assert_eq!(last, Some(Event::Handoff(handoff)));
}

#[test]
fn a_cut_answer_names_its_continuation() {
    let body = Transcript::load("07_max_tokens_continue").bodies.remove(0);
    let mut turn = Turn::new(TurnOptions::default());
    turn.feed(&body);

    let last = turn.finish().pop();

    assert_eq!(last, Some(Event::Finish(FinishReason::Length)));
    let next = turn.continuation().unwrap();
    assert_eq!(
        next.parent_message_id,
        "5d0a1c11-0a01-4b6e-8d6a-0d6a00000003"
    );
    assert_eq!(next.conversation_id, "67a1f0c2-3b44-8006-9d1e-5c0a7b21e4f0");
}

#[test]
fn a_call_in_text_is_taken_out_and_none_of_its_tag_is_told() {
    let body = Transcript::load("20_tool_call_text").bodies.remove(0);
    let tool = serde_json::json!({"type": "function", "function": {"name": "get_weather"}});
    let mut machine = Machine::new(Functions::read(&[tool]), &Choice::Auto);
    let mut turn = Turn::new(TurnOptions::default());

    let mut pieces = Vec::new();
    for byte in body.chunks(1) {
        for event in turn.feed(byte) {
            if let Event::Text(text) = event {
                pieces.extend(machine.push(&text));
            }
        }
    }
    pieces.extend(machine.finish());

    assert_eq!(pieces.remove(0), Piece::Text("Let me look.".to_owned()));
    let [Piece::Call(call)] = pieces.as_slice() else {
        unreachable!("{pieces:?}")
    };
    assert_eq!(call.name, "get_weather");
    assert_eq!(call.arguments, "{\"city\":\"Paris\",\"unit\":\"celsius\"}");
}
