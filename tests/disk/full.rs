//! No space left, and file systems that became read-only.

use std::time::Duration;

use aurora_testkit::{Aurora, FakeChatGpt, FakeUpstream, RawClient, eventually};

use super::Disk;
use crate::chatgpt::{Setup, asking};
use crate::support::{aurora, config, refusal, routes};

/// Uploads a small file to the mock, which keeps it in the store.
async fn upload(aurora: &Aurora, size: usize) -> reqwest::Response {
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nassistants\r\n--b\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n{}\r\n--b--\r\n",
        "x".repeat(size)
    );
    let request = aurora.client().post(format!("{}/v1/files", aurora.url()));
    let request = request.header("content-type", "multipart/form-data; boundary=b");
    request.body(body).send().await.unwrap()
}

/// The mock with its state on `disk`.
async fn mock_on(disk: &Disk) -> Aurora {
    let (folder, routes) = (disk.path().display(), routes("\"mock\""));
    let text = format!(
        "[server]\ndata_dir = \"{folder}\"\n[upstreams.mock]\nprotocol = \"mock\"\n\n{routes}"
    );
    aurora(&text).start().await
}

#[tokio::test]
async fn a_full_disk_fails_what_needs_it_and_nothing_else_until_there_is_space() {
    let disk = Disk::new("8m");
    let aurora = mock_on(&disk).await;
    let kept = upload(&aurora, 1000).await;
    assert_eq!(kept.status(), 200);
    let kept: serde_json::Value = serde_json::from_str(&kept.text().await.unwrap()).unwrap();

    disk.fill();
    let mut refused = None;
    for _ in 0..20 {
        let answer = upload(&aurora, 500_000).await;
        if answer.status() != 200 {
            refused = Some(refusal(answer).await);
            break;
        }
    }

    let refused = refused.unwrap();
    assert_eq!(
        (refused.status, refused.code.as_str()),
        (503, "storage_failed")
    );
    assert!(!refused.message.contains("redb"), "{}", refused.message);
    let folder = disk.path().display().to_string();
    aurora
        .wait_for_output(&format!("{folder}/aurora.redb"))
        .await;
    assert_eq!(aurora.chat("hi").await.status(), 200);
    disk.free();
    eventually("there is space again", async || {
        upload(&aurora, 500_000).await.status() == 200
    })
    .await;
    let path = format!("/v1/files/{}", kept["id"].as_str().unwrap());
    assert_eq!(aurora.get(&path).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_limit_on_the_size_of_files_is_no_end_of_the_process() {
    let disk = Disk::new("64m");
    let aurora = mock_on(&disk).await;
    assert_eq!(upload(&aurora, 1000).await.status(), 200);
    let pid = format!("--pid={}", aurora.pid());
    let limited = std::process::Command::new("prlimit")
        .args([&pid, "--fsize=4194304:"])
        .status();
    assert!(limited.unwrap().success());

    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(upload(&aurora, 900_000).await.status().as_u16());
    }

    assert!(statuses.contains(&503), "{statuses:?}");
    assert!(
        statuses.iter().all(|status| [200, 503].contains(status)),
        "{statuses:?}"
    );
    assert_eq!(aurora.chat("hi").await.status(), 200);
}

#[tokio::test]
async fn an_upload_that_finds_no_space_is_refused_and_leaves_nothing() {
    let disk = Disk::new("4m");
    let web = FakeChatGpt::start().await;
    let folder = disk.path().display();
    let text = format!(
        "[server]\ndata_dir = \"{folder}\"\n{}",
        crate::chatgpt::config(&web, "")
    );
    let builder = aurora(&text).file("access_tokens.txt", web.account("alice"));
    let aurora = builder.start().await;

    let refused = refusal(upload(&aurora, 6 << 20).await).await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (503, "storage_failed")
    );
    let left = || {
        std::fs::read_dir(disk.path().join("uploads"))
            .unwrap()
            .count()
    };
    eventually("nothing is left", async || left() == 0).await;
    let uploads = format!("{folder}/uploads");
    aurora.wait_for_output(&uploads).await;
    assert_eq!(upload(&aurora, 100_000).await.status(), 200);
}

#[tokio::test]
async fn a_token_that_cannot_be_written_back_serves_from_memory_until_it_can() {
    for way in ["full", "read-only"] {
        let disk = Disk::new("64k");
        let web = FakeChatGpt::start().await;
        web.account("alice");
        let old = web.session_token("alice");
        let file = disk.path().join("session_tokens.txt");
        std::fs::write(&file, format!("{old}\n")).unwrap();
        let named = format!("session = \"{}\"", file.display());
        let text =
            crate::chatgpt::config(&web, "").replace("session = \"session_tokens.txt\"", &named);
        match way {
            "full" => disk.fill(),
            _ => disk.writable(false),
        }
        let aurora = aurora(&text).start().await;
        let setup = Setup { web, aurora };

        let first = setup.chat(asking("hi", false)).await;
        let second = setup.chat(asking("hi again", false)).await;

        assert_eq!(
            (first.status, second.status),
            (200, 200),
            "{way}: {}",
            first.message
        );
        let status = setup.aurora.status().await.to_string();
        let written = std::fs::read_to_string(&file).unwrap();
        if way == "read-only" {
            assert!(status.contains("\"unsaved\":true"), "{way}: {status}");
            assert_eq!(written, format!("{old}\n"), "{way}");
            let place = file.display().to_string();
            setup.aurora.wait_for_output(&place).await;
            disk.writable(true);
        } else {
            disk.free();
        }
        let new = setup.web.live_session_tokens().pop().unwrap();
        assert_ne!(new, old);
        // It is tried again by and by, not at once.
        let deadline = std::time::Instant::now() + Duration::from_mins(1);
        while std::fs::read_to_string(&file).unwrap() != format!("{new}\n") {
            assert!(
                std::time::Instant::now() < deadline,
                "{way}: it was never written"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let status = setup.aurora.status().await.to_string();
        assert!(!status.contains("\"unsaved\":true"), "{way}: {status}");
    }
}

#[tokio::test]
async fn a_log_that_nobody_can_write_stops_no_request() {
    let upstream = FakeUpstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let text = config(&upstream, "").replace(
        "[upstreams",
        "[server]\nlisten = \"127.0.0.1:0\"\n[upstreams",
    );
    std::fs::write(folder.path().join("aurora.toml"), text).unwrap();
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_aurora"))
        .args(["serve", "--config", "aurora.toml"])
        .current_dir(folder.path())
        .stdout(std::process::Stdio::piped())
        .stderr(full)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines =
        tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(child.stdout.take().unwrap()));
    let url = loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Some(url) = line.strip_prefix("listening on ") {
            break url.to_owned();
        }
    };

    let mut client = RawClient::connect(url.trim_start_matches("http://")).await;
    for _ in 0..100 {
        client
            .post("/v1/chat/completions", "{\"model\":\"m\"}")
            .await;
        let answer = client.read_until("pong").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    assert!(child.try_wait().unwrap().is_none());
    child.kill().await.unwrap();
}
