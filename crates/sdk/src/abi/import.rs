//! A C table as a plugin: the host's side of the interface. It knows no runtime; what waits is polled.

mod background;
mod blocking;
mod call;
mod direct;
mod fetch;
mod filter;
mod handler;
mod handles;
mod host;
mod later;
mod measures;
mod pipe;
mod plugin;
mod request;
mod state;
mod timer;
mod uncounted;
mod wait;

pub use plugin::{Around, Imported, Notice, is_compatible};
