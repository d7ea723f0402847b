//! No text, however broken, makes the loader panic or point outside of it.
#![expect(clippy::unwrap_used, clippy::string_slice, reason = "test code")]

use std::path::Path;

use aurora_config::{
    Match, Memory, Overrides, PluginInfo, Report, Request, RouteTable, Style, load, plugins_of,
};
use proptest::collection::vec;
use proptest::prelude::*;

const VALID: &str = include_str!("architecture.toml");

fn report(text: &str) -> Report {
    let plugins = ["chat", "passthrough", "audit"].map(|name| PluginInfo {
        name: name.to_owned(),
        methods: vec!["POST".to_owned()],
        is_handler: name != "audit",
        is_filter: name == "audit",
    });
    let request = Request {
        text,
        path: Path::new("/srv/aurora.toml"),
        display: "aurora.toml",
        plugins: &plugins,
        refused: &[],
        overrides: &Overrides::default(),
    };
    let sources = Memory::new()
        .variable("AURORA_KEY", "sk-local-too")
        .file("/srv/openai_keys.txt", "sk-1\n");
    let (plugins, _) = plugins_of(&request, &sources);
    match load(&request, &sources) {
        Ok(loaded) => {
            assert_eq!(plugins, loaded.config.plugins);
            loaded.warnings
        }
        Err(error) => error.report,
    }
}

fn check(text: &str) {
    let report = report(text);
    let lines: Vec<&str> = text.split('\n').collect();
    for diagnostic in report.diagnostics() {
        assert!(aurora_config::explain(diagnostic.code).is_some());
        assert_ne!(
            diagnostic.code,
            "AUR0003",
            "{}",
            report.render(Style::Plain)
        );
        if let (Some(line), Some(column)) = (diagnostic.line, diagnostic.column) {
            let text = lines.get(line - 1).unwrap();
            assert!(
                (1..=text.chars().count() + 1).contains(&column),
                "{diagnostic:?}"
            );
        }
    }
    report.render(Style::Plain);
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        "[\"'=\\[\\]{}#,.\\n\\\\é\u{feff}]{1,3}",
        Just("= 3".to_owned()),
        Just("= \"\"".to_owned()),
        Just("= [{}]".to_owned()),
        Just("[auth]\nkeys = [".to_owned()),
        Just("[upstreams.mock]".to_owned()),
        Just("[routes]".to_owned()),
    ]
}

#[test]
fn the_file_that_is_changed_is_valid() {
    assert_eq!(report(VALID).errors(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_give_a_report(bytes in vec(any::<u8>(), 0..200)) {
        check(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_change_of_a_valid_file_gives_a_report(
        changes in vec((0.0..1.0f64, 0usize..20, word()), 1..4),
    ) {
        let mut text: Vec<char> = VALID.chars().collect();
        for (at, remove, insert) in changes {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a position in a short text")]
            let start = (at * text.len() as f64) as usize;
            let end = (start + remove).min(text.len());
            text.splice(start..end, insert.chars());
        }
        check(&text.into_iter().collect::<String>());
    }

    #[test]
    fn no_change_brings_a_secret_to_light(
        changes in vec((0usize..90, 0usize..40, 0usize..6, word()), 1..4),
    ) {
        let secret = "sk-hunter2-hunter2";
        let more = format!(
            "api_key = \"{secret}\" # not {secret}\n[tokens.x]\nvalues = [\n  '{secret}',\n'''{secret}\n{secret}''']"
        );
        let text = VALID.replace("sk-local", secret).replace("greeting = \"hi\"", &more);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (line, at, remove, insert) in changes {
            let line = line % lines.len();
            let changed = lines[line].clone();
            // The secrets themselves stay whole.
            let end = changed.find("sk-").map_or(changed.len(), |secret| secret.saturating_sub(1));
            let chars: Vec<char> = changed[..end].chars().collect();
            let start = at.min(chars.len());
            let stop = (start + remove).min(chars.len());
            let before: String = chars[..start].iter().collect();
            let after: String = chars[stop..].iter().collect();
            lines[line] = format!("{before}{insert}{after}{}", &changed[end..]);
        }
        let report = report(&lines.join("\n"));
        prop_assert!(!report.render(Style::Plain).contains("hunter2"), "{}", report.render(Style::Plain));
        prop_assert!(!report.to_json().contains("hunter2"));
    }

    #[test]
    fn any_values_of_the_wrong_kind_give_a_report(line in 0usize..90, value in "(3|-1|1\\.5|true|\"x\"|\"\"|\\[\\]|\\[3\\]|\\{\\}|\\{ a = 1 \\}|1979-05-27)") {
        let mut lines: Vec<String> = VALID.lines().map(str::to_owned).collect();
        let line = line % lines.len();
        if let Some((key, _)) = lines[line].clone().split_once('=') {
            lines[line] = format!("{key}= {value}");
        }
        check(&lines.join("\n"));
    }

    #[test]
    fn a_table_finds_what_was_inserted_and_never_panics(
        paths in vec("(/[ab]|/\\{[xy]\\}|/a\\{x\\}|/\\{x\\}b|/\\{\\*r\\}|/\\{\\{|\\}){1,4}", 1..8),
        wanted in "(/[abc%0-9]{0,3}){0,4}",
    ) {
        let mut table = RouteTable::new();
        for (index, path) in paths.iter().enumerate() {
            let inserted = table.insert(path, None, index).is_ok();
            if inserted && !path.contains(['{', '}']) {
                let found = matches!(table.find(path, "GET"), Match::Found { value, .. } if *value == index);
                prop_assert!(found);
            }
        }
        table.find(&wanted, "POST");
    }
}
