//! The one place that prints for people.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the command line's printing module"
)]

use std::net::SocketAddr;
use std::time::Duration;

use aurora_config::{Config, Style, TokenSource};

use crate::shared::Shared;
use crate::snapshot::Snapshot;

/// A line to standard output.
pub(super) fn line(text: &str) {
    println!("{text}");
}

/// A line to standard error.
pub(super) fn error_line(text: &str) {
    eprintln!("{text}");
}

/// What was loaded from where, the routes, and the addresses; never a secret.
pub(super) fn started(
    shared: &Shared,
    (public, admin): (Vec<SocketAddr>, Vec<SocketAddr>),
    took: Duration,
) {
    let snapshot = shared.cell.load();
    let config = snapshot.config();
    println!("aurora {}", env!("CARGO_PKG_VERSION"));
    println!("config   {}", snapshot.config_path.display());
    for file in &snapshot.loaded.files {
        if file.exists() {
            println!("file     {}", file.display());
        }
    }
    for (name, tokens) in &config.tokens {
        if let TokenSource::Keys(keys) = &tokens.source {
            println!("tokens   {name}: {}", count(keys.len(), "token"));
        }
    }
    println!("keys     {}", keys(config));
    println!(
        "state    {} ({})",
        config.server.data_dir.display(),
        shared.store.kind()
    );
    for (name, generation) in snapshot.plugins.generations() {
        println!(
            "plugin   {name} {} from {}",
            generation.manifest.version,
            generation.origin.file.display()
        );
    }
    for row in route_rows(&snapshot) {
        println!("route    {row}");
    }
    let warnings = snapshot.loaded.warnings.render(Style::Plain);
    if !warnings.is_empty() {
        error_line(&warnings);
    }
    let scheme = if snapshot.tls.is_some() {
        "https"
    } else {
        "http"
    };
    for address in admin {
        println!("admin    http://{address}");
    }
    for address in public {
        println!("listening on {scheme}://{address}");
    }
    println!("ready in {} ms", took.as_millis());
}

fn keys(config: &Config) -> String {
    match config.auth.keys.len() {
        0 => "none: everybody who reaches the listener may use it".to_owned(),
        number => count(number, "client key"),
    }
}

/// `"1 route"`, `"2 routes"`.
pub(super) fn count(number: usize, word: &str) -> String {
    if number == 1 {
        format!("1 {word}")
    } else {
        format!("{number} {word}s")
    }
}

/// The plugin of a route, or its plugins with their weights, and the filters before it.
fn plugins(settings: &aurora_config::Route) -> String {
    let names: Vec<String> = match settings.plugins.as_slice() {
        [one] => vec![one.name.clone()],
        shares => shares
            .iter()
            .map(|share| format!("{}:{}", share.name, share.weight))
            .collect(),
    };
    let filters = settings.filters.iter().map(|filter| format!("{filter} > "));
    format!("{}{}", filters.collect::<String>(), names.join(" | "))
}

/// The route table as aligned lines: methods, path, plugin, upstreams.
pub(super) fn route_rows(snapshot: &Snapshot) -> Vec<String> {
    let cells: Vec<[String; 4]> = snapshot
        .route_list
        .iter()
        .map(|route| {
            let settings = &route.settings;
            let methods = if route.methods.is_empty() {
                "any".to_owned()
            } else {
                route.methods.join(",")
            };
            let upstreams: Vec<String> = settings
                .upstreams
                .iter()
                .map(|target| {
                    if settings.weighted {
                        format!("{}:{}", target.name, target.weight)
                    } else {
                        target.name.clone()
                    }
                })
                .collect();
            let upstreams = upstreams.join(if settings.weighted { " | " } else { " > " });
            [methods, settings.path.clone(), plugins(settings), upstreams]
        })
        .collect();
    table(&cells)
}

/// Rows with their cells aligned.
pub(super) fn table(rows: &[[String; 4]]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let (a, b, c) = (width(0), width(1), width(2));
    rows.iter()
        .map(|[first, second, third, last]| {
            format!("{first:a$}  {second:b$}  {third:c$}  {last}")
                .trim_end()
                .to_owned()
        })
        .collect()
}
