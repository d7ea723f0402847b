//! What a plugin author sees of Aurora: [`Plugin`], [`Handler`], [`Filter`], [`Host`], [`Request`], [`Response`], [`Error`].
//!
//! A plugin builds handlers; a handler serves a route. It speaks the client's API and reaches the outside only
//! through the [`Host`] in its [`Context`]: it never sees a credential, a socket or a runtime.
//!
//! A whole plugin:
//!
//! ```
//! use std::sync::Arc;
//!
//! use aurora_sdk::{
//!     BoxFuture, BuildError, Context, Error, Handler, Manifest, Plugin, PluginHost, Request, Response,
//! };
//! use serde_json::{Map, Value, json};
//!
//! struct Hello;
//!
//! impl Plugin for Hello {
//!     fn manifest(&self) -> Manifest {
//!         Manifest::handler("hello", "1.0.0").methods(["GET"]).without_upstream()
//!     }
//!
//!     fn build(
//!         &self,
//!         _host: &Arc<dyn PluginHost>,
//!         options: &Map<String, Value>,
//!     ) -> Result<Box<dyn Handler>, BuildError> {
//!         BuildError::unknown_options(options, &["greeting"])?;
//!         let greeting = options.get("greeting").and_then(Value::as_str).unwrap_or("hello");
//!         Ok(Box::new(Greeter { greeting: greeting.to_owned() }))
//!     }
//! }
//!
//! struct Greeter {
//!     greeting: String,
//! }
//!
//! impl Handler for Greeter {
//!     fn handle<'a>(
//!         &'a self,
//!         cx: &'a Context,
//!         _request: Request,
//!     ) -> BoxFuture<'a, Result<Response, Error>> {
//!         let answer = json!({ "message": format!("{}, {}", self.greeting, cx.client().name) });
//!         Box::pin(async move { Response::json(&answer) })
//!     }
//! }
//!
//! // The one line that makes a library of it, loaded when the file appears in the plugin folder:
//! aurora_sdk::export_plugin!(Hello);
//! # fn main() {}
//! ```

pub mod abi;
mod body;
mod calls;
mod context;
mod error;
mod exchange;
mod filter;
mod headers;
mod host;
mod manifest;
pub mod options;
mod plugin;
mod plugin_host;
pub mod relay;
#[cfg(feature = "testing")]
pub mod testing;

pub use body::{Body, BodyStream};
pub use calls::{Upload, accepted};
pub use context::{Client, Context, Facts, Params};
pub use error::{Error, ErrorKind, Origin};
pub use exchange::{Request, Response};
pub use filter::{End, Event, Filter, Follows, Pass};
pub use headers::Headers;
pub use host::{ChatStream, Host, Level, Operation, State, UpstreamRequest};
pub use manifest::{Kind, Manifest, is_name};
pub use plugin::{BuildError, Handler, Plugin};
pub use plugin_host::{Metric, MetricId, MetricKind, PluginHost};

/// A boxed future that may borrow for `'a`.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
