//! What a plugin author sees of Aurora: [`Plugin`], [`Handler`], [`Host`], [`Request`], [`Response`], [`Error`].
//!
//! A plugin builds handlers; a handler serves a route. It speaks the client's API and reaches the outside only
//! through the [`Host`] in its [`Context`]: it never sees a credential, a socket or a runtime.
//!
//! A whole plugin:
//!
//! ```
//! use aurora_sdk::{
//!     BoxFuture, BuildError, Context, Error, Handler, Plugin, Request, Response,
//! };
//! use serde_json::{Map, Value, json};
//!
//! struct Hello;
//!
//! impl Plugin for Hello {
//!     fn name(&self) -> &str {
//!         "hello"
//!     }
//!
//!     fn methods(&self) -> &[&'static str] {
//!         &["GET"]
//!     }
//!
//!     fn needs_upstream(&self) -> bool {
//!         false
//!     }
//!
//!     fn build(&self, options: &Map<String, Value>) -> Result<Box<dyn Handler>, BuildError> {
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
//!         let answer = json!({ "message": format!("{}, {}", self.greeting, cx.client.name) });
//!         Box::pin(async move { Response::json(&answer) })
//!     }
//! }
//!
//! let typo = json!({ "greting": "hi" });
//! let refused = Hello.build(typo.as_object().unwrap()).err().unwrap();
//! assert_eq!(refused.message, "unknown option `greting`");
//! ```

mod body;
mod context;
mod error;
mod exchange;
mod host;
mod plugin;
pub mod relay;

pub use body::{Body, BodyStream};
pub use context::{Client, Context, Params};
pub use error::{Error, ErrorKind, Origin};
pub use exchange::{Request, Response};
pub use host::{ChatStream, Host, Level, Operation, State, UpstreamRequest};
pub use plugin::{BuildError, Handler, Plugin};

/// A boxed future that may borrow for `'a`.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
