//! What the tests of a plugin are made of: a host in memory, requests, and a way to wait. No runtime is needed.
//!
//! With `aurora-sdk = { version = "…", features = ["testing"] }` in `[dev-dependencies]`, a whole test of a small plugin:
//!
//! ```
//! use aurora_sdk::testing::{self, FakeHost};
//! use aurora_sdk::{Operation, Response};
//! use serde_json::json;
//! # use std::sync::Arc;
//! # use aurora_sdk::relay::{self, Payload};
//! # use aurora_sdk::{BoxFuture, BuildError, Context, Error, Handler, Manifest, Plugin, PluginHost, Request};
//! # use serde_json::{Map, Value};
//! # struct Loud;
//! # impl Plugin for Loud {
//! #     fn manifest(&self) -> Manifest { Manifest::handler("loud", "1.0.0") }
//! #     fn build(&self, _: &Arc<dyn PluginHost>, options: &Map<String, Value>) -> Result<Box<dyn Handler>, BuildError> {
//! #         BuildError::unknown_options(options, &[])?;
//! #         Ok(Box::new(LoudHandler))
//! #     }
//! # }
//! # struct LoudHandler;
//! # impl Handler for LoudHandler {
//! #     fn handle<'a>(&'a self, cx: &'a Context, mut request: Request) -> BoxFuture<'a, Result<Response, Error>> {
//! #         Box::pin(async move {
//! #             let said: Value = request.json().await?;
//! #             let Some(text) = said["text"].as_str() else {
//! #                 return Err(Error::invalid("missing_required_parameter", "text", "`text` is needed"));
//! #             };
//! #             request.body = json!({ "text": text.to_uppercase() }).to_string().into();
//! #             cx.host().usage("letters", text.len() as u64);
//! #             relay::relay(cx, request, Operation::Other, Payload::Json, "shout").await
//! #         })
//! #     }
//! # }
//!
//! // #[test]
//! fn it_shouts() -> Result<(), aurora_sdk::Error> {
//!     let host = FakeHost::new().answers(Response::json(&json!({ "heard": true }))?);
//!     let request = testing::request("POST", "/shout").json(&json!({ "text": "hello" }));
//!
//!     let answer = host.call(&Loud, json!({}), request)?;
//!
//!     assert_eq!(answer.status, 200);
//!     assert_eq!(answer.json(), json!({ "heard": true }));
//!     assert_eq!(host.sent()[0].path, "shout");
//!     assert_eq!(host.sent()[0].json(), json!({ "text": "HELLO" }));
//!     assert_eq!(host.used(), [("letters".to_owned(), 5)]);
//!     Ok(())
//! }
//!
//! // #[test]
//! fn it_wants_something_to_shout() {
//!     let request = testing::request("POST", "/shout").json(&json!({}));
//!
//!     let error = testing::call(&Loud, json!({}), request).unwrap_err();
//!
//!     assert_eq!((error.status().as_u16(), error.param()), (400, Some("text")));
//! }
//! # it_shouts().unwrap();
//! # it_wants_something_to_shout();
//! ```
//!
//! Filters are tested with [`FakeHost::filter`], which plays the handler and the client around them. Time stands still: what
//! sleeps wakes at once, or, after [`FakeHost::manual_time`], when the test lets time pass.

mod background;
mod exchange;
mod filter;
mod host;
mod kept;
mod services;
mod signal;

pub use exchange::{Answer, TestRequest, read, request};
pub use filter::Passed;
pub use host::{FakeHost, Recorded, Sent};
pub use signal::wait;

use aurora_openai::chat::ChatChunk;
use serde_json::{Value, json};

use crate::{Error, Plugin, Request};

/// Builds `plugin` with `options` and lets it answer `request`, on a host of which nothing is expected.
///
/// # Errors
/// What the client would read. An option that the plugin refuses is told by the code `build_failed`.
pub fn call(
    plugin: &dyn Plugin,
    options: Value,
    request: impl Into<Request>,
) -> Result<Answer, Error> {
    FakeHost::new().call(plugin, options, request)
}

/// A chat answer of one text, with three tokens asked and two said; for [`FakeHost::chats`].
pub fn says(text: &str) -> Vec<Result<ChatChunk, Error>> {
    chunks(&json!([
        { "choices": [{ "index": 0, "delta": { "role": "assistant", "content": text } }] },
        { "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] },
        { "choices": [], "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 } },
    ]))
}

/// A chat answer of these chunks, a list; for [`FakeHost::chats`].
///
/// # Panics
/// Where one of them is no chunk.
#[track_caller]
pub fn chunks(chunks: &Value) -> Vec<Result<ChatChunk, Error>> {
    let read: Result<Vec<ChatChunk>, _> = serde_json::from_value(chunks.clone());
    must(read, "these are no chat chunks")
        .into_iter()
        .map(Ok)
        .collect()
}

/// The value; a test that has none cannot go on.
#[track_caller]
fn must<T, E: std::fmt::Display>(result: Result<T, E>, otherwise: &str) -> T {
    match result {
        Ok(value) => value,
        #[expect(clippy::panic, reason = "in a test, that is the way to fail")]
        Err(error) => panic!("{otherwise}: {error}"),
    }
}
