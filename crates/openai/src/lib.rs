//! OpenAI wire types, event-stream framing and the error envelope. Pure data: no I/O, no clock.

pub mod chat;
mod error;
pub mod models;
pub mod multipart;
pub mod peek;
pub mod responses;
pub mod sse;
pub mod usage;

pub use error::{ErrorBody, ErrorEnvelope};
