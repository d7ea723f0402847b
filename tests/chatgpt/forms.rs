//! Forms of `Authorization`: keys, tokens of clients, device ids, workspaces.

use aurora_testkit::FakeChatGpt;
use aurora_testkit::chatgpt::AccountSpec;
use serde_json::{Value, json};

use super::super::support::{aurora, refusal};
use super::files::form;
use super::{Setup, asking, config};

const TEAM: &str = "99999999-2222-4333-8444-555555555555";
const OTHER: &str = "88888888-2222-4333-8444-555555555555";

/// The gateway with these lines in `[auth]`, a pool of `pool` alone, and a client's account `carol` in two workspaces.
async fn started(auth: &str) -> (Setup, String) {
    let web = FakeChatGpt::start().await;
    let pool = web.account("pool");
    let token = web.account_with(AccountSpec {
        name: "carol".to_owned(),
        teams: vec![TEAM.to_owned(), OTHER.to_owned()],
        ..AccountSpec::default()
    });
    let config = format!("[auth]\n{auth}\n{}", config(&web, ""));
    let builder = aurora(&config).file("access_tokens.txt", pool);
    let aurora = builder.start().await;
    (Setup { web, aurora }, token)
}

impl Setup {
    /// Asks with these headers: status and code, and account and workspace of the turn.
    async fn ask_as(
        &self,
        headers: &[(&str, &str)],
    ) -> (u16, String, Option<String>, Option<String>) {
        let before = self.web.turns().len();
        let mut request = self
            .aurora
            .post("/v1/chat/completions", &asking("hi", false));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        let code = body["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let turn = self.web.turns().into_iter().nth(before);
        let (account, workspace) = turn.map_or((None, None), |turn| {
            let workspace = turn.header("chatgpt-account-id").map(str::to_owned);
            (turn.account.clone(), workspace)
        });
        (status, code, account, workspace)
    }
}

#[tokio::test]
async fn without_keys_tokens_serve_and_other_words_mean_the_pool() {
    let (setup, token) = started("").await;
    let served = |account: &str, workspace: Option<&str>| {
        (
            200,
            String::new(),
            Some(account.to_owned()),
            workspace.map(str::to_owned),
        )
    };
    assert_eq!(setup.ask_as(&[]).await, served("pool", None));
    assert_eq!(
        setup.ask_as(&[("authorization", "Bearer anything")]).await,
        served("pool", None)
    );
    for form in ["Bearer ", "bearer ", "BEARER  ", "", "Bearer old-key "] {
        let value = format!("{form}{token}");
        assert_eq!(
            setup.ask_as(&[("authorization", &value)]).await,
            served("carol", None),
            "{form}"
        );
    }
    let comma = format!("Bearer {token}, {TEAM} ");
    assert_eq!(
        setup.ask_as(&[("authorization", &comma)]).await,
        served("carol", Some(TEAM))
    );
    let empty = format!("Bearer {token},");
    assert_eq!(
        setup.ask_as(&[("authorization", &empty)]).await,
        served("carol", None)
    );
    for header in [
        "ChatGPT-Account-ID",
        "chatgpt-account-id",
        "Team-Account-ID",
        "X-ChatGPT-Account-ID",
    ] {
        let told = setup
            .ask_as(&[("authorization", &comma), (header, OTHER)])
            .await;
        assert_eq!(
            told,
            served("carol", Some(OTHER)),
            "{header}: the header wins"
        );
    }
}

#[tokio::test]
async fn with_keys_a_token_needs_one_beside_it() {
    let (setup, token) = started("keys = [\"sk-gateway\"]").await;
    let refused = (401, "invalid_api_key".to_owned(), None, None);
    let both = format!("Bearer sk-gateway {token},{TEAM}");
    let served = |account: &str| (200, String::new(), Some(account.to_owned()));
    let (status, code, account, workspace) = setup.ask_as(&[("authorization", &both)]).await;
    assert_eq!((status, code, account), served("carol"));
    assert_eq!(workspace.as_deref(), Some(TEAM));
    let (status, code, account, _) = setup
        .ask_as(&[("authorization", "Bearer sk-gateway")])
        .await;
    assert_eq!((status, code, account), served("pool"));
    let alone = format!("Bearer {token}");
    let wrong = format!("Bearer sk-gatewa {token}");
    for value in [
        alone.as_str(),
        &wrong,
        "Bearer sk-gatewa",
        "Bearer sk-gateway x",
        "Bearer sk-gatewayy",
    ] {
        assert_eq!(
            setup.ask_as(&[("authorization", value)]).await,
            refused,
            "{value}"
        );
    }
    assert_eq!(setup.ask_as(&[]).await, refused);
}

#[tokio::test]
async fn tokens_of_clients_can_be_switched_off() {
    let web = FakeChatGpt::start().await;
    let token = web.account("carol");
    let settings = format!("[auth]\nupstream_tokens = false\n{}", config(&web, ""));
    let off = aurora(&settings).start().await;
    let historic = aurora(&config(&web, ""))
        .env("ENABLE_EXTERNAL_TOKEN", "false")
        .start()
        .await;
    for aurora in [off, historic] {
        let request = aurora.post("/v1/chat/completions", &asking("hi", false));
        let refused = refusal(request.bearer_auth(&token).send().await.unwrap()).await;
        assert_eq!(
            (refused.status, refused.code.as_str()),
            (403, "upstream_tokens_disabled")
        );
        assert!(
            refused.message.contains("upstream_tokens"),
            "{}",
            refused.message
        );
    }
    assert!(web.requests().is_empty());
}

/// What a device account cannot do, and the word for it.
fn beyond_devices(setup: &Setup) -> Vec<(reqwest::RequestBuilder, &'static str)> {
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
    let picture =
        json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]);
    let upload = || {
        form(
            ("name=\"file\"; filename=\"a.png\"", "image/png", b"x"),
            &[],
        )
    };
    let post = |path: &str, body: Value| setup.aurora.post(path, &body);
    let form_to = |path: &str| {
        let (content_type, body) = upload();
        let url = format!("{}{path}", setup.aurora.url());
        setup
            .aurora
            .client()
            .post(url)
            .header("content-type", content_type)
            .body(body)
    };
    let png = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJggg==";
    vec![
        (
            post(
                "/v1/chat/completions",
                json!({"messages": [{"role": "user", "content": "x"}], "tools": tools}),
            ),
            "tool calling",
        ),
        (
            post(
                "/v1/chat/completions",
                json!({"messages": [{"role": "user", "content": picture}]}),
            ),
            "picture",
        ),
        (
            post("/v1/images/generations", json!({"prompt": "x"})),
            "image generation",
        ),
        (
            post("/v1/images/edits", json!({"prompt": "x", "image_url": png})),
            "image editing",
        ),
        (
            post("/v1/images/variations", json!({"image_url": png})),
            "image variation",
        ),
        (post("/v1/audio/speech", json!({"input": "x"})), "speech"),
        (form_to("/v1/audio/transcriptions"), "transcription"),
        (form_to("/v1/files"), "file upload"),
    ]
}

#[tokio::test]
async fn a_device_can_chat_and_nothing_else() {
    let (setup, _) = started("").await;
    let device = setup.web.device();
    let (status, ..) = setup
        .ask_as(&[("authorization", &format!("Bearer {device}"))])
        .await;
    assert_eq!(status, 200);
    let turn = setup.web.turns().pop().unwrap();
    assert!(turn.path.starts_with("/backend-anon/"), "{}", turn.path);
    assert_eq!(turn.header("oai-device-id"), Some(device.as_str()));
    assert_eq!(turn.header("authorization"), None);

    let sent = setup.web.requests().len();
    for (request, feature) in beyond_devices(&setup) {
        let refused = refusal(request.bearer_auth(&device).send().await.unwrap()).await;
        assert_eq!(
            (refused.status, refused.code.as_str()),
            (403, "capability_not_available"),
            "{feature}"
        );
        assert!(
            refused.message.contains(feature),
            "{feature}: {}",
            refused.message
        );
    }
    assert_eq!(
        setup.web.requests().len(),
        sent,
        "nothing of it reached the service"
    );
}

#[tokio::test]
async fn two_workspaces_of_one_token_never_mix() {
    let (setup, token) = started("").await;
    setup.web.one_at_a_time(false);
    let ask = |team: &'static str| {
        let value = format!("Bearer {token},{team}");
        let part = json!([{"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{}", picture())}},
            {"type": "text", "text": team}]);
        let body = json!({"messages": [{"role": "user", "content": part}]});
        setup
            .aurora
            .post("/v1/chat/completions", &body)
            .header("authorization", value)
            .send()
    };
    let answers =
        futures_util::future::join_all((0..10).map(|at| ask([TEAM, OTHER][at % 2]))).await;
    for answer in answers {
        assert_eq!(answer.unwrap().status(), 200);
    }
    for turn in setup.web.turns() {
        let text = turn.json()["messages"][0]["content"]["parts"][1]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(turn.header("chatgpt-account-id"), Some(text.as_str()));
    }
    let created = setup.web.calls("POST /files");
    let of = |team: &str| {
        created
            .iter()
            .filter(|call| call.header("chatgpt-account-id") == Some(team))
            .count()
    };
    assert_eq!((of(TEAM), of(OTHER)), (5, 5));
}

fn picture() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(FakeChatGpt::picture(3))
}

#[tokio::test]
async fn a_refresh_token_is_exchanged_once_for_all_who_bring_it() {
    let (setup, _) = started("").await;
    setup.web.one_at_a_time(false);
    let token = setup.web.refresh_token("dora");
    let ask = || {
        let request = setup
            .aurora
            .post("/v1/chat/completions", &asking("hi", false));
        request.bearer_auth(&token).send()
    };
    let answers = futures_util::future::join_all((0..8).map(|_| ask())).await;
    for answer in answers {
        assert_eq!(answer.unwrap().status(), 200);
    }
    assert_eq!(ask().await.unwrap().status(), 200);
    let exchanges = setup
        .web
        .requests()
        .iter()
        .filter(|request| request.path == "/oauth/token")
        .count();
    assert_eq!(exchanges, 1);
    assert!(
        setup
            .web
            .turns()
            .iter()
            .all(|turn| turn.account.as_deref() == Some("dora"))
    );

    let bad = "rt_".to_owned() + &"0".repeat(80);
    let request = setup
        .aurora
        .post("/v1/chat/completions", &asking("hi", false));
    let refused = refusal(request.bearer_auth(bad).send().await.unwrap()).await;
    assert_eq!(
        (refused.status, refused.code.as_str()),
        (401, "upstream_invalid_token")
    );
}

#[tokio::test]
async fn an_expired_or_revoked_token_of_a_client_is_its_own_401() {
    let (setup, token) = started("").await;
    let expired = setup.web.expired_token("carol");
    setup.web.revoke(&token);
    for (token, code) in [
        (expired, "upstream_token_expired"),
        (token, "upstream_token_invalidated"),
    ] {
        let request = setup
            .aurora
            .post("/v1/chat/completions", &asking("hi", false));
        let refused = refusal(request.bearer_auth(token).send().await.unwrap()).await;
        assert_eq!((refused.status, refused.code.as_str()), (401, code));
    }
}

#[tokio::test]
async fn files_of_one_client_do_not_exist_for_another() {
    let (setup, token) = started("").await;
    let (content_type, body) = form(
        ("name=\"file\"; filename=\"a.txt\"", "text/plain", b"mine"),
        &[],
    );
    let url = format!("{}/v1/files", setup.aurora.url());
    let request = setup
        .aurora
        .client()
        .post(&url)
        .header("content-type", content_type)
        .body(body);
    let file: Value = serde_json::from_str(
        &request
            .bearer_auth(&token)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
    )
    .unwrap();
    let id = file["id"].as_str().unwrap();
    let one = setup.aurora.get(&format!("/v1/files/{id}"));
    assert_eq!(one.bearer_auth(&token).send().await.unwrap().status(), 200);
    let other = setup
        .aurora
        .get(&format!("/v1/files/{id}"))
        .send()
        .await
        .unwrap();
    assert_eq!(other.status(), 404);
}
