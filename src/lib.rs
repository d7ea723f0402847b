//! Aurora: a self-hosted AI gateway in one binary.
//!
//! `aurora.toml` maps routes to handler plugins and upstreams; everything reloads while it runs. ARCHITECTURE.md shows
//! the house.

mod admin;
mod app;
mod cli;
mod disk;
mod gallery;
mod keeper;
mod limits;
mod plugins;
mod providers;
mod reload;
mod server;
mod shared;
mod snapshot;
mod sockets;
mod spool;
mod store;
mod telemetry;
mod upstream;

pub use cli::main;
