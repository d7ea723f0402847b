//! The plugin of `benches/plugins.rs` as a library.

mod plugin;

aurora_sdk::export_plugin!(plugin::Bench);
