//! Arrows only point down, and each dependency has one door.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The floor of each crate of ours; what stands beside the house is for tests alone.
fn floor(name: &str) -> u8 {
    match name {
        "aurora-openai" => 0,
        "aurora-sdk" | "aurora-chatgpt" => 1,
        "aurora-config" | "aurora-accounts" | "aurora-tokens" | "aurora-mock" => 2,
        "aurora" => 3,
        "aurora-testkit" => 9,
        plugin if plugin.starts_with("aurora-plugin-") => 2,
        other => {
            unreachable!("{other} has no floor: give it one in tests/floors.rs and ARCHITECTURE.md")
        }
    }
}

/// Each crate of ours with its normal dependencies.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let arguments = [
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
        "--offline",
    ];
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| {
            let normal = package["dependencies"].as_array().unwrap().iter();
            let normal = normal.filter(|dependency| dependency["kind"].is_null());
            let names = normal.map(|dependency| dependency["name"].as_str().unwrap().to_owned());
            (
                package["name"].as_str().unwrap().to_owned(),
                names.collect(),
            )
        })
        .collect()
}

#[test]
fn arrows_between_crates_point_down() {
    for (name, dependencies) in dependencies() {
        for dependency in dependencies
            .iter()
            .filter(|other| other.starts_with("aurora"))
        {
            assert!(
                floor(dependency) < floor(&name),
                "{name} must not depend on {dependency}"
            );
        }
    }
}

#[test]
fn plugins_and_pure_crates_know_no_runtime() {
    let outside = ["tokio", "salvo", "reqwest", "tracing", "hyper", "notify"];
    for (name, dependencies) in dependencies() {
        // Accounts wait for their turn and write their files.
        let free = matches!(
            name.as_str(),
            "aurora" | "aurora-accounts" | "aurora-testkit"
        );
        let found: Vec<_> = dependencies
            .iter()
            .filter(|other| outside.contains(&other.as_str()))
            .collect();
        assert!(free || found.is_empty(), "{name} depends on {found:?}");
    }
}

#[test]
fn each_dependency_has_one_door() {
    let doors: [(&str, &[&str]); 14] = [
        ("salvo::", &["src/server/", "src/admin.rs"]),
        (
            "reqwest::",
            &["src/upstream/client.rs", "src/upstream/fetch.rs"],
        ),
        ("notify::", &["src/reload/watch.rs"]),
        ("redb::", &["src/store/embedded.rs"]),
        ("governor::", &["src/limits/bucket.rs"]),
        ("clap::", &["src/cli.rs", "src/cli/plugin.rs"]),
        ("libloading::", &["src/plugins/dynamic.rs"]),
        ("object::", &["src/plugins/note.rs"]),
        ("minisign_verify::", &["src/plugins/trust.rs"]),
        ("boon::", &["src/plugins/schema.rs"]),
        (
            "prometheus_client::",
            &["src/plugins/metrics.rs", "src/admin/metrics.rs"],
        ),
        (
            "rustix::",
            &["src/app.rs", "src/plugins/file.rs", "src/plugins/trust.rs"],
        ),
        ("unsafe {", &["src/plugins/dynamic.rs"]),
        ("rustls::ServerConfig", &["src/server/tls.rs"]),
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in sources(&root.join("src")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let file = file
            .strip_prefix(root)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        for (word, allowed) in doors {
            let open = allowed.iter().any(|door| file.starts_with(door));
            assert!(open || !text.contains(word), "{file} must not use {word}");
        }
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}
