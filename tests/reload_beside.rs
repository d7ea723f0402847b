//! Hot reload of what stands beside the routes: token files, key files, addresses, clocks.

use std::time::{Duration, Instant};

use aurora_testkit::{FakeUpstream, Reply, eventually};

use crate::support::{aurora, config};

#[tokio::test]
async fn a_changed_token_file_is_live_and_health_is_kept() {
    let upstream = FakeUpstream::start().await;
    let text = config(
        &upstream,
        "tokens = \"t\"\n[tokens.t]\nfile = \"keys.txt\"\nstrategy = \"sticky\"",
    );
    let aurora = aurora(&text)
        .file("keys.txt", "sk-one\nsk-two\n")
        .start()
        .await;
    upstream.next(Reply::json(
        401,
        &serde_json::json!({"error": {"message": "no"}}),
    ));
    assert_eq!(aurora.chat("hi").await.status(), 200);
    assert_eq!(
        upstream.last().header("authorization"),
        Some("Bearer sk-two")
    );

    aurora.replace("keys.txt", "# new order\r\nsk-three\r\nsk-one\r\n");
    aurora.wait_for_generation(2).await;
    aurora.chat("hi").await;

    assert_eq!(
        upstream.last().header("authorization"),
        Some("Bearer sk-three")
    );
    let tokens = aurora.status().await["tokens"]["t"]["tokens"].clone();
    assert_eq!(tokens[0]["origin"], "keys.txt:2");
    assert_eq!([&tokens[0]["state"], &tokens[1]["state"]], ["ok", "dead"]);
}

#[tokio::test]
async fn a_deleted_token_file_keeps_the_old_tokens() {
    let upstream = FakeUpstream::start().await;
    let text = config(&upstream, "tokens = \"t\"\n[tokens.t]\nfile = \"keys.txt\"");
    let aurora = aurora(&text).file("keys.txt", "sk-one\n").start().await;

    std::fs::remove_file(aurora.path("keys.txt")).unwrap();
    let error = aurora.wait_for_reload_error().await;
    aurora.chat("hi").await;

    assert!(error.contains("keys.txt"), "{error}");
    assert_eq!(
        upstream.last().header("authorization"),
        Some("Bearer sk-one")
    );
    aurora.write("keys.txt", "sk-two\n");
    aurora.wait_for_generation(2).await;
    aurora.chat("hi").await;
    assert_eq!(
        upstream.last().header("authorization"),
        Some("Bearer sk-two")
    );
}

#[tokio::test]
async fn a_changed_key_file_is_live() {
    let upstream = FakeUpstream::start().await;
    let text = format!(
        "[auth]\nkeys_file = \"clients.txt\"\n{}",
        config(&upstream, "")
    );
    let aurora = aurora(&text).file("clients.txt", "sk-old\n").start().await;
    let ask = async |key: &str| {
        let body = serde_json::json!({"model": "m", "messages": []});
        let request = aurora.post("/v1/chat/completions", &body).bearer_auth(key);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!([ask("sk-old").await, ask("sk-new").await], [200, 401]);

    aurora.write("clients.txt", "sk-new\n");
    aurora.wait_for_generation(2).await;

    assert_eq!([ask("sk-old").await, ask("sk-new").await], [401, 200]);
}

#[tokio::test]
async fn a_changed_listen_address_is_bound_before_the_old_one_is_drained() {
    let upstream = FakeUpstream::start().await;
    let at = |port: u16| {
        format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\n{}",
            config(&upstream, "")
        )
    };
    let admin = format!("[admin]\nlisten = \"127.0.0.1:0\"\n{}", at(0));
    let aurora = aurora(&admin).own_addresses().start().await;
    let old = aurora.url().to_owned();
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();

    aurora.write(
        "aurora.toml",
        format!("[admin]\nlisten = \"127.0.0.1:0\"\n{}", at(free)),
    );
    aurora.wait_for_generation(2).await;

    let new = format!("http://127.0.0.1:{free}");
    assert_eq!(
        aurora
            .client()
            .get(format!("{new}/ping"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    eventually("the old address is closed", async || {
        let fresh = reqwest::Client::builder().no_proxy().build().unwrap();
        fresh.get(format!("{old}/ping")).send().await.is_err()
    })
    .await;
}

#[tokio::test]
async fn an_address_that_cannot_be_bound_blocks_the_reload() {
    let upstream = FakeUpstream::start().await;
    let text = format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\n[server]\nlisten = \"127.0.0.1:0\"\n{}",
        config(&upstream, "")
    );
    let aurora = aurora(&text).own_addresses().start().await;
    let taken = upstream.address();

    aurora.write(
        "aurora.toml",
        text.replacen(
            "[server]\nlisten = \"127.0.0.1:0\"",
            &format!("[server]\nlisten = \"{taken}\""),
            1,
        ),
    );
    let error = aurora.wait_for_reload_error().await;

    assert!(
        error.contains(&format!("cannot listen on `{taken}`")),
        "{error}"
    );
    assert_eq!(aurora.chat("hi").await.status(), 200);
}

#[tokio::test]
async fn changed_clocks_hold_for_the_next_connection() {
    let upstream = FakeUpstream::start().await;
    let with_idle = |idle: &str| format!("[server]\nidle = \"{idle}\"\n{}", config(&upstream, ""));
    let aurora = aurora(&with_idle("60s")).start().await;

    aurora.write("aurora.toml", with_idle("200ms"));
    aurora.wait_for_generation(2).await;
    let mut client = aurora.raw().await;
    client
        .send("GET /v1/ping HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    client.read_until("}").await;

    let began = Instant::now();
    client.read_to_end().await;
    assert!(began.elapsed() < Duration::from_secs(5));
}
