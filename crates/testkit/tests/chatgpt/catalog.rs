//! What the service says about itself and an account.

use aurora_testkit::chatgpt::{AccountSpec, Host};
use serde_json::{Value, json};

use crate::client::Client;

#[tokio::test]
async fn models_and_voices_are_listed() {
    let client = Client::start().await;
    let (_, models) = client
        .get("/models?history_and_training_disabled=false")
        .await;
    let slugs: Vec<_> = models["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["slug"].clone())
        .collect();
    assert_eq!(slugs, ["gpt-5-6", "gpt-5-6-thinking"]);
    client.web.models(json!({"models": []}));
    assert_eq!(client.get("/models").await.1, json!({"models": []}));
    let (_, voices) = client.get("/settings/voices").await;
    assert_eq!(
        (
            &voices["selected"],
            voices["voices"].as_array().unwrap().len()
        ),
        (&"cove".into(), 12)
    );
}

#[tokio::test]
async fn workspaces_are_listed() {
    let client = Client::start().await;
    let team = "99999999-2222-4333-8444-555555555555";
    let token = client.web.account_with(AccountSpec {
        name: "bob".to_owned(),
        plan: "team".to_owned(),
        teams: vec![team.to_owned()],
        ..AccountSpec::default()
    });

    let bob = client.with_token(token);
    let (_, answer) = bob
        .get("/accounts/check/v4-2023-04-27?timezone_offset_min=420")
        .await;

    assert_eq!(
        answer["account_ordering"],
        json!([client.web.account_id("bob"), team])
    );
    assert_eq!(
        answer["accounts"][team]["account"]["structure"],
        "workspace"
    );
    assert_eq!(bob.get("/me").await.1["plan_type"], "team");
}

#[tokio::test]
async fn the_steps_before_a_turn_are_checked() {
    let client = Client::start().await;
    let init = json!({"requested_default_model": null, "conversation_id": null, "timezone_offset_min": 420});
    assert_eq!(
        client.post("/conversation/init", &init).await.1["type"],
        "conversation_detail_metadata"
    );
    assert_eq!(client.post("/conversation/init", &json!({})).await.0, 422);
    let prepare = json!({"action": "next", "parent_message_id": "client-created-root", "model": "auto",
        "client_prepare_state": "none"});
    let (_, answer) = client.post("/f/conversation/prepare", &prepare).await;
    assert!(answer["conduit_token"].as_str().unwrap().starts_with("eyJ"));
    client.web.conduit_tokens(false);
    let (_, answer) = client.post("/f/conversation/prepare", &prepare).await;
    assert_eq!(answer, json!({"status": "ok", "conduit_token": null}));
    let wrong = json!({"action": "next", "client_prepare_state": "ready"});
    let (status, answer) = client.post("/f/conversation/prepare", &wrong).await;
    assert_eq!(
        (status, answer["detail"].as_array().unwrap().len()),
        (422, 3)
    );
    let (_, site) = client
        .post(
            "/attributions",
            &json!({"urls": ["https://a.example.org/b"]}),
        )
        .await;
    assert_eq!(site["attribution"], "a.example.org");
    assert_eq!(client.post("/attributions", &json!({})).await.0, 422);
}

#[tokio::test]
async fn everything_is_written_down_in_order() {
    let client = Client::start().await;
    client.get("/models?a=%20b").await;
    client.say("hi").await;
    assert_eq!(client.post("/nothing", &Value::Null).await.0, 404);

    let requests = client.web.requests();

    let calls: Vec<_> = requests
        .iter()
        .map(aurora_testkit::chatgpt::Recorded::call)
        .collect();
    assert_eq!(
        calls,
        ["GET /models", "POST /f/conversation", "POST /nothing"]
    );
    assert_eq!(
        (
            requests[0].path.as_str(),
            requests[0].parameter("a").as_deref()
        ),
        ("/backend-api/models", Some(" b"))
    );
    assert_eq!(requests[1].json()["action"], "next");
    assert!(
        requests
            .iter()
            .all(|one| one.host == Host::Service && one.account.as_deref() == Some("alice"))
    );
    assert_eq!(
        (
            client.web.turns().len(),
            client.web.calls("GET /models").len()
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn it_stops_with_its_last_handle() {
    let client = Client::start().await;
    let url = client.web.base_url();
    let second = client.web.clone();
    drop(client.web);
    let ask = async || client.http.get(&url).send().await.is_ok();
    assert!(ask().await);

    drop(second);

    aurora_testkit::eventually("nobody listens", async || !ask().await).await;
}
