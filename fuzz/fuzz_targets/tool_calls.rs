//! Calls in the text of an answer: the same however the text is cut, and nothing is said that was not in it.
#![no_main]

use aurora_chatgpt::tools::{Call, Choice, Functions, Machine, Piece, is_refusal, parse};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

#[derive(Debug, Default, PartialEq)]
struct Said {
    text: String,
    calls: Vec<Call>,
}

fuzz_target!(|input: &[u8]| {
    let (document, pieces) = aurora_fuzz::cut_text(input);
    let functions = functions();

    let whole = said(&functions, &Choice::Auto, &[&document]);
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    assert_eq!(said(&functions, &Choice::Auto, &pieces), whole);

    assert!(aurora_fuzz::is_rest_of(&whole.text, &document));
    if !document.contains('<') {
        assert_eq!(whole.text, document);
    }
    check(&functions, &whole.calls);
    let (text, calls) = parse(&document, &functions, &Choice::Required);
    assert!(aurora_fuzz::is_rest_of(&text, &document));
    check(&functions, &calls);
    if !whole.calls.is_empty() {
        assert_eq!((text, calls), (whole.text, whole.calls));
    }

    for (functions, choice) in [
        (&functions, Choice::None),
        (&Functions::default(), Choice::Auto),
    ] {
        let off = said(functions, &choice, &pieces);
        assert_eq!((off.text, off.calls), (document.clone(), Vec::new()));
    }
    is_refusal(&document);
});

fn functions() -> Functions {
    let function = |name: &str| json!({"type": "function", "function": {"name": name}});
    Functions::read(&[function("Bash"), function("get_weather")])
}

fn said(functions: &Functions, choice: &Choice, pieces: &[&str]) -> Said {
    let mut machine = Machine::new(functions.clone(), choice);
    let mut found: Vec<Piece> = pieces
        .iter()
        .flat_map(|piece| machine.push(piece))
        .collect();
    found.extend(machine.finish());
    let mut said = Said::default();
    for piece in found {
        match piece {
            Piece::Text(more) => said.text.push_str(&more),
            Piece::Call(call) => said.calls.push(call),
        }
    }
    said
}

fn check(functions: &Functions, calls: &[Call]) {
    for (place, call) in calls.iter().enumerate() {
        assert!(functions.iter().any(|known| known.name == call.name));
        serde_json::from_str::<Value>(&call.arguments).expect("arguments are JSON");
        assert!(!calls.iter().skip(place + 1).any(|other| other == call));
    }
}
