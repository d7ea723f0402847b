//! Event streams: events and borders do not depend on how the bytes are cut, and agree with a plain reading of the standard.
#![no_main]

use aurora_openai::sse::{Decoder, End, Event, Finish, Framer, TooLarge};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

/// Small, so that streams which are refused are found.
const MAX_EVENT: usize = 200;

/// How much of an unfinished event the framer holds back.
const HOLD_MAX: usize = 64 * 1024;

const NAMES: &[&str] = &["response.completed", "response.failed", "message_stop"];

const ENDS: [End; 4] = [
    End::Done,
    End::DoneOrFinishReason,
    End::Named(NAMES),
    End::Message,
];

fuzz_target!(|input: &[u8]| {
    let (document, pieces) = aurora_fuzz::cut(input);
    decoded(document, &pieces);
    let end = ENDS[input.len() % ENDS.len()];
    let whole = relayed(end, document, &[document]);
    assert_eq!(relayed(end, document, &pieces), whole, "{end:?}");
});

fn decoded(document: &[u8], pieces: &[&[u8]]) {
    let (whole, fed) = decode(MAX_EVENT, &[document]);
    assert_eq!(decode(MAX_EVENT, pieces), (whole.clone(), fed));
    assert!(whole.iter().all(|event| event.data.len() <= 3 * MAX_EVENT));
    let (unbounded, _) = decode(usize::MAX, &[document]);
    assert_eq!(unbounded, plainly_read(document));
    assert!(unbounded.starts_with(&whole));
}

fn decode(max: usize, pieces: &[&[u8]]) -> (Vec<Event>, Result<(), TooLarge>) {
    let mut decoder = Decoder::new(max);
    let mut events = Vec::new();
    for piece in pieces {
        let fed = decoder.feed(piece);
        events.extend(std::iter::from_fn(|| decoder.next_event()));
        if fed.is_err() {
            return (events, fed);
        }
    }
    (events, Ok(()))
}

/// The standard's rules, one after the other, on a stream that is all there.
fn plainly_read(document: &[u8]) -> Vec<Event> {
    let document = document
        .strip_prefix("\u{feff}".as_bytes())
        .unwrap_or(document);
    let text = String::from_utf8_lossy(document);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let (lines, _unfinished) = text.rsplit_once('\n').unwrap_or_default();
    let (mut events, mut name, mut data) = (Vec::new(), String::new(), Vec::new());
    for line in lines.split('\n') {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if line.is_empty() => {
                let event = Event {
                    name: std::mem::take(&mut name),
                    data: data.join("\n"),
                };
                if !data.is_empty() {
                    events.push(event);
                }
                data.clear();
            }
            "event" => value.clone_into(&mut name),
            "data" => data.push(value.to_owned()),
            _ => {}
        }
    }
    events
}

fn relayed(end: End, document: &[u8], pieces: &[&[u8]]) -> Finish {
    let mut framer = Framer::new(end);
    let (mut taken, mut passed) = (0, Vec::new());
    for piece in pieces {
        taken += piece.len();
        passed.extend_from_slice(&framer.push(Bytes::copy_from_slice(piece)));
        assert!(passed.len() <= taken && taken - passed.len() <= HOLD_MAX);
    }
    let finish = framer.finish();
    passed.extend_from_slice(&finish.rest);
    assert_eq!(passed, document);
    finish
}
