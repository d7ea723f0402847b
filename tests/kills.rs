//! `kill -9` at the worst moments: the next start is clean, and no file is half.

use std::path::Path;
use std::time::Duration;

use aurora_testkit::chatgpt::{AccountSpec, Fault};
use aurora_testkit::{Aurora, FakeChatGpt, FakeUpstream, Reply, Step, eventually};
use serde_json::json;

use crate::chatgpt::config as chatgpt_config;
use crate::support::{aurora, config};

/// Names below `folder`, with all folders inside.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries
        .flat_map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_dir() {
                let below = names(&entry.path());
                below
                    .into_iter()
                    .map(|below| format!("{name}/{below}"))
                    .collect()
            } else {
                vec![name]
            }
        })
        .collect()
}

async fn killed(mut aurora: Aurora) {
    aurora.signal("KILL").await;
    aurora.wait_for_exit().await;
}

#[tokio::test]
async fn a_kill_while_a_session_token_is_written_back_leaves_a_whole_file() {
    let web = FakeChatGpt::start().await;
    web.account_with(AccountSpec {
        name: "alice".to_owned(),
        ..AccountSpec::default()
    });
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("session_tokens.txt");
    let text = chatgpt_config(&web, "").replace("session_tokens.txt", file.to_str().unwrap());
    let (mut old_kept, mut new_written) = (0, 0);

    for round in 0..40_u32 {
        let old = web.session_token("alice");
        std::fs::write(&file, format!("# mine\n{old}\n# end\n")).unwrap();
        let exchanges = web.requests().len();
        web.fault(
            "GET /api/auth/session",
            Fault::delay(Duration::from_millis(8)),
        );
        let aurora = aurora(&text).start().await;
        let is_exchanged = || {
            let requests = web.requests();
            requests[exchanges..]
                .iter()
                .any(|request| request.path.starts_with("/api/auth/session"))
        };
        // At start every session line is exchanged once; the answer, the write and the rename follow a little later.
        while !is_exchanged() {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(u64::from(round % 20))).await;
        killed(aurora).await;

        let written = std::fs::read_to_string(&file).unwrap();
        let token = written
            .strip_prefix("# mine\n")
            .and_then(|rest| rest.strip_suffix("\n# end\n"));
        let token = token.unwrap_or_else(|| unreachable!("half a file: {written:?}"));
        if token == old {
            old_kept += 1;
        } else {
            assert!(
                web.live_session_tokens().iter().any(|live| live == token),
                "{token}"
            );
            new_written += 1;
        }
    }
    println!("{old_kept} kills before the rename, {new_written} after it");
    assert!(old_kept > 0 && new_written > 0, "{old_kept} {new_written}");

    std::fs::write(&file, web.session_token("alice")).unwrap();
    std::fs::write(
        home.path().join(".session_tokens.txt.x.aurora"),
        "half a tok",
    )
    .unwrap();
    let next = aurora(&text).start().await;
    assert_eq!(next.chat("hi").await.status(), 200);
    assert_eq!(names(home.path()), ["session_tokens.txt"]);
}

#[tokio::test]
async fn a_kill_during_an_upload_leaves_nothing_behind() {
    let web = FakeChatGpt::start().await;
    let home = tempfile::tempdir().unwrap();
    let token = web.account("alice");
    let data = home.path().join("data");
    let start = async || {
        let builder = aurora(&chatgpt_config(&web, "")).file("access_tokens.txt", &token);
        builder
            .arg("--data-dir")
            .arg(data.to_str().unwrap())
            .start()
            .await
    };

    let aurora = start().await;
    let mut upload = aurora.raw().await;
    let head = "POST /v1/files HTTP/1.1\r\nhost: a\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 9000000\r\n\r\n";
    upload.send(head).await;
    let part = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n";
    upload.send(&[part, &"a".repeat(4_000_000)].concat()).await;
    let spooled = || names(&data).iter().any(|name| name.starts_with("uploads/"));
    eventually("the form is on its way to the disk", async || spooled()).await;
    killed(aurora).await;
    assert!(spooled());

    let next = start().await;

    eventually("what was left is swept", async || !spooled()).await;
    assert_eq!(next.chat("hi").await.status(), 200);
    assert!(!next.output().contains("ERROR"), "{}", next.output());
}

#[tokio::test]
async fn a_kill_while_state_is_written_leaves_a_state_that_opens() {
    let upstream = FakeUpstream::start().await;
    let text = config(&upstream, "responses = \"emulate\"");
    let home = tempfile::tempdir().unwrap();
    let start = async || {
        let builder = aurora(&text)
            .arg("--data-dir")
            .arg(home.path().to_str().unwrap());
        builder.start().await
    };
    let mut known: Vec<String> = Vec::new();

    for round in 0..8_u64 {
        let aurora = start().await;
        let body = json!({"model": "m", "input": "hi"});
        let answer = aurora.post("/v1/responses", &body).send().await.unwrap();
        let answer: serde_json::Value =
            serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        known.push(answer["id"].as_str().unwrap().to_owned());
        // Others are being written when it dies.
        let more = (0..20).map(|_| aurora.post("/v1/responses", &body).send());
        let more = futures_util::future::join_all(more);
        tokio::select! {
            _ = more => {}
            () = tokio::time::sleep(Duration::from_millis(round * 4)) => {}
        }
        killed(aurora).await;
    }

    let next = start().await;
    assert!(next.output().contains("(embedded)"), "{}", next.output());
    for id in known {
        let found = next
            .get(&format!("/v1/responses/{id}"))
            .send()
            .await
            .unwrap();
        assert_eq!(found.status(), 200, "{id}: what was answered is kept");
    }
}

#[tokio::test]
async fn a_killed_gateway_is_started_again_at_once() {
    let upstream = FakeUpstream::start().await;
    let home = tempfile::tempdir().unwrap();
    upstream.next(Reply::open_events(&["data: {\"a\":1}\n\n"]).then(Step::Hang));
    let text = config(&upstream, "");
    let start = async || {
        let builder = aurora(&text)
            .arg("--data-dir")
            .arg(home.path().to_str().unwrap());
        builder.start().await
    };
    let first = start().await;
    let mut stream = first.chat_stream("hi").await;
    stream.chunk().await.unwrap().unwrap();
    killed(first).await;
    assert!(
        stream.chunk().await.is_err(),
        "a broken transfer, and no proper end"
    );

    assert_eq!(start().await.chat("hi").await.status(), 200);
}
