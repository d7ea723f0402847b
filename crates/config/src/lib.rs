//! aurora.toml: schema, defaults, layers, cross-checks and diagnostics.
//!
//! [`load`] turns the text of one `aurora.toml`, the environment and the files it names into a [`Config`], or
//! into a [`Report`] of everything that is wrong with it. Files and variables are reached through [`Sources`]
//! alone; as written, the file never leaves this crate.

mod diagnostic;
mod document;
mod layers;
mod moment;
mod raw;
mod request;
mod resolve;
mod routes;
mod schema;
mod settings;
mod sources;

pub use diagnostic::{Diagnostic, Related, Report, Severity, Style, explain};
pub use layers::flags::Overrides;
pub use request::plugins::plugins_of;
pub use request::{Counts, LoadError, Loaded, PluginInfo, RefusedPlugin, Request, load};
pub use routes::{Match, RouteConflict, RouteTable, target_order};
pub use schema::schema;
pub use settings::limits::Limits;
pub use settings::plugins::{Grant, OnPanic, PluginSettings, Plugins, Trust, Unload};
pub use settings::tls::{Identity, Pem, Tls, UpstreamTls};
pub use settings::tokens::{AccountFile, AccountKind, Strategy, Token, TokenSource, Tokens};
pub use settings::upstreams::{
    Breaker, ChatGptWeb, DoneMarker, HealthCheck, Mock, OpenAi, Protocol, ResponsesMode, Timeouts,
    Upstream,
};
pub use settings::*;
pub use sources::{Memory, Sources, System};
