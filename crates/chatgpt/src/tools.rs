//! Functions of the client, by a convention in text: the service has none of its own for clients.
//!
//! The model is told to write `<tool_call>{"name": .., "arguments": {..}}</tool_call>`; [`Machine`] finds these elements in
//! an answer that streams, [`parse`] in a whole one.

mod bare;
mod call;
mod declared;
mod machine;
mod prompt;
mod refusal;
mod tag;

pub use call::Call;
pub use declared::{Choice, Function, Functions};
pub use machine::{MAX_ELEMENT_BYTES, Machine, Piece};
pub use prompt::{instructions, reminder};
pub use refusal::{ASK_AGAIN, is_refusal};

/// A whole answer: what is said and what is called.
///
/// Where there is no element, JSON objects that look like calls of declared functions count too. Text before the first
/// call is trimmed at its end; text after a call is kept.
pub fn parse(answer: &str, functions: &Functions, choice: &Choice) -> (String, Vec<Call>) {
    let mut machine = Machine::new(functions.clone(), choice);
    let mut pieces = machine.push(answer);
    pieces.extend(machine.finish());
    let (mut text, mut calls) = (String::new(), Vec::new());
    for piece in pieces {
        match piece {
            Piece::Text(more) => text.push_str(&more),
            Piece::Call(call) => calls.push(call),
        }
    }
    if calls.is_empty()
        && *choice != Choice::None
        && let Some((before, found)) = bare::find(answer, functions)
    {
        return (before, found);
    }
    (text, calls)
}
