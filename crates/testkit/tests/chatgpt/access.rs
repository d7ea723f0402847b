//! Tokens, workspaces, devices, and how tokens are got.

use aurora_testkit::chatgpt::AccountSpec;
use serde_json::{Value, json};

use crate::client::{Client, Said, ask, http, said};

async fn me(client: &Client, authorization: &str) -> Said {
    let url = format!("{}/me", client.web.base_url());
    let request = client.http.get(url).header("authorization", authorization);
    said(request.send().await.unwrap()).await
}

fn code((status, body): &Said) -> (u16, String) {
    let code = body["detail"]["code"].as_str();
    let code = code.or(body["error"]["code"].as_str()).unwrap_or_default();
    (*status, code.to_owned())
}

#[tokio::test]
async fn only_good_tokens_are_let_in() {
    let client = Client::start().await;
    let web = &client.web;
    let revoked = web.new_token("alice");
    web.revoke(&revoked);
    let closed = web.account("mallory");
    web.deactivate("mallory");
    let foreign = format!("{}x", web.new_token("alice"));
    let table = [
        (format!("Bearer {}", client.token), 200, ""),
        (
            format!("Bearer {}", web.expired_token("alice")),
            401,
            "token_expired",
        ),
        (format!("Bearer {revoked}"), 401, "token_revoked"),
        (format!("Bearer {closed}"), 401, "account_deactivated"),
        (format!("Bearer {foreign}"), 401, "token_invalidated"),
        ("Bearer nonsense".to_owned(), 401, "invalid_jwt"),
        (format!("Bearer {},team", client.token), 401, "invalid_jwt"),
        (format!("Basic {}", client.token), 401, "invalid_jwt"),
        (client.token.clone(), 401, "invalid_jwt"),
    ];
    for (authorization, status, word) in table {
        let said = me(&client, &authorization).await;
        assert_eq!(code(&said), (status, word.to_owned()), "{authorization}");
    }
    let bare = http()
        .get(format!("{}/me", web.base_url()))
        .send()
        .await
        .unwrap();
    assert_eq!(bare.status().as_u16(), 401);
}

#[tokio::test]
async fn tokens_say_whose_they_are() {
    use base64::Engine as _;
    let client = Client::start().await;
    let spec = AccountSpec {
        name: "bob".to_owned(),
        plan: "pro".to_owned(),
        expires_in: Some(60),
        teams: Vec::new(),
    };
    let token = client.web.account_with(spec);

    let payload = token.split('.').nth(1).unwrap();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(payload)
        .unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();

    assert!(token.starts_with("eyJhbGciOiJSUzI1NiI"));
    let auth = &claims["https://api.openai.com/auth"];
    assert_eq!(auth["chatgpt_plan_type"], "pro");
    assert_eq!(
        auth["chatgpt_account_id"],
        client.web.account_id("bob").as_str()
    );
    assert_ne!(client.web.new_token("bob"), token);
}

#[tokio::test]
async fn a_workspace_must_be_the_accounts_own() {
    let client = Client::start().await;
    let team = "99999999-2222-4333-8444-555555555555";
    let token = client.web.account_with(AccountSpec {
        name: "bob".to_owned(),
        teams: vec![team.to_owned()],
        ..AccountSpec::default()
    });
    let bob = client.with_token(token);
    let own = client.web.account_id("bob");
    let foreign = client.web.account_id("alice");

    for (workspace, status) in [(team, 200), (own.as_str(), 200), (foreign.as_str(), 403)] {
        let request = bob
            .call("GET", "/me")
            .header("chatgpt-account-id", workspace);
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{workspace}");
    }
    let last = client.web.requests().pop().unwrap();
    assert_eq!(last.account.as_deref(), Some("bob"));
    assert_eq!(last.workspace.as_deref(), Some(foreign.as_str()));
}

#[tokio::test]
async fn anonymous_devices_may_chat_and_no_more() {
    let client = Client::start().await;
    let device = client.web.device();
    let base = client.web.base_url().replace("backend-api", "backend-anon");
    let post = |path: &str, device: &str| {
        let request = client.http.post(format!("{base}{path}"));
        let request = request.header("oai-device-id", device);
        request
            .header("content-type", "application/json")
            .body(ask("hi").to_string())
    };

    let good = post("/conversation", &device).send().await.unwrap();
    assert_eq!(good.status().as_u16(), 200);
    assert!(good.text().await.unwrap().contains("data: [DONE]"));
    let stranger = uuid::Uuid::new_v4().to_string();
    for (request, status) in [
        (post("/conversation", ""), 401),
        (post("/conversation", &stranger), 403),
        (
            post("/conversation", &device).bearer_auth(&client.token),
            401,
        ),
        (post("/files", &device), 403),
        (post("/transcribe", &device), 403),
        (
            client
                .http
                .get(format!("{base}/synthesize"))
                .header("oai-device-id", &device),
            403,
        ),
        (
            client
                .http
                .get(format!("{base}/celsius/ws/user"))
                .header("oai-device-id", &device),
            403,
        ),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{:?}", response.url());
    }
    client.web.take_device(&stranger);
    let known = post("/conversation", &stranger).send().await.unwrap();
    assert_eq!(known.status().as_u16(), 200);
    let picture = crate::client::ask_picture("a cat").to_string();
    let response = post("/conversation", &device)
        .body(picture)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), 403);
}

async fn refresh(client: &Client, token: &str, client_id: &str) -> Said {
    let body = json!({"grant_type": "refresh_token", "client_id": client_id, "refresh_token": token, "redirect_uri": "com.example://x"});
    let request = client.http.post(client.web.oauth_url());
    let request = request
        .header("content-type", "application/json")
        .body(body.to_string());
    said(request.send().await.unwrap()).await
}

const CLIENT: &str = "pdlLIX2Y72MIl2rhLhTE9VV9bN905kBh";

#[tokio::test]
async fn refresh_tokens_give_access_and_rotate_when_told() {
    let client = Client::start().await;
    let token = client.web.refresh_token("alice");

    let (status, first) = refresh(&client, &token, CLIENT).await;
    assert_eq!((status, first["refresh_token"].clone()), (200, Value::Null));
    let access = first["access_token"].as_str().unwrap();
    assert_eq!(me(&client, &format!("Bearer {access}")).await.0, 200);
    assert_eq!(
        refresh(&client, &token, "another").await.1["error"],
        "invalid_grant"
    );
    assert_eq!(refresh(&client, "unknown", CLIENT).await.0, 403);

    client.web.rotate_refresh(true);
    let (_, second) = refresh(&client, &token, CLIENT).await;
    let fresh = second["refresh_token"].as_str().unwrap();
    let (status, reused) = refresh(&client, &token, CLIENT).await;
    assert_eq!(
        (status, &reused["error"]["code"]),
        (401, &"refresh_token_reused".into())
    );
    assert_eq!(refresh(&client, fresh, CLIENT).await.0, 200);
}

async fn exchange(client: &Client, cookie: &str) -> (Value, Vec<String>) {
    let request = client
        .http
        .get(client.web.session_url())
        .header("cookie", cookie);
    let response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let cookies = response.headers().get_all("set-cookie").iter();
    let cookies: Vec<String> = cookies
        .map(|value| {
            value
                .to_str()
                .unwrap()
                .split(';')
                .next()
                .unwrap()
                .to_owned()
        })
        .filter(|pair| pair.starts_with("__Secure-next-auth.session-token"))
        .collect();
    (said(response).await.1, cookies)
}

#[tokio::test]
async fn a_session_token_is_good_for_one_exchange() {
    let client = Client::start().await;
    let cookie = format!(
        "__Secure-next-auth.session-token={}",
        client.web.session_token("alice")
    );

    let (body, cookies) = exchange(&client, &cookie).await;
    let access = body["accessToken"].as_str().unwrap();
    assert_eq!(
        me(&client, &format!("Bearer {access}")).await.1["name"],
        "alice"
    );
    assert_eq!(exchange(&client, &cookie).await, (json!({}), Vec::new()));

    let (body, _) = exchange(&client, &cookies.join("; ")).await;
    assert!(body["accessToken"].is_string());
}

#[tokio::test]
async fn long_session_tokens_come_and_go_in_parts() {
    let client = Client::start().await;
    client.web.long_session_cookies(true);
    let token = client.web.session_token("alice");
    let whole = format!("__Secure-next-auth.session-token={token}");
    let (head, tail) = token.split_at(3000);
    let parts = format!(
        "a=b; __Secure-next-auth.session-token.1={tail}; __Secure-next-auth.session-token.0={head}"
    );

    assert_eq!(exchange(&client, &whole).await.0, json!({}));
    let (body, cookies) = exchange(&client, &parts).await;

    assert!(body["accessToken"].is_string());
    assert_eq!(cookies.len(), 2);
    assert!(cookies[1].starts_with("__Secure-next-auth.session-token.1="));
    assert!(exchange(&client, &cookies.join("; ")).await.0["accessToken"].is_string());
    assert_eq!(client.web.live_session_tokens().len(), 1);
}
