//! A turn's event stream: the same events however the bytes are cut, one ending, and no text but what was sent.
#![no_main]

use aurora_chatgpt::citations::Citations;
use aurora_chatgpt::stream::{Event, Turn, TurnOptions, to_chunk};
use libfuzzer_sys::fuzz_target;

/// Behind this line the body of a continuation follows.
const NEXT: &[u8] = b"\n:next\n";

#[derive(Debug, PartialEq)]
struct Told {
    events: Vec<Event>,
    answer: String,
    pictures: usize,
    ignored: u64,
    is_done: bool,
}

fuzz_target!(|input: &[u8]| {
    let (document, pieces) = aurora_fuzz::cut(input);
    let whole = reduce(&[document]);
    assert_eq!(reduce(&pieces), whole);

    let told: usize = whole.events.iter().map(length).sum();
    // What is no UTF-8 is replaced by three bytes; blank lines stand between messages.
    assert!(told <= 3 * document.len(), "{told}");

    if let Some(at) = document
        .windows(NEXT.len())
        .position(|window| window == NEXT)
    {
        let (first, second) = document.split_at(at);
        continued(first, second);
    }
});

fn turn() -> Turn {
    Turn::new(TurnOptions {
        citations: Citations::Strip,
        sent_ids: vec!["sent".to_owned()],
        ..TurnOptions::default()
    })
}

fn reduce(pieces: &[&[u8]]) -> Told {
    let mut turn = turn();
    let mut events = Vec::new();
    for piece in pieces {
        events.extend(turn.feed(piece));
    }
    let failed = events.iter().any(is_last);
    events.extend(turn.finish());
    assert_eq!(events.iter().filter(|event| is_last(event)).count(), 1);
    assert!(events.last().is_some_and(is_last));
    if failed {
        assert_eq!(turn.feed(b"data: {\"v\":1}\n\ndata: [DONE]\n\n"), []);
        assert_eq!(turn.finish(), []);
    }
    Told {
        answer: turn.answer(),
        pictures: turn.pictures().len(),
        ignored: turn.ignored(),
        is_done: turn.is_done(),
        events: joined(events),
    }
}

/// A second body adds to the first: what was answered then is still the beginning of the answer's text.
fn continued(first: &[u8], second: &[u8]) {
    let mut turn = turn();
    turn.feed(first);
    turn.finish();
    turn.next_body();
    let mut events = turn.feed(second);
    events.extend(turn.finish());
    assert!(events.iter().filter(|event| is_last(event)).count() <= 1);
    turn.answer();
    turn.continuation();
    for event in &events {
        to_chunk(event, "chatcmpl-1", "auto");
    }
}

fn is_last(event: &Event) -> bool {
    matches!(
        event,
        Event::Finish(_) | Event::Handoff(_) | Event::Pending(_) | Event::Failed(_)
    )
}

fn length(event: &Event) -> usize {
    match event {
        Event::Text(text) | Event::Reasoning(text) => text.len(),
        _ => 0,
    }
}

/// Pieces of one text are one event: their borders are those of the pieces that were fed.
fn joined(events: Vec<Event>) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    for event in events {
        match (all.last_mut(), event) {
            (Some(Event::Text(text)), Event::Text(more)) => text.push_str(&more),
            (Some(Event::Reasoning(text)), Event::Reasoning(more)) => text.push_str(&more),
            (_, event) => all.push(event),
        }
    }
    all
}
