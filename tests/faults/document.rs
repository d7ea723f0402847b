//! The table of docs/errors.md, written from the rows that the tests use.

use std::fmt::Write as _;

use super::endpoints::{ENDPOINTS, Endpoint};
use super::outcome::{Ending, Seen};
use super::rows::{FAULTS, expected};

const BEGIN: &str = "<!-- written by `just docs` from tests/faults/rows.rs -->\n";
const END: &str = "<!-- end -->\n";

fn endpoint(name: &str) -> &'static Endpoint {
    ENDPOINTS
        .iter()
        .find(|endpoint| endpoint.name == name)
        .unwrap()
}

fn words(seen: &Seen) -> String {
    let wait = match seen.retry_after {
        Some(seconds) => format!(", `Retry-After: {seconds}`"),
        None => String::new(),
    };
    match (seen.ending, seen.code.as_str()) {
        (Ending::Whole, "") => format!("{}", seen.status),
        (Ending::Whole, "their_code") => format!("{}, the upstream's body{wait}", seen.status),
        (Ending::Whole, code) => format!("{} `{code}`{wait}", seen.status),
        (Ending::Event, code) => format!("200, error event `{code}`, broken off"),
        (Ending::Broken, _) => "200, broken off".to_owned(),
    }
}

/// Whether a second upstream answers instead.
fn covered(name: &str, fault: &super::Fault) -> bool {
    let seen = expected(fault, endpoint(name), true);
    seen.attempts == 2 && seen.status == 200
}

fn table() -> String {
    let mut table = "| fault | a whole answer | a stream | bytes, such as speech | outcome | another upstream answers |\n\
                     |---|---|---|---|---|---|\n"
        .to_owned();
    for fault in &FAULTS {
        let [whole, stream, bytes] = ["chat", "chat-stream", "speech"]
            .map(|name| words(&expected(fault, endpoint(name), false)));
        let or_same = |text: String| {
            if text == whole {
                "the same".to_owned()
            } else {
                text
            }
        };
        let [outcome, streamed] =
            ["chat", "chat-stream"].map(|name| expected(fault, endpoint(name), false).outcome);
        let outcome = if outcome == streamed {
            format!("`{outcome}`")
        } else {
            format!("`{outcome}`, of a stream `{streamed}`")
        };
        let another = match (covered("chat", fault), covered("chat-stream", fault)) {
            (true, true) => "yes",
            (true, false) => "a whole answer",
            (false, _) => "no",
        };
        let (stream, bytes) = (or_same(stream), or_same(bytes));
        writeln!(
            table,
            "| {} | {whole} | {stream} | {bytes} | {outcome} | {another} |",
            fault.name
        )
        .unwrap();
    }
    table
}

#[test]
fn the_table_of_faults_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (known, after) = rest.split_once(END).unwrap();
    let table = table();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, [before, BEGIN, &table, END, after].concat()).unwrap();
        return;
    }
    assert!(
        known == table,
        "docs/errors.md is not current: run `just docs`"
    );
}
