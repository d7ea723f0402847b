//! The fake as a program.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::client::{ask, http};

/// The program, what it said, and the rest of what it says.
async fn start(arguments: &[&str]) -> (Child, Vec<String>, Lines<BufReader<ChildStdout>>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fake-chatgpt"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    while !said.contains(&"upstream = \"chatgpt\"".to_owned()) {
        said.push(lines.next_line().await.unwrap().unwrap());
    }
    (child, said, lines)
}

#[tokio::test]
async fn it_says_where_it_is_and_takes_what_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let (mut child, said, _lines) = start(&["--write-dir", path, "--until-stdin-closes"]).await;
    let base = said[0].trim_start_matches("base URL").trim();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    for name in [
        "refresh_tokens.txt",
        "session_tokens.txt",
        "free_tokens.txt",
    ] {
        assert!(said.join("\n").contains(read(name).trim()), "{name}");
    }

    let request = http()
        .post(format!("{base}/conversation"))
        .header("content-type", "application/json");
    let request = request
        .bearer_auth(read("access_tokens.txt").trim())
        .body(ask("hi").to_string());
    let text = request.send().await.unwrap().text().await.unwrap();

    assert!(text.contains("You said"), "{text}");
    let marked = http()
        .post(format!("{base}/conversation"))
        .header("content-type", "application/json")
        .bearer_auth(read("access_tokens.txt").trim())
        .body(ask("refusal:model_cap").to_string());
    assert_eq!(marked.send().await.unwrap().status().as_u16(), 429);
    assert!(said.contains(&format!("base_url = \"{base}\"")));
    let mut stdin = child.stdin.take().unwrap();
    stdin.shutdown().await.unwrap();
    drop(stdin);
    let ended = tokio::time::timeout(aurora_testkit::PATIENCE, child.wait()).await;
    assert!(ended.unwrap().unwrap().success());
}

#[tokio::test]
async fn it_ends_when_told_to() {
    let (mut child, _, _lines) = start(&[]).await;
    let pid = child.id().unwrap().to_string();

    Command::new("kill")
        .args(["-TERM", &pid])
        .status()
        .await
        .unwrap();

    let ended = tokio::time::timeout(aurora_testkit::PATIENCE, child.wait()).await;
    assert!(ended.unwrap().unwrap().success());
}
