//! `aurora.toml`: any text gives a configuration or a report whose places lie inside of it, and shows no secret.
#![no_main]

use std::path::Path;

use aurora_config::{
    Memory, Overrides, PluginInfo, Report, Request, Style, explain, load, plugins_of,
};
use libfuzzer_sys::fuzz_target;

/// A line with a secret. Whoever writes it anywhere in the file must not find it in a log.
const SECRET: &str = "api_key = \"sk-hunter2-hunter2\"\n";

fuzz_target!(|input: &[u8]| {
    let (place, text) = input.split_at(input.len().min(2));
    let text = String::from_utf8_lossy(text);
    // A configuration takes a while: one of the two.
    if place.iter().all(|byte| *byte == 0) || text.contains("hunter2") {
        check(&text, &report(&text));
        return;
    }
    let place = place
        .iter()
        .fold(0, |sum, byte| sum * 256 + usize::from(*byte));
    let with_secret = with_line(&text, SECRET, place);
    let report = report(&with_secret);
    check(&with_secret, &report);
    assert!(!report.render(Style::Plain).contains("hunter2"));
    assert!(!report.to_json().contains("hunter2"));
});

/// `text` with one more line, at some place.
fn with_line(text: &str, line: &str, place: usize) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (before, after) = lines.split_at(place % (lines.len() + 1));
    let before = before.concat();
    let end = if before.is_empty() || before.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    [before.as_str(), end, line, &after.concat()].concat()
}

fn report(text: &str) -> Report {
    let plugins = ["chat", "passthrough", "responses", "audit"].map(|name| PluginInfo {
        name: name.to_owned(),
        methods: vec!["POST".to_owned()],
        is_handler: name != "audit",
        is_filter: name == "audit",
    });
    let overrides = Overrides::default();
    let request = Request {
        text,
        path: Path::new("/srv/aurora.toml"),
        display: "aurora.toml",
        plugins: &plugins,
        refused: &[],
        overrides: &overrides,
    };
    let sources = Memory::new()
        .variable("AURORA_KEY", "sk-local-too")
        .file("/srv/openai_keys.txt", "sk-1\n")
        .folder("/srv/plugins");
    let (plugins, _) = plugins_of(&request, &sources);
    match load(&request, &sources) {
        Ok(loaded) => {
            assert_eq!(plugins, loaded.config.plugins);
            assert_eq!(loaded.warnings.errors(), 0);
            loaded.warnings
        }
        Err(error) => {
            assert!(error.report.errors() > 0);
            error.report
        }
    }
}

fn check(text: &str, report: &Report) {
    let lines: Vec<&str> = text.split('\n').collect();
    let is_inside = |line: usize, column: usize| {
        let line = line.checked_sub(1).and_then(|at| lines.get(at));
        line.is_some_and(|line| (1..=line.chars().count() + 1).contains(&column))
    };
    for diagnostic in report.diagnostics() {
        assert!(explain(diagnostic.code).is_some());
        // The code for what cannot happen.
        assert_ne!(
            diagnostic.code,
            "AUR0003",
            "{}",
            report.render(Style::Plain)
        );
        assert_eq!(diagnostic.file.is_some(), diagnostic.line.is_some());
        if let (Some(line), Some(column)) = (diagnostic.line, diagnostic.column) {
            assert!(is_inside(line, column), "{diagnostic:?}");
        }
        if let Some(related) = &diagnostic.related {
            assert!(is_inside(related.line, related.column), "{diagnostic:?}");
        }
    }
    report.render(Style::Color);
}
