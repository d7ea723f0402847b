//! Client keys: who comes in, what each may use, and what others learn.

use std::time::{Duration, SystemTime};

use aurora_testkit::{Aurora, FakeUpstream, Reply, eventually};
use serde_json::json;

use crate::support::{aurora, config, pool, refusal};

const CHAT: &str = "/v1/chat/completions";

/// Aurora whose `[auth]` is `auth`.
async fn with_auth(upstream: &FakeUpstream, auth: &str) -> Aurora {
    let text = format!("[auth]\n{auth}\n{}", config(upstream, ""));
    aurora(&text).start().await
}

/// A chat turn with an `Authorization` of `given`.
async fn chat_as(aurora: &Aurora, given: &str, model: &str) -> reqwest::Response {
    let request = aurora.post(CHAT, &json!({"model": model, "messages": []}));
    request.header("authorization", given).send().await.unwrap()
}

#[tokio::test]
async fn who_has_no_key_is_told_how_to_send_one() {
    let upstream = FakeUpstream::start().await;
    let aurora = with_auth(&upstream, "keys = [\"sk-right\"]").await;

    let response = aurora.chat("hi").await;

    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    let refused = refusal(response).await;
    assert_eq!(
        (refused.status, refused.code.as_str(), refused.kind.as_str()),
        (401, "invalid_api_key", "authentication_error")
    );
    assert!(
        refused.message.contains("Authorization: Bearer"),
        "{}",
        refused.message
    );
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_not_repeated_in_the_answer() {
    let upstream = FakeUpstream::start().await;
    let aurora = with_auth(&upstream, "keys = [\"sk-right\"]").await;

    for wrong in [
        "Bearer sk-wrong",
        "Bearer sk-righ",
        "Bearer sk-right2",
        "Bearer",
        "Basic sk-right",
        "",
    ] {
        let refused = refusal(chat_as(&aurora, wrong, "m").await).await;
        assert_eq!(refused.status, 401, "{wrong}");
        assert!(!refused.message.contains("sk-"), "{}", refused.message);
    }
}

#[tokio::test]
async fn a_right_key_is_taken_in_every_spelling_of_bearer() {
    let upstream = FakeUpstream::start().await;
    let aurora = with_auth(&upstream, "keys = [\"sk-right\"]").await;

    for right in [
        "Bearer sk-right",
        "bearer sk-right",
        "BEARER  sk-right ",
        "sk-right",
    ] {
        let response = chat_as(&aurora, right, "m").await;
        assert_eq!(response.status(), 200, "{right}");
    }
}

#[tokio::test]
async fn who_has_no_key_does_not_learn_which_paths_there_are() {
    let upstream = FakeUpstream::start().await;
    let aurora = with_auth(&upstream, "keys = [\"sk-right\"]").await;

    let there = refusal(aurora.get("/v1/models").send().await.unwrap()).await;
    let nowhere = refusal(aurora.get("/nowhere").send().await.unwrap()).await;

    assert_eq!((there.status, nowhere.status), (401, 401));
    assert_eq!(there.message, nowhere.message);
}

#[tokio::test]
async fn keys_come_from_values_files_and_the_environment() {
    let upstream = FakeUpstream::start().await;
    let auth = "keys = [\"sk-value\", { env = \"TEAM_KEY\" }, { file = \"one.key\" }]\nkeys_file = \"keys.txt\"";
    let text = format!("[auth]\n{auth}\n{}", config(&upstream, ""));
    let aurora = aurora(&text)
        .env("TEAM_KEY", "sk-env")
        .env("Authorization", "sk-historic, Bearer sk-second")
        .file("one.key", "sk-file\n")
        .file("keys.txt", "# the team\nsk-line-1\r\n\nsk-line-2\n")
        .start()
        .await;

    let keys = [
        "sk-value",
        "sk-env",
        "sk-file",
        "sk-line-1",
        "sk-line-2",
        "sk-historic",
        "sk-second",
    ];
    for key in keys {
        assert_eq!(chat_as(&aurora, key, "m").await.status(), 200, "{key}");
    }
    for not_a_key in ["# the team", "the", "sk-historic, Bearer sk-second"] {
        let response = chat_as(&aurora, not_a_key, "m").await;
        assert_eq!(response.status(), 401, "{not_a_key}");
    }
    let names = aurora.status().await["client_keys"].clone();
    assert_eq!(names.as_array().unwrap().len(), 7);
}

#[tokio::test]
async fn a_key_can_be_written_as_its_digest() {
    let upstream = FakeUpstream::start().await;
    let digest = "0d6f56da6f86e8d2eb2d4be5b3a6a7f3c1f5b0c2c65d2c9db2d3d5d0a0c1b2e3";
    let real = sha256("sk-hidden");
    let auth = format!(
        "keys = [{{ name = \"other\", sha256 = \"{digest}\" }}, {{ name = \"ann\", sha256 = \"{real}\" }}]"
    );
    let aurora = with_auth(&upstream, &auth).await;

    assert_eq!(
        chat_as(&aurora, "Bearer sk-hidden", "m").await.status(),
        200
    );
    aurora.wait_for_output("client=\"ann\"").await;
    let presented_digest = chat_as(&aurora, &format!("Bearer {real}"), "m").await;
    assert_eq!(presented_digest.status(), 401);
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(text);
    let digits = digest.iter().map(|byte| format!("{byte:02x}"));
    digits.collect::<Vec<_>>().concat()
}

#[tokio::test]
async fn a_key_for_some_models_serves_those_only() {
    let upstream = FakeUpstream::start().await;
    let auth = "keys = [{ name = \"ann\", key = \"sk-ann\", models = [\"small\"] }]";
    let aurora = with_auth(&upstream, auth).await;

    assert_eq!(chat_as(&aurora, "sk-ann", "small").await.status(), 200);
    let refused = refusal(chat_as(&aurora, "sk-ann", "large").await).await;

    assert_eq!(
        (refused.status, refused.code.as_str(), refused.kind.as_str()),
        (403, "model_not_allowed", "permission_error")
    );
    assert_eq!(refused.param.as_deref(), Some("model"));
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_key_for_some_models_cannot_get_around_that() {
    let upstream = FakeUpstream::start().await;
    let auth = "keys = [{ name = \"ann\", key = \"sk-ann\", models = [\"small\"] }]";
    let aurora = with_auth(&upstream, auth).await;
    let bodies = [
        r#"{"messages":[]}"#,
        r#"{"model":"small","model":"large","messages":[]}"#,
        r#"{"mod\u0065l":"large","messages":[]}"#,
        r#"{"model":["large"],"messages":[]}"#,
        r#"[{"model":"large"}]"#,
    ];

    for (path, body) in ["/v1/chat/completions", "/v1/embeddings"]
        .into_iter()
        .flat_map(|path| bodies.map(|body| (path, body)))
    {
        let request = aurora.client().post(format!("{}{path}", aurora.url()));
        let request = request.header("authorization", "sk-ann").body(body);
        let refused = refusal(request.send().await.unwrap()).await;
        assert!(
            [400, 403].contains(&refused.status),
            "{path} {body}: {}",
            refused.status
        );
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_key_for_some_models_is_shown_those_only() {
    let upstream = FakeUpstream::start().await;
    let auth = "keys = [{ name = \"ann\", key = \"sk-ann\", models = [\"small\"] }, \"sk-all\"]";
    let aurora = with_auth(&upstream, auth).await;
    let list = json!({"object": "list", "data": [
        {"id": "small", "object": "model", "created": 1, "owned_by": "x"},
        {"id": "large", "object": "model", "created": 1, "owned_by": "x"},
    ]});
    upstream
        .next(Reply::json(200, &list))
        .next(Reply::json(200, &list));

    let ids = async |key: &str| -> Vec<String> {
        let request = aurora.get("/v1/models").header("authorization", key);
        let text = request.send().await.unwrap().text().await.unwrap();
        let list: serde_json::Value = serde_json::from_str(&text).unwrap();
        let models = list["data"].as_array().unwrap().clone();
        models
            .iter()
            .map(|model| model["id"].as_str().unwrap().to_owned())
            .collect()
    };

    assert_eq!(ids("sk-ann").await, ["small"]);
    assert_eq!(ids("sk-all").await, ["large", "small"]);
}

#[tokio::test]
async fn a_key_for_some_routes_serves_those_only() {
    let upstream = FakeUpstream::start().await;
    let auth = "keys = [{ name = \"ann\", key = \"sk-ann\", routes = [\"/v1/chat/completions\"] }]";
    let aurora = with_auth(&upstream, auth).await;

    assert_eq!(chat_as(&aurora, "sk-ann", "m").await.status(), 200);
    let request = aurora
        .get("/v1/embeddings")
        .header("authorization", "sk-ann");
    let refused = refusal(request.send().await.unwrap()).await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (403, "route_not_allowed")
    );
}

#[tokio::test]
async fn a_key_ends_when_it_expires_though_nothing_is_reloaded() {
    let upstream = FakeUpstream::start().await;
    let soon = SystemTime::now() + Duration::from_secs(2);
    let soon = humantime::format_rfc3339_millis(soon);
    let aurora = with_auth(
        &upstream,
        &format!("keys = [{{ name = \"ann\", key = \"sk-ann\", expires = {soon} }}]"),
    )
    .await;
    assert_eq!(chat_as(&aurora, "sk-ann", "m").await.status(), 200);

    eventually("the key expires", async || {
        chat_as(&aurora, "sk-ann", "m").await.status() == 401
    })
    .await;

    let refused = refusal(chat_as(&aurora, "sk-ann", "m").await).await;
    assert_eq!(refused.code, "invalid_api_key");
    assert!(refused.message.contains("expired"), "{}", refused.message);
    assert_eq!(aurora.generation().await, 1);
}

#[tokio::test]
async fn an_expired_key_alone_does_not_open_the_gateway() {
    let upstream = FakeUpstream::start().await;
    let auth = "keys = [{ name = \"ann\", key = \"sk-ann\", expires = 2020-01-01 }]";
    let aurora = with_auth(&upstream, auth).await;

    assert_eq!(aurora.chat("hi").await.status(), 401);
    assert_eq!(chat_as(&aurora, "sk-ann", "m").await.status(), 401);
}

#[tokio::test]
async fn without_keys_everybody_on_this_machine_is_served() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&config(&upstream, "")).start().await;

    assert_eq!(chat_as(&aurora, "Bearer anything", "m").await.status(), 200);
    assert!(
        aurora.output().contains("keys     none"),
        "{}",
        aurora.output()
    );
}

#[tokio::test]
async fn an_open_door_to_the_network_without_keys_is_refused_with_the_ways_out() {
    let upstream = FakeUpstream::start().await;
    let text = format!(
        "[server]\nlisten = \"0.0.0.0:0\"\n{}",
        config(&upstream, "")
    );

    let (code, text) = aurora(&text).own_addresses().run_to_end().await;

    assert_eq!(code, Some(1));
    for part in [
        "error[AUR0601]",
        "aurora.toml:2:10",
        "no client key is set",
        "open = true",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn a_flag_cannot_open_the_door_either() {
    let upstream = FakeUpstream::start().await;

    let started = aurora(&config(&upstream, ""))
        .arg("--listen=[::]:0")
        .run_to_end();
    let (code, text) = started.await;

    assert_eq!(code, Some(1));
    assert!(text.contains("no client key is set"), "{text}");
}

#[tokio::test]
async fn the_door_is_open_where_the_config_says_so_or_has_keys() {
    let upstream = FakeUpstream::start().await;
    for auth in ["open = true", "keys = [\"sk-1\"]"] {
        let text = format!(
            "[server]\nlisten = \"0.0.0.0:0\"\n[auth]\n{auth}\n{}",
            config(&upstream, "")
        );

        let aurora = aurora(&text).own_addresses().start().await;

        let url = aurora.url().replace("0.0.0.0", "127.0.0.1");
        let request = aurora.client().get(format!("{url}/v1/x"));
        let response = request.header("authorization", "sk-1").send().await;
        assert_eq!(response.unwrap().status(), 200, "{auth}");
    }
}

#[tokio::test]
async fn an_upstreams_401_is_never_the_clients() {
    let upstream = FakeUpstream::start().await;
    let wrong = json!({"error": {"message": "bad key", "code": "invalid_api_key"}});
    let settings = [String::new(), pool(&["sk-pool"])];

    for settings in settings {
        let text = format!(
            "[auth]\nkeys = [\"sk-1\"]\n{}",
            config(&upstream, &settings)
        );
        let aurora = aurora(&text).start().await;
        upstream.next(Reply::json(401, &wrong));
        let refused = refusal(chat_as(&aurora, "sk-1", "m").await).await;
        assert_eq!(
            (refused.status, refused.code.as_str()),
            (502, "upstream_auth_failed"),
            "{settings}"
        );
        assert!(
            refused.message.contains("Your key is fine"),
            "{}",
            refused.message
        );
    }
}

#[tokio::test]
async fn a_clients_key_never_reaches_the_upstream() {
    let upstream = FakeUpstream::start().await;
    let aurora = with_auth(&upstream, "keys = [\"sk-right\"]").await;

    chat_as(&aurora, "Bearer sk-right", "m").await;

    let seen = upstream.last();
    assert_eq!(seen.header("authorization"), None);
    assert!(!format!("{seen:?}").contains("sk-right"));
}
