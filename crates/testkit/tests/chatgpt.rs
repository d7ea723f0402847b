//! The fake ChatGPT web service itself: what it refuses, its flows, its knobs.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

#[path = "chatgpt/client.rs"]
mod client;

#[path = "chatgpt/access.rs"]
mod access;
#[path = "chatgpt/audio.rs"]
mod audio;
#[path = "chatgpt/catalog.rs"]
mod catalog;
#[path = "chatgpt/files.rs"]
mod files;
#[path = "chatgpt/handoff.rs"]
mod handoff;
#[path = "chatgpt/images.rs"]
mod images;
#[path = "chatgpt/mistakes.rs"]
mod mistakes;
#[path = "chatgpt/program.rs"]
mod program;
#[path = "chatgpt/streams.rs"]
mod streams;
#[path = "chatgpt/transcripts.rs"]
mod transcripts;
#[path = "chatgpt/turns.rs"]
mod turns;
