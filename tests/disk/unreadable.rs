//! Something else in the place of a file: what was good serves on, the message names the path, and a mended file is taken.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use aurora_testkit::{Aurora, FakeUpstream, eventually};

use crate::support::{aurora, config};

/// Puts something that is no readable file at a path, and the word that the message has for it.
type Wreck = (&'static str, fn(&Path), &'static str);

fn fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

const WRECKS: [Wreck; 6] = [
    (
        "a folder",
        |path| std::fs::create_dir(path).unwrap(),
        "folder|directory",
    ),
    ("a pipe", fifo, "pipe"),
    (
        "a device",
        |path| symlink("/dev/zero", path).unwrap(),
        "device",
    ),
    (
        "a link to nothing",
        |path| symlink("nowhere", path).unwrap(),
        "does not exist|No such file",
    ),
    (
        "a link to itself",
        |path| symlink(path, path).unwrap(),
        "symbolic links",
    ),
    (
        "a path through a file",
        |path| symlink("aurora.lock/x", path).unwrap(),
        "Not a directory|does not exist|No such file",
    ),
];

fn remove(path: &Path) {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => std::fs::remove_dir(path).unwrap(),
        Ok(_) => std::fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

async fn serves(aurora: &Aurora, upstream: &FakeUpstream, token: &str) -> bool {
    assert_eq!(aurora.chat("hi").await.status(), 200);
    upstream.last().header("authorization") == Some(format!("Bearer {token}").as_str())
}

async fn wrecks(name: &str, write: impl Fn(&Aurora, &FakeUpstream, &str)) {
    let upstream = FakeUpstream::start().await;
    let settings = "tokens = \"t\"\n[tokens.t]\nfile = \"tokens.txt\"\n";
    let builder = aurora(&config(&upstream, settings)).file("tokens.txt", "sk-0\n");
    let aurora = builder.file("aurora.lock", "").start().await;
    for (number, (what, wreck, words)) in WRECKS.into_iter().enumerate() {
        let before = format!("sk-{number}");
        assert!(serves(&aurora, &upstream, &before).await, "{what}");
        let path = aurora.path(name);
        remove(&path);
        wreck(&path);

        let said = aurora.wait_for_reload_error().await;

        assert!(said.contains(name), "{what}: {said}");
        assert!(
            words.split('|').any(|word| said.contains(word)),
            "{what}: {said}"
        );
        assert!(serves(&aurora, &upstream, &before).await, "{what}");
        remove(&path);
        let after = format!("sk-{}", number + 1);
        write(&aurora, &upstream, &after);
        eventually("the mended file serves", async || {
            serves(&aurora, &upstream, &after).await
        })
        .await;
    }
}

#[tokio::test]
async fn a_token_file_that_is_none_leaves_the_old_tokens_serving() {
    wrecks("tokens.txt", |aurora, _, token| {
        aurora.replace("tokens.txt", format!("{token}\n"));
    })
    .await;
}

#[tokio::test]
async fn a_config_that_is_no_file_leaves_the_old_one_serving() {
    wrecks("aurora.toml", |aurora, upstream, token| {
        let settings = format!("tokens = \"t\"\n[tokens.t]\nvalues = [\"{token}\"]\n");
        aurora.replace("aurora.toml", config(upstream, &settings));
    })
    .await;
}

#[tokio::test]
async fn a_start_with_a_pipe_for_a_config_ends_with_a_message() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("aurora.toml");
    fifo(&pipe);
    let check = tokio::process::Command::new(env!("CARGO_BIN_EXE_aurora"))
        .args(["check", "--config"])
        .arg(&pipe)
        .kill_on_drop(true)
        .output();

    let checked = tokio::time::timeout(aurora_testkit::PATIENCE, check).await;

    let said = checked.expect("it does not wait for a writer").unwrap();
    let text = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    assert_eq!(said.status.code(), Some(1), "{text}");
    assert!(text.contains("a pipe"), "{text}");
}
