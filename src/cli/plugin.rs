//! `aurora plugin`: makes new ones, and looks at those there are.

mod inspect;
mod list;
mod new;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::ConfigArgs;

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Write a new plugin: a project that builds and has a passing test
    New(NewArgs),
    /// Show what a library says of itself, without running any of it
    Inspect(InspectArgs),
    /// List the plugins that routes can name, and the libraries that are refused
    List(ConfigArgs),
    /// Load a library as the gateway would, and say what is wrong with it; this runs its code
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// Its name: lower-case letters, digits and dashes
    name: String,
    /// The language
    #[arg(long, value_enum, default_value_t)]
    lang: Lang,
    /// What it is to be
    #[arg(long, value_enum, default_value_t)]
    kind: Kind,
    /// Write it here instead of a folder of its name
    #[arg(long, value_name = "FOLDER")]
    path: Option<PathBuf>,
    /// Aurora's crates/sdk, where it is not found by itself (Rust)
    #[arg(long, value_name = "FOLDER")]
    sdk: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Lang {
    /// With the SDK
    #[default]
    Rust,
    /// With the header alone
    C,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Serves routes
    #[default]
    Handler,
    /// Stands between clients and handlers
    Filter,
}

#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// The library
    file: PathBuf,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: super::Format,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The library
    file: PathBuf,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(command: &PluginCommand) -> ExitCode {
    match command {
        PluginCommand::New(args) => new::new(args),
        PluginCommand::Inspect(args) => inspect::inspect(args),
        PluginCommand::List(args) => list::list(args),
        PluginCommand::Verify(args) => verify::verify(args),
    }
}
