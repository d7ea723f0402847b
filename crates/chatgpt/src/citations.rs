//! Citations: marks in the text of an answer become links, and what is left of them never reaches a client.
//!
//! New marks stand between private-use characters, `U+E200 cite U+E202 turn0search0 U+E201`; old ones read `【3†source】`.
//! What they point to arrives in the message's metadata, usually after the mark.

mod mark;
mod renderer;
mod sources;

pub use renderer::{HOLD_DELTAS, MAX_MARK_BYTES, Renderer};
pub use sources::Sources;

/// What becomes of citations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Citations {
    /// Marks become Markdown links.
    #[default]
    Links,
    /// Marks are taken out.
    Strip,
}
