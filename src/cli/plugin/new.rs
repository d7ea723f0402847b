//! `aurora plugin new`: a project that builds.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aurora_sdk::is_name;

use super::super::print;
use super::{Kind, Lang, NewArgs};

/// A file of a project: where, and what. `{{name}}` is the plugin's name, `{{crate}}` the same with underscores.
type Template = (&'static str, &'static str);

const RUST_HANDLER: &[Template] = &[
    ("Cargo.toml", include_str!("templates/rust/Cargo.toml.txt")),
    ("plugin.json", include_str!("templates/rust/handler.json")),
    ("src/lib.rs", include_str!("templates/rust/handler.rs.txt")),
    (".gitignore", "/target\n"),
    ("README.md", include_str!("templates/rust/README.md")),
];

const RUST_FILTER: &[Template] = &[
    ("Cargo.toml", include_str!("templates/rust/Cargo.toml.txt")),
    ("plugin.json", include_str!("templates/rust/filter.json")),
    ("src/lib.rs", include_str!("templates/rust/filter.rs.txt")),
    (".gitignore", "/target\n"),
    ("README.md", include_str!("templates/rust/README.md")),
];

const C_HANDLER: &[Template] = &[
    ("plugin.c", include_str!("templates/c/handler.c.txt")),
    ("test.c", include_str!("templates/c/test_handler.c.txt")),
    (
        "aurora_plugin.h",
        include_str!("../../../include/aurora_plugin.h"),
    ),
    ("Makefile", include_str!("templates/c/Makefile.txt")),
    (".gitignore", "*.so\n/test\n"),
    ("README.md", include_str!("templates/c/README.md")),
];

const C_FILTER: &[Template] = &[
    ("plugin.c", include_str!("templates/c/filter.c.txt")),
    ("test.c", include_str!("templates/c/test_filter.c.txt")),
    (
        "aurora_plugin.h",
        include_str!("../../../include/aurora_plugin.h"),
    ),
    ("Makefile", include_str!("templates/c/Makefile.txt")),
    (".gitignore", "*.so\n/test\n"),
    ("README.md", include_str!("templates/c/README.md")),
];

pub(super) fn new(args: &NewArgs) -> ExitCode {
    match write(args) {
        Ok(folder) => {
            print::line(&next_steps(args, &folder));
            ExitCode::SUCCESS
        }
        Err(reason) => {
            print::error_line(&format!("error: {reason}"));
            ExitCode::FAILURE
        }
    }
}

fn write(args: &NewArgs) -> Result<PathBuf, String> {
    if !is_name(&args.name) {
        return Err(format!(
            "`{}` cannot be the name of a plugin: lower-case letters, digits and dashes, a letter first, 63 at the most",
            args.name
        ));
    }
    let folder = args
        .path
        .clone()
        .unwrap_or_else(|| PathBuf::from(&args.name));
    let sdk = match args.lang {
        Lang::Rust => sdk(args)?,
        Lang::C => PathBuf::new(),
    };
    std::fs::create_dir(&folder).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => format!("`{}` is there already", folder.display()),
        _ => format!("`{}` cannot be made: {error}", folder.display()),
    })?;
    let templates = match (args.lang, args.kind) {
        (Lang::Rust, Kind::Handler) => RUST_HANDLER,
        (Lang::Rust, Kind::Filter) => RUST_FILTER,
        (Lang::C, Kind::Handler) => C_HANDLER,
        (Lang::C, Kind::Filter) => C_FILTER,
    };
    for (path, text) in templates {
        // The route first: it has a name in it.
        let text = text
            .replace("{{route}}", route(args))
            .replace("{{name}}", &args.name)
            .replace("{{crate}}", &args.name.replace('-', "_"))
            .replace("{{sdk}}", &sdk.display().to_string());
        let path = folder.join(path);
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        made.and_then(|()| std::fs::write(&path, text))
            .map_err(|error| format!("`{}` cannot be written: {error}", path.display()))?;
    }
    Ok(folder)
}

/// The lines of aurora.toml that use it.
fn route(args: &NewArgs) -> &'static str {
    match args.kind {
        Kind::Handler => "[[routes]]\npath = \"/hello\"\nplugin = \"{{name}}\"",
        Kind::Filter => {
            "[plugins]\nfilters = [\"{{name}}\"] # of all routes; or `filters` of one route"
        }
    }
}

/// Aurora's SDK: as said, or in a checkout around this folder or this program.
fn sdk(args: &NewArgs) -> Result<PathBuf, String> {
    if let Some(sdk) = &args.sdk {
        let found = is_sdk(sdk).then(|| absolute(sdk));
        return found.ok_or_else(|| format!("`{}` is not Aurora's crates/sdk", sdk.display()));
    }
    let here = std::env::current_dir().ok();
    let program = std::env::current_exe().ok();
    let around = [here, program];
    let folders = around.iter().flatten().flat_map(|place| place.ancestors());
    folders
        .map(|folder| folder.join("crates/sdk"))
        .find(|folder| is_sdk(folder))
        .ok_or_else(|| "Aurora's SDK is not here: say where with --sdk FOLDER (`crates/sdk` of a checkout of Aurora)".to_owned())
}

fn is_sdk(folder: &Path) -> bool {
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml"));
    manifest.is_ok_and(|manifest| manifest.contains("name = \"aurora-sdk\""))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn next_steps(args: &NewArgs, folder: &Path) -> String {
    let (folder, name) = (folder.display(), &args.name);
    let (build, library) = match args.lang {
        Lang::Rust => {
            let file = format!("lib{}.so", name.replace('-', "_"));
            (
                "cargo test && cargo build --release",
                format!("target/release/{file}"),
            )
        }
        Lang::C => ("make test all", format!("lib{name}.so")),
    };
    let route = route(args).replace("{{name}}", name);
    format!(
        "Written: {folder}. What comes next:\n\n  (cd {folder} && {build})\n  cp {folder}/{library} plugins/\n\n\
         and in aurora.toml, while Aurora runs:\n\n{route}\n\n{folder}/README.md has the rest."
    )
}
