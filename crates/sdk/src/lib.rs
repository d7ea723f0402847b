//! What a plugin author sees of Aurora: [`Plugin`], [`Handler`], [`Host`], [`Request`], [`Response`], [`Error`].
//!
//! A plugin builds handlers; a handler serves a route. It speaks the client's API and reaches the outside only
//! through the [`Host`] in its [`Context`]: it never sees a credential, a socket or a runtime.

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
