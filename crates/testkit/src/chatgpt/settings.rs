//! How the fake behaves where the service may behave either way.

use serde_json::Value;

/// Where download addresses lead to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Links {
    /// The blob store, signed, without credentials.
    #[default]
    Blob,
    /// `/estuary/content` of the service, with the account's credentials.
    Estuary,
}

/// How the indexing of a document goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indexing {
    /// Pending for that many looks, then done.
    After(usize),
    /// It fails.
    Failed,
    /// It stays pending.
    Never,
}

impl Default for Indexing {
    fn default() -> Self {
        Self::After(1)
    }
}

/// All switches.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "switches, each of its own")]
pub(super) struct Settings {
    pub(super) links: Links,
    pub(super) indexing: Indexing,
    /// So many download addresses are made that have already expired.
    pub(super) stale_links: usize,
    /// So many lookups of a download address say `retry`.
    pub(super) slow_links: usize,
    /// Speech comes as an address.
    pub(super) speech_by_url: bool,
    /// Transcriptions come as plain text.
    pub(super) plain_transcripts: bool,
    /// `prepare` gives no token.
    pub(super) no_conduit: bool,
    /// Longer messages are refused.
    pub(super) max_message_chars: Option<usize>,
    /// Websockets close after so many frames.
    pub(super) websocket_frames: Option<usize>,
    /// No websockets at all.
    pub(super) no_websocket: bool,
    /// What `/models` says in place of its own list.
    pub(super) models: Option<Value>,
}
