//! The command line beside `serve`.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// What a command came to.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs `aurora` in `folder` with nothing in its environment but `variables`.
fn run(folder: &Path, variables: &[(String, String)], args: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_aurora"))
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().cloned())
        .args(args)
        .output()
        .unwrap();
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A folder with `text` as its aurora.toml.
fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("aurora.toml"), text).unwrap();
    folder
}

const SHIPPED: &str = include_str!("../aurora.toml");
const BROKEN: &str =
    "[server]\nlisten = \"127.0.0.1:0\"\nlistne = 3\n\n[[routes]]\npath = \"/v1/x\"\n";

/// The broken configurations of the config crate: name, text and what is said about it.
fn golden() -> Vec<(String, String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/config/tests/golden");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.rsplit_once('.').is_some_and(|(_, end)| end == "toml"))
        .collect();
    names.sort();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    names
        .into_iter()
        .map(|name| {
            let expected = read(&name.replace(".toml", ".expected"));
            (name.clone(), read(&name), expected)
        })
        .collect()
}

/// Lays a golden case out as a user would have it, and checks it.
fn check_golden(name: &str, text: &str) -> Ended {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/config/tests/golden");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), text).unwrap();
    let files = std::fs::read_dir(source.join(name.replace(".toml", ".files")));
    for entry in files.into_iter().flatten() {
        let (from, to) = (entry.as_ref().unwrap().path(), folder.path());
        let to = to.join(from.file_name().unwrap());
        // A folder stands where a file should be.
        std::fs::copy(&from, &to)
            .map(drop)
            .or_else(|_| std::fs::create_dir(&to))
            .unwrap();
    }
    let env = std::fs::read_to_string(source.join(name.replace(".toml", ".env")));
    let variable = |line: &str| {
        let (name, value) = line.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    };
    let variables: Vec<_> = env.unwrap_or_default().lines().map(variable).collect();
    let mut ended = run(folder.path(), &variables, &["check", "--config", name]);
    // The golden reports are of a config in this folder.
    let here = folder.path().to_string_lossy().into_owned();
    ended.err = ended.err.replace(&here, "/srv");
    ended
}

#[test]
fn every_broken_config_gets_its_report_and_exit_code() {
    let cases = golden();
    assert!(cases.len() >= 40);
    let mut failures = String::new();

    // These name filters and libraries that only the config crate's own test has.
    let elsewhere = ["65_", "66_", "67_"];
    let cases = cases
        .iter()
        .filter(|(name, ..)| !elsewhere.iter().any(|one| name.starts_with(one)));
    for (name, text, expected) in cases {
        let ended = check_golden(name, text);
        // The config crate's own test knows five plugins, the binary all of them.
        let expected = expected.replace(
            "known plugins: chat, responses, models, files, passthrough",
            "known plugins: auth, chat, files, images, models, passthrough, responses, transcribe, tts",
        );
        let expected = expected.replace("transcribe, tts, redact", "transcribe, tts");
        let code = i32::from(expected.contains("error[") || expected.contains("error:"));
        let good = ended.err == expected && ended.code == Some(code);
        let shown = format!(
            "--- {name}\n{expected}--- but {:?}\n{}\n",
            ended.code, ended.err
        );
        failures.push_str(&Some(shown).filter(|_| !good).unwrap_or_default());
        for word in [
            "panicked",
            "RUST_BACKTRACE",
            "hunter2",
            "untagged enum",
            "invalid type:",
        ] {
            assert!(
                !ended.err.contains(word) && !ended.out.contains(word),
                "{name}: {word}"
            );
        }
    }

    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn a_good_config_is_summed_up() {
    let folder = folder(SHIPPED);

    let ended = run(folder.path(), &[], &["check"]);

    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    let path = folder.path().join("aurora.toml");
    assert_eq!(
        ended.out,
        format!(
            "{} is good: 14 routes, 1 upstream, 0 token pools, 0 tokens, 0 client keys\n",
            path.display()
        )
    );
}

#[test]
fn a_report_can_be_read_by_programs() {
    let folder = folder(BROKEN);

    let ended = run(folder.path(), &[], &["check", "--format", "json"]);

    assert_eq!(ended.code, Some(1));
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(report["errors"], 2, "{report}");
    let first = &report["diagnostics"][0];
    assert_eq!(
        (&first["severity"], &first["code"]),
        (&"error".into(), &"AUR0101".into())
    );
    assert_eq!(ended.out.lines().count(), 1);
}

#[test]
fn a_good_config_is_reported_to_programs_too() {
    let folder = folder(SHIPPED);

    let ended = run(folder.path(), &[], &["check", "--format", "json"]);

    assert_eq!(ended.code, Some(0));
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(
        (&report["errors"], &report["warnings"]),
        (&0.into(), &0.into())
    );
}

#[test]
fn a_missing_config_is_told_with_what_to_do() {
    let empty = tempfile::tempdir().unwrap();

    for command in ["check", "routes", "serve"] {
        let ended = run(empty.path(), &[], &[command]);
        assert_eq!(ended.code, Some(1), "{command}");
        assert!(
            ended.err.contains("cannot read `aurora.toml`"),
            "{}",
            ended.err
        );
        assert!(ended.err.contains("--config"), "{}", ended.err);
    }
}

#[test]
fn the_config_can_be_named_by_a_variable() {
    let folder = folder(SHIPPED);
    std::fs::rename(
        folder.path().join("aurora.toml"),
        folder.path().join("other.toml"),
    )
    .unwrap();
    let variable = ("AURORA_CONFIG".to_owned(), "other.toml".to_owned());

    let ended = run(folder.path(), &[variable], &["check"]);

    assert_eq!(ended.code, Some(0), "{}", ended.err);
}

#[test]
fn what_is_no_text_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("aurora.toml"), b"[server]\n# \xff\n").unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();

    let binary = run(folder.path(), &[], &["check"]);
    let directory = run(folder.path(), &[], &["check", "--config", "folder"]);

    assert!(binary.err.contains("not UTF-8"), "{}", binary.err);
    assert!(
        directory.err.contains("cannot read `folder`"),
        "{}",
        directory.err
    );
    assert_eq!((binary.code, directory.code), (Some(1), Some(1)));
}

#[test]
fn routes_are_printed_as_they_would_be_served() {
    let folder = folder(
        "[upstreams.a]\nprotocol = \"mock\"\n[upstreams.b]\nprotocol = \"mock\"\n\
         [[routes]]\npath = \"/v1/chat/completions\"\nplugin = \"chat\"\nupstream = [\"a\", \"b\"]\n\
         [[routes]]\npath = \"/v1/{*rest}\"\nplugin = \"passthrough\"\n\
         upstream = [{ name = \"a\", weight = 3 }, { name = \"b\" }]\n",
    );

    let ended = run(folder.path(), &[], &["routes"]);

    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(
        ended.out,
        "POST  /v1/chat/completions  chat         a > b\n\
         any   /v1/{*rest}           passthrough  a:3 | b:1\n"
    );
}

#[test]
fn codes_are_explained() {
    let here = tempfile::tempdir().unwrap();

    let known = run(here.path(), &[], &["explain", "AUR0301"]);
    let lower = run(here.path(), &[], &["explain", "aur0301"]);
    let unknown = run(here.path(), &[], &["explain", "AUR9999"]);

    assert_eq!(known.code, Some(0));
    assert!(known.out.len() > 100, "{}", known.out);
    assert_eq!(lower.out, known.out);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.err.contains("AUR9999"), "{}", unknown.err);
}

#[test]
fn every_code_that_a_report_shows_can_be_explained() {
    let here = tempfile::tempdir().unwrap();
    let mut codes: Vec<String> = golden()
        .iter()
        .flat_map(|(_, _, expected)| {
            expected
                .split("[AUR")
                .skip(1)
                .map(|rest| rest.chars().take(4).collect())
        })
        .collect();
    codes.sort();
    codes.dedup();
    assert!(codes.len() > 20);

    for code in codes {
        let ended = run(here.path(), &[], &["explain", &format!("AUR{code}")]);
        assert_eq!(ended.code, Some(0), "AUR{code}");
    }
}

#[test]
fn the_schema_is_json_and_knows_the_shipped_config() {
    let here = tempfile::tempdir().unwrap();

    let ended = run(here.path(), &[], &["schema"]);

    assert_eq!(ended.code, Some(0));
    let schema: Value = serde_json::from_str(&ended.out).unwrap();
    for section in [
        "server",
        "admin",
        "auth",
        "tokens",
        "upstreams",
        "routes",
        "expect",
        "plugins",
    ] {
        assert!(schema["properties"][section].is_object(), "{section}");
    }
}

#[test]
fn help_names_every_command_and_wrong_usage_is_another_exit_code() {
    let here = tempfile::tempdir().unwrap();

    let help = run(here.path(), &[], &["--help"]);
    let wrong = run(here.path(), &[], &["serv"]);
    let nothing = run(here.path(), &[], &[]);

    assert_eq!(help.code, Some(0));
    for command in ["serve", "check", "routes", "explain", "schema"] {
        assert!(
            help.out.contains(&format!("\n  {command} ")),
            "{command}: {}",
            help.out
        );
    }
    assert_eq!((wrong.code, nothing.code), (Some(2), Some(2)));
    assert!(wrong.err.contains("'serve'"), "{}", wrong.err);
}

#[test]
fn the_version_is_told() {
    let here = tempfile::tempdir().unwrap();

    let ended = run(here.path(), &[], &["--version"]);

    assert_eq!(ended.out, format!("aurora {}\n", env!("CARGO_PKG_VERSION")));
}
