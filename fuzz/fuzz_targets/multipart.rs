//! Forms: what is passed on and what is learnt do not depend on how the bytes are cut.
#![no_main]

use std::collections::BTreeMap;

use aurora_openai::multipart::{Form, boundary};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

/// The largest head of a part that is held, and what may stand before its end.
const HOLD_MAX: usize = 16 * 1024 + 100;

#[derive(Debug, PartialEq)]
struct Seen {
    passed: Vec<u8>,
    model: Option<String>,
    is_decided: bool,
    is_ambiguous: bool,
}

fuzz_target!(|input: &[u8]| {
    // The first line is the content type.
    let (first, form) = input.split_at(input.iter().position(|byte| *byte == b'\n').unwrap_or(0));
    let first = String::from_utf8_lossy(first);
    let boundary = boundary(&first).unwrap_or("B");
    assert!((1..=70).contains(&boundary.len()));
    let (document, pieces) = aurora_fuzz::cut(form);

    let plain = |pieces: &[&[u8]]| follow(Form::new(boundary), pieces);
    let whole = plain(&[document]);
    assert_eq!(whole.passed, document);
    assert_eq!(plain(&pieces), whole);

    let names = BTreeMap::from([("fast".to_owned(), "gpt-4o".to_owned())]);
    let renamed = |pieces: &[&[u8]]| follow(Form::renaming(boundary, names.clone()), pieces);
    let changed = renamed(&[document]);
    assert_eq!(renamed(&pieces), changed);
    assert_eq!(changed.model, whole.model);
    if whole.model.as_deref() == Some("fast") {
        assert_eq!(changed.passed.len(), document.len() + 2);
    } else {
        assert_eq!(changed.passed, document);
    }
});

fn follow(mut form: Form, pieces: &[&[u8]]) -> Seen {
    let (mut taken, mut passed, mut was_decided) = (0, Vec::new(), false);
    for piece in pieces {
        passed.extend_from_slice(&form.push(Bytes::copy_from_slice(piece)));
        taken += piece.len();
        assert!(taken <= passed.len() + HOLD_MAX);
        assert!(form.is_decided() >= was_decided);
        was_decided = form.is_decided();
    }
    let (model, is_ambiguous) = (form.model().map(str::to_owned), form.is_ambiguous());
    passed.extend_from_slice(&form.finish());
    Seen {
        passed,
        model,
        is_decided: was_decided,
        is_ambiguous,
    }
}
