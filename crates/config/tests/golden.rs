//! Broken configurations and, word for word, what is said about them.
//!
//! `tests/golden/NN_name.toml`, with `NN_name.env` (lines of a `.env` file), `NN_name.files/` (files beside
//! aurora.toml) and `NN_name.refused` (refused libraries, `NAME|FILE|REASON` a line) where a case needs them, gives
//! `NN_name.expected`. `UPDATE_GOLDEN=1` writes what is said now.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use aurora_config::{Memory, Overrides, PluginInfo, RefusedPlugin, Request, Style, load};

#[test]
fn every_broken_file_gets_the_expected_report() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut cases: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    cases.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    });
    cases.sort();
    assert!(cases.len() >= 40);
    let mut failures = String::new();

    for case in &cases {
        let said = report(case);
        let expected_path = case.with_extension("expected");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&expected_path, &said).unwrap();
        }
        let expected = fs::read_to_string(&expected_path).unwrap_or_default();
        if said != expected {
            write!(
                failures,
                "--- {}\n{expected}\n--- but now\n{said}\n",
                case.display()
            )
            .unwrap();
        }
        assert!(
            !said.contains("hunter2"),
            "{} shows a secret:\n{said}",
            case.display()
        );
    }

    assert!(failures.is_empty(), "{failures}");
}

fn report(case: &Path) -> String {
    let text = fs::read_to_string(case).unwrap();
    let plugin = |name: &str, methods: &[&str]| PluginInfo {
        name: name.to_owned(),
        methods: methods.iter().map(|&method| method.to_owned()).collect(),
        is_handler: name != "audit",
        is_filter: ["audit", "redact"].contains(&name),
    };
    let plugins = [
        plugin("chat", &["POST"]),
        plugin("responses", &["POST", "GET", "DELETE"]),
        plugin("models", &["GET"]),
        plugin("files", &[]),
        plugin("passthrough", &[]),
        plugin("audit", &[]),
        plugin("redact", &[]),
    ];
    let display = case.file_name().unwrap().to_str().unwrap();
    let request = Request {
        text: &text,
        path: Path::new("/srv/aurora.toml"),
        display,
        plugins: &plugins,
        refused: &refused(case),
        overrides: &Overrides::default(),
    };
    let report = match load(&request, &sources(case)) {
        Ok(loaded) => loaded.warnings,
        Err(error) => {
            assert!(error.report.errors() > 0);
            error.report
        }
    };
    assert!(!report.is_empty(), "{display} is not broken");
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!(
        json["diagnostics"].as_array().unwrap().len(),
        report.diagnostics().len()
    );
    report.render(Style::Plain) + "\n"
}

fn refused(case: &Path) -> Vec<RefusedPlugin> {
    let text = fs::read_to_string(case.with_extension("refused")).unwrap_or_default();
    let library = |line: &str| {
        let parts: Vec<String> = line.split('|').map(str::to_owned).collect();
        let [name, file, reason] = parts.try_into().unwrap();
        RefusedPlugin { name, file, reason }
    };
    text.lines().map(library).collect()
}

fn sources(case: &Path) -> Memory {
    let env = fs::read_to_string(case.with_extension("env")).unwrap_or_default();
    let mut sources = Memory::new().dotenv(&env);
    let Ok(entries) = fs::read_dir(case.with_extension("files")) else {
        return sources;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let there = Path::new("/srv").join(path.file_name().unwrap());
        sources = if path.is_dir() {
            sources.folder(there)
        } else {
            sources.file(there, fs::read(&path).unwrap())
        };
    }
    sources
}
