//! Loadable plugins through the front door: the real binary, real libraries.

mod canary;
mod examples;
mod filters;
mod lifecycle;
mod panics;
mod refused;
mod services;
mod serving;
mod swap;
mod trust;

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use aurora_testkit::{Aurora, Builder};
use serde_json::Value;

use crate::support::aurora;

/// Where the fixture goes in the plugin folder.
pub(crate) const FIXTURE: &str = "plugins/libfixture.so";

/// A library that `tests/plugins/build` makes, called as in `libhello.so`.
pub(crate) fn library(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = root.join(format!("target/plugins/examples/lib{name}.so"));
    if !path.exists() {
        let built = Command::new(root.join("tests/plugins/build"))
            .status()
            .unwrap();
        assert!(
            built.success(),
            "tests/plugins/build makes the libraries that these tests load"
        );
    }
    assert!(
        path.exists(),
        "{} is not there: tests/plugins/build makes it",
        path.display()
    );
    path
}

/// The fixture as version `number`: the same library with other digits in it.
pub(crate) fn fixture(number: u32) -> Vec<u8> {
    static ORIGINAL: OnceLock<Vec<u8>> = OnceLock::new();
    let original = ORIGINAL.get_or_init(|| std::fs::read(library("fixture")).unwrap());
    let mut bytes = original.clone();
    let at = bytes
        .windows(15)
        .position(|window| window == b"version-0000000")
        .unwrap();
    bytes[at..at + 15].copy_from_slice(version(number).as_bytes());
    bytes
}

/// What the fixture calls itself then.
pub(crate) fn version(number: u32) -> String {
    format!("version-{number:07}")
}

/// A mock upstream and a route of the fixture, with `settings` at the end.
fn config(settings: &str) -> String {
    format!(
        "[upstreams.mock]\nprotocol = \"mock\"\n\n[[routes]]\npath = \"/fixture/{{*mode}}\"\nmethods = [\"GET\", \"POST\"]\n\
         plugin = \"fixture\"\nupstream = \"mock\"\ndebug_headers = true\n\n{settings}\n"
    )
}

/// Aurora with version 1 of the fixture.
fn with_fixture(settings: &str) -> Builder {
    aurora(&config(settings)).file(FIXTURE, fixture(1))
}

/// A JSON answer of the fixture.
async fn ask(aurora: &Aurora, mode: &str) -> Value {
    let response = aurora
        .get(&format!("/fixture/{mode}"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200, "{mode}\n{}", aurora.output());
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// The version that serves.
async fn serving(aurora: &Aurora) -> String {
    ask(aurora, "version").await["version"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Waits until version `number` serves.
async fn wait_for(aurora: &Aurora, number: u32) {
    aurora_testkit::eventually(&version(number), async || {
        serving(aurora).await == version(number)
    })
    .await;
}

/// What status says of the plugin that is called so.
async fn slot(aurora: &Aurora, name: &str) -> Value {
    let status = aurora.status().await;
    let slots = status["plugins"].as_array().unwrap();
    slots
        .iter()
        .find(|slot| slot["name"] == name)
        .cloned()
        .unwrap_or_default()
}
