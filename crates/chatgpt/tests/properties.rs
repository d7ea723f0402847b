//! Whatever the words and however they are cut: no panic, and the same result.

use aurora_chatgpt::citations::{Citations, Renderer};
use aurora_chatgpt::credential::{Presented, lines};
use aurora_chatgpt::fault::{Refusal, redact, wait_in};
use aurora_chatgpt::tools::{Choice, Functions, Machine, Piece};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

/// Pieces of text that mean something to one part or another.
fn words() -> impl Strategy<Value = Vec<&'static str>> {
    let words = vec![
        "<",
        "tool_call",
        ">",
        "</tool_call>",
        "<tool_call>",
        "<tool_calls>",
        "{\"name\":\"Bash\",",
        "\"arguments\":{\"command\":\"ls\"}}",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "\\",
        "```",
        "```json\n",
        "\n",
        " ",
        "\u{e200}cite",
        "\u{e202}",
        "turn0search0",
        "\u{e201}",
        "【3",
        "†source",
        "】",
        "é",
        "👩",
        "text",
    ];
    vec(prop::sample::select(words), 0..30)
}

fn joined(pieces: impl IntoIterator<Item = Piece>) -> (String, usize) {
    let (mut text, mut calls) = (String::new(), 0);
    for piece in pieces {
        match piece {
            Piece::Text(more) => text.push_str(&more),
            Piece::Call(_) => calls += 1,
        }
    }
    (text, calls)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn calls_do_not_depend_on_splits(words in words()) {
        let tool = json!({"type": "function", "function": {"name": "Bash"}});
        let functions = Functions::read(&[tool]);
        let run = |pieces: &[&str]| {
            let mut machine = Machine::new(functions.clone(), &Choice::Auto);
            let mut out: Vec<Piece> = pieces.iter().flat_map(|piece| machine.push(piece)).collect();
            out.extend(machine.finish());
            joined(out)
        };

        prop_assert_eq!(run(&words), run(&[&words.concat()]));
    }

    #[test]
    fn marks_do_not_depend_on_splits(words in words()) {
        let run = |pieces: &[&str]| {
            let mut renderer = Renderer::new(Citations::Strip);
            let mut out: String = pieces.iter().map(|piece| renderer.push(piece)).collect();
            out.push_str(&renderer.flush());
            out
        };
        let whole = words.concat();

        prop_assert_eq!(run(&words), run(&[&whole]));
        prop_assert_eq!(run(&[&whole]), Renderer::new(Citations::Strip).whole(&whole));
    }

    #[test]
    fn odd_headers_files_and_bodies_are_read(text in any::<String>(), body in vec(any::<u8>(), 0..200), status in 100_u16..600) {
        Presented::read(Some(&text), Some(&text));
        lines(&text);
        wait_in(&text);
        redact(&text);
        let refusal = Refusal { status, content_type: &text, retry_after: Some(&text), is_mitigated: false, body: &body };
        prop_assert!(!refusal.classify().message.is_empty());
    }
}
