//! The built-in mock upstream: an OpenAI server as one pure function.
//!
//! Deterministic: the same request has the same answer, with ids made from a hash of the request and the time that is
//! passed in. No runtime, no socket, no clock, no global state; uploaded files live in the [`aurora_sdk::State`] handed over.

mod answer;
mod chat;
mod completions;
mod embeddings;
mod exchange;
mod fields;
mod files;
mod form;
mod images;
mod limits;
mod models;
mod moderations;
mod refusal;
mod route;
mod seed;
mod speech;
mod transcribe;
mod words;

use aurora_sdk::{Error, Origin};

pub use answer::Answer;
pub use exchange::Exchange;

/// Answers one request as an OpenAI server would.
///
/// What is wrong with a request is an [`Answer`] with the OpenAI error envelope. Dropping the future is safe: at worst an upload is
/// not kept or not listed.
///
/// # Errors
/// Where the host's state failed, which is no fault of an upstream.
pub async fn answer(exchange: Exchange<'_>) -> Result<Answer, Error> {
    match route::serve(&exchange).await {
        Err(error) if error.origin() == Origin::Gateway => Err(error),
        served => Ok(served.unwrap_or_else(|error| Answer::refused(&error))),
    }
}
