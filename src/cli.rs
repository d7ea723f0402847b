//! The command line. Exit codes: 0 done, 1 the config has errors or the gateway cannot start, 2 wrong usage.

mod check;
mod plugin;
mod print;
mod routes;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use aurora_config::Overrides;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// A self-hosted AI gateway: OpenAI clients on one side, any upstream on the other.
#[derive(Debug, Parser)]
#[command(name = "aurora", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve, and reload whenever the config or a file that it names changes
    Serve(ServeArgs),
    /// Check the config and everything that it names; exit 1 when it has errors
    Check(CheckArgs),
    /// Print the routes as they would be served
    Routes(ConfigArgs),
    /// Make a new plugin, or look at libraries
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Explain an error code, such as AUR0301
    Explain {
        /// The code
        code: String,
    },
    /// Print the JSON Schema of aurora.toml, for editors
    Schema,
}

#[derive(Debug, Args)]
struct ConfigArgs {
    /// The config file
    #[arg(
        long,
        short,
        env = "AURORA_CONFIG",
        default_value = "aurora.toml",
        value_name = "FILE"
    )]
    config: PathBuf,
    /// Look for loadable plugins here instead of [plugins] dir
    #[arg(long, value_name = "FOLDER")]
    plugin_dir: Option<PathBuf>,
}

impl ConfigArgs {
    fn overrides(&self) -> Overrides {
        Overrides {
            plugin_dir: self.plugin_dir.as_ref().map(absolute),
            ..Overrides::default()
        }
    }
}

fn absolute(path: &PathBuf) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.clone())
}

#[derive(Debug, Args)]
struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Listen here instead of [server] listen; may be given several times
    #[arg(long, value_name = "HOST:PORT")]
    listen: Vec<String>,
    /// Serve health, status and reload here instead of [admin] listen
    #[arg(long, value_name = "HOST:PORT")]
    admin_listen: Option<String>,
    #[expect(clippy::doc_markdown, reason = "help text, not markdown")]
    /// Keep state here instead of [server] data_dir
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// How to print what is found
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// One line of JSON
    Json,
}

impl ServeArgs {
    fn overrides(&self) -> Overrides {
        Overrides {
            listen: self.listen.clone(),
            admin_listen: self.admin_listen.clone(),
            data_dir: self.data_dir.as_ref().map(absolute),
            ..self.config.overrides()
        }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(args) => serve::serve(&args),
        Command::Check(args) => check::check(&args),
        Command::Routes(args) => routes::routes(&args),
        Command::Plugin(command) => plugin::run(&command),
        Command::Explain { code } => explain(&code),
        Command::Schema => {
            print::line(&format!("{:#}", aurora_config::schema()));
            ExitCode::SUCCESS
        }
    }
}

fn explain(code: &str) -> ExitCode {
    let Some(text) = aurora_config::explain(&code.to_ascii_uppercase()) else {
        print::error_line(&format!("error: there is no code `{code}`"));
        return ExitCode::FAILURE;
    };
    print::line(text);
    ExitCode::SUCCESS
}
