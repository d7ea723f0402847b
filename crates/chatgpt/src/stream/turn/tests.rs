use serde_json::json;

use super::super::event::FinishReason;
use super::*;

fn body(frames: &[Value]) -> String {
    let frames = frames.iter().map(|frame| format!("data: {frame}\n\n"));
    frames.collect()
}

fn snapshot(id: &str, text: &str, status: &str) -> Value {
    json!({"message": {"id": id, "author": {"role": "assistant"}, "status": status,
        "content": {"content_type": "text", "parts": [text]},
        "metadata": {"message_type": "next"}, "recipient": "all"}, "conversation_id": "c", "error": null})
}

fn run(body: &str) -> (Vec<Event>, Turn) {
    let mut turn = Turn::new(TurnOptions::default());
    let mut events = turn.feed(body.as_bytes());
    events.extend(turn.finish());
    (events, turn)
}

fn told(events: &[Event]) -> String {
    let texts = events.iter().filter_map(|event| match event {
        Event::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

#[test]
fn two_visible_messages_stand_apart_and_in_order() {
    let frames = [
        snapshot("a", "First message", "finished_successfully"),
        snapshot("b", "Se", "in_progress"),
        snapshot("b", "Second", "in_progress"),
    ];

    let (events, turn) = run(&(body(&frames) + "data: [DONE]\n\n"));

    assert_eq!(told(&events), "First message\n\nSecond");
    assert_eq!(turn.answer(), "First message\n\nSecond");
    assert_eq!(events.last(), Some(&Event::Finish(FinishReason::Stop)));
}

#[test]
fn odd_frames_are_skipped_and_the_turn_completes() {
    let frames = [
        json!({"message": {"author": null, "content": null, "metadata": null}}),
        json!({"message": {"id": "x", "author": {"role": "assistant"}, "content": {"content_type": "text"}}}),
        json!({"message": {"id": "y", "author": {"role": "assistant"}, "content": {"content_type": "multimodal_text",
            "parts": ["a", {"content_type": "image_asset_pointer", "asset_pointer": "sediment://file_1"}, "b"]}}}),
        json!({"p": "/message/content/parts/9", "o": "replace", "v": "lost"}),
        json!(["list"]),
        json!(7),
        json!({"type": "unknown", "payload": {"message": "no"}}),
        json!({"type": "message_stream_complete"}),
    ];

    let (events, turn) = run(&body(&frames));

    assert_eq!(told(&events), "ab");
    assert_eq!(events.last(), Some(&Event::Finish(FinishReason::Stop)));
    assert_eq!(turn.pictures().len(), 1);
    assert_eq!(turn.ignored(), 1);
}

#[test]
fn frames_of_another_conversation_are_ignored() {
    let mut other = snapshot("z", "not ours", "in_progress");
    other["conversation_id"] = json!("other");
    let frames = [
        snapshot("a", "ours", "in_progress"),
        other,
        json!({"p": "/message/content/parts/0", "o": "append", "v": " at all"}),
        json!({"type": "title_generation", "title": "theirs", "conversation_id": "other"}),
        snapshot("a", "ours!", "in_progress"),
    ];

    let (events, _) = run(&(body(&frames) + "data: [DONE]"));

    assert_eq!(told(&events), "ours!");
    assert!(!events.contains(&Event::Title("theirs".to_owned())));
}

#[test]
fn a_repeated_history_is_no_answer() {
    let mut echo = snapshot("h", "what I said before", "finished_successfully");
    echo["message"]["metadata"] = json!({"message_type": "next"});
    let mut turn = Turn::new(TurnOptions {
        sent_ids: vec!["h".to_owned()],
        ..TurnOptions::default()
    });

    let events = turn.feed(body(&[echo, snapshot("a", "new", "in_progress")]).as_bytes());

    assert_eq!(told(&events), "new");
}

#[test]
fn moderation_blocks_only_a_message_of_this_turn() {
    let moderation = |id: &str, blocked: bool| json!({"type": "moderation", "message_id": id, "moderation_response": {"flagged": true, "blocked": blocked}});
    let start = snapshot("a", "I can", "in_progress");
    let more = snapshot("a", "I can help", "in_progress");
    let ends = |frame: Value| {
        let (events, _) = run(&(body(&[start.clone(), frame, more.clone()]) + "data: [DONE]\n\n"));
        (told(&events), events.last().cloned().unwrap())
    };

    let free = ("I can help".to_owned(), Event::Finish(FinishReason::Stop));
    assert_eq!(ends(moderation("a", false)), free);
    assert_eq!(ends(moderation("other", true)), free);
    let blocked = (
        "I can".to_owned(),
        Event::Finish(FinishReason::ContentFilter),
    );
    assert_eq!(ends(moderation("a", true)), blocked);
}

#[test]
fn an_empty_answer_is_a_failure_and_nothing_is_truncated() {
    let empty = body(&[snapshot("a", "", "finished_successfully")]) + "data: [DONE]\n\n";
    let last = |body: &str| run(body).0.pop();

    assert_eq!(last(&empty), Some(Event::Failed(StreamError::Empty)));
    assert_eq!(last(""), Some(Event::Failed(StreamError::Truncated)));
    assert_eq!(
        last("data: [DONE]\n\n"),
        Some(Event::Failed(StreamError::Empty))
    );
}

#[test]
fn a_turn_without_answer_but_with_a_turn_id_is_a_handoff() {
    let frames = [
        json!({"type": "server_ste_metadata", "conversation_id": "c",
        "metadata": {"turn_exchange_id": "t", "model_slug": "gpt-5-6-pro"}}),
    ];

    let (events, turn) = run(&(body(&frames) + "data: [DONE]\n\n"));

    assert!(matches!(events.last(), Some(Event::Handoff(handoff))
        if handoff.topic_id.as_deref() == Some("conversation-turn-t")));
    assert_eq!(turn.model(), Some("gpt-5-6-pro"));
}

#[test]
fn what_came_before_a_handoff_is_not_repeated() {
    let mut turn = Turn::new(TurnOptions::default());
    let before = [
        snapshot("a", "So far", "in_progress"),
        json!({"type": "stream_handoff", "conversation_id": "c"}),
    ];
    let mut events = turn.feed((body(&before) + "data: [DONE]\n\n").as_bytes());
    assert!(matches!(turn.finish().pop(), Some(Event::Handoff(_))));
    turn.next_body();

    let rest = [
        json!({"v": snapshot("a", "", "in_progress")}),
        json!({"p": "/message/content/parts/0", "o": "append", "v": "So "}),
        json!({"v": "far so good"}),
    ];
    events.extend(turn.feed((body(&rest) + "data: [DONE]\n\n").as_bytes()));

    assert_eq!(told(&events), "So far so good");
    assert_eq!(turn.finish(), [Event::Finish(FinishReason::Stop)]);
}

#[test]
fn chunks_of_the_chat_api_are_read_too() {
    let frames = [
        json!({"choices": [{"delta": {"role": "assistant", "reasoning_content": "hm"}}]}),
        json!({"choices": [{"delta": {"content": "Hel"}}]}),
        json!({"choices": [{"delta": {"content": "lo"}, "finish_reason": "length"}]}),
    ];

    let (events, _) = run(&body(&frames));

    assert_eq!(told(&events), "Hello");
    assert_eq!(events.last(), Some(&Event::Finish(FinishReason::Length)));
}

#[test]
fn only_the_first_of_several_variants_is_told() {
    let mut frames = vec![json!({"type": "num_variants_in_stream", "num_variants_in_stream": 2})];
    for id in ["a", "b"] {
        let mut frame = snapshot(id, id, "in_progress");
        frame["message"]["metadata"]["parent_id"] = json!("p");
        frames.push(frame);
    }

    assert_eq!(told(&run(&body(&frames)).0), "a");
}
