//! Marks of citations: what is shown does not depend on how the text is cut, and no private character is shown.
#![no_main]

use aurora_chatgpt::citations::{Citations, Renderer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (document, pieces) = aurora_fuzz::cut_text(input);

    let whole = Renderer::new(Citations::Strip).whole(&document);
    let mut renderer = Renderer::new(Citations::Strip);
    let mut shown: String = pieces.iter().map(|piece| renderer.push(piece)).collect();
    shown.push_str(&renderer.flush());
    assert_eq!(shown, whole);
    assert!(aurora_fuzz::is_rest_of(&whole, &document));

    // Where links may still come, how long is waited depends on the pieces; what is shown is never private.
    let mut renderer = Renderer::new(Citations::Links);
    for piece in &pieces {
        shown.push_str(&renderer.push(piece));
    }
    shown.push_str(&renderer.flush());
    assert!(!shown.contains(|c| ('\u{e000}'..='\u{f8ff}').contains(&c)));
});
