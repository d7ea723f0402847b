//! What the host does for a plugin.

use aurora_testkit::{FakeUpstream, eventually};
use serde_json::json;

use super::{FIXTURE, ask, config, fixture, slot, version, wait_for, with_fixture};
use crate::support::{aurora, refusal, upstream};

#[tokio::test]
async fn state_outlives_versions_and_knows_expiry_and_compare_and_set() {
    let aurora = with_fixture("").start().await;
    ask(&aurora, "state/put").await;

    aurora.replace(FIXTURE, fixture(2));
    wait_for(&aurora, 2).await;

    assert_eq!(ask(&aurora, "state/get").await, json!(version(1)));
    assert_eq!(ask(&aurora, "state/delete").await, json!(true));
    assert_eq!(ask(&aurora, "state/get").await, json!(null));
    assert_eq!(ask(&aurora, "state/swap").await, json!([true, false, true]));
    assert_eq!(ask(&aurora, "state/expiry").await, json!([true, false]));
}

#[tokio::test]
async fn metrics_go_on_across_versions() {
    let aurora = with_fixture("").start().await;
    ask(&aurora, "version").await;
    aurora.replace(FIXTURE, fixture(2));
    aurora.wait_for_generation(2).await;
    ask(&aurora, "version").await;

    let text = aurora
        .client()
        .get(format!("{}/metrics", aurora.admin_url()))
        .send()
        .await
        .unwrap();
    assert!(
        text.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    let text = text.text().await.unwrap();

    assert!(
        text.contains("aurora_plugin_fixture_hits_total{mode=\"version\"} 2.0"),
        "{text}"
    );
}

#[tokio::test]
async fn an_upstream_by_name_must_be_granted() {
    let fake = FakeUpstream::start().await;
    let upstreams = upstream(
        "private",
        &fake,
        "tokens = \"t\"\n[tokens.t]\nvalues = [\"sk-upstream\"]\n",
    );
    let aurora = with_fixture(&upstreams).start().await;

    let refused = refusal(
        aurora
            .get("/fixture/upstream/private")
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(
        (refused.status, refused.code.as_str()),
        (403, "plugin_denied")
    );
    assert!(fake.requests().is_empty());

    let granted =
        format!("{upstreams}\n[plugins.fixture]\ngrant = {{ upstreams = [\"private\"] }}\n");
    aurora.write("aurora.toml", config(&granted));
    eventually("it is granted", async || {
        aurora
            .get("/fixture/upstream/private")
            .send()
            .await
            .unwrap()
            .status()
            == 200
    })
    .await;
    // The host added the token; the plugin never saw it.
    assert_eq!(
        fake.last().header("authorization"),
        Some("Bearer sk-upstream")
    );
}

#[tokio::test]
async fn every_semantic_call_works_on_an_upstream() {
    let aurora = with_fixture("").start().await;
    let post = |mode: &str, body: serde_json::Value| {
        aurora.post(&format!("/fixture/call/{mode}"), &body).send()
    };

    let chat = post(
        "chat",
        json!({"model": "mock-chat", "messages": [{"role": "user", "content": "hi"}]}),
    )
    .await
    .unwrap();
    let chat: serde_json::Value = serde_json::from_slice(&chat.bytes().await.unwrap()).unwrap();
    assert!(chat["text"].as_str().unwrap().contains("hi"), "{chat}");

    let models: serde_json::Value = serde_json::from_slice(
        &aurora
            .get("/fixture/call/models")
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap(),
    )
    .unwrap();
    assert!(
        models.as_array().is_some_and(|models| !models.is_empty()),
        "{models}"
    );

    let images = post(
        "images",
        json!({"model": "mock-image", "prompt": "a cat", "response_format": "b64_json"}),
    )
    .await
    .unwrap();
    assert!(images.text().await.unwrap().contains("b64_json"));

    let speech = post(
        "speech",
        json!({"model": "mock-tts", "voice": "alloy", "input": "Hello!", "response_format": "wav"}),
    )
    .await
    .unwrap();
    assert!(speech.bytes().await.unwrap().starts_with(b"RIFF"));

    let upload = post("upload", json!({"any": "bytes"}))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(upload.contains("voice.wav"), "{upload}");
    let said = post("transcribe", json!({}))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(said.contains("Transcription of voice.wav"), "{said}");
}

#[tokio::test]
async fn work_beside_a_request_runs_and_its_panic_is_an_error_of_its_own() {
    let aurora = with_fixture("").start().await;

    assert_eq!(
        ask(&aurora, "offload").await,
        json!({ "sum": 5050, "panicked": true })
    );
    ask(&aurora, "spawn").await;

    aurora.wait_for_output("spawned work is done").await;
}

#[tokio::test]
async fn a_request_that_must_settle_goes_on_after_its_client_left() {
    let aurora = with_fixture("").start().await;

    let asked = aurora.get("/fixture/keep").send();
    tokio::time::timeout(std::time::Duration::from_millis(300), asked)
        .await
        .unwrap_err();

    aurora
        .wait_for_output("settled after the client left")
        .await;
}

#[tokio::test]
async fn log_lines_are_bounded_and_on_one_line_and_usage_is_in_the_access_log() {
    let aurora = with_fixture("").start().await;

    ask(&aurora, "log").await;

    aurora.wait_for_output("usage=\"input_tokens=7\"").await;
    let output = aurora.output();
    let line = output
        .lines()
        .find(|line| line.contains("line one"))
        .unwrap();
    assert!(
        line.contains("line two") && line.len() < 5_000,
        "{}",
        line.len()
    );
}

#[tokio::test]
async fn a_plugin_that_keeps_a_thread_is_named() {
    let aurora = with_fixture("").start().await;

    ask(&aurora, "block/60").await;

    aurora
        .wait_for_output("plugin keeps a thread for long")
        .await;
    assert_eq!(slot(&aurora, "fixture").await["serving"]["slow_polls"], 1);
}

#[tokio::test]
async fn a_plugin_serves_while_thousands_of_its_requests_are_open() {
    let aurora = std::sync::Arc::new(aurora(&config("")).file(FIXTURE, fixture(1)).start().await);
    let mut clients = Vec::new();
    for _ in 0..300 {
        let aurora = std::sync::Arc::clone(&aurora);
        clients.push(tokio::spawn(async move {
            let response = aurora.get("/fixture/stream/3/200").send().await.unwrap();
            response.text().await.unwrap()
        }));
    }
    for client in clients {
        assert!(client.await.unwrap().ends_with("data: [DONE]\n\n"));
    }
}
