//! Every endpoint through the front door: shapes, streams, errors, and no panic whatever comes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code: helpers outside of test functions"
)]

#[path = "endpoints/audio.rs"]
mod audio;
#[path = "endpoints/chat.rs"]
mod chat;
#[path = "endpoints/client.rs"]
mod client;
#[path = "endpoints/errors.rs"]
mod errors;
#[path = "endpoints/files.rs"]
mod files;
#[path = "endpoints/images.rs"]
mod images;
#[path = "endpoints/noise.rs"]
mod noise;
#[path = "endpoints/text.rs"]
mod text;
