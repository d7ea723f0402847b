//! No token, cookie or key ever comes out, and none goes to a host that is not the service's own.

use aurora_testkit::chatgpt::{Fault, Host, Reply};
use aurora_testkit::{FakeChatGpt, eventually};
use serde_json::{Value, json};

use super::super::support::aurora;
use super::files::form;
use super::{Setup, asking, config};

const KEY: &str = "sk-hunter2-gateway";

/// The gateway at its most talkative, with accounts of every kind.
async fn talkative(format: &str) -> (Setup, Vec<String>) {
    let web = FakeChatGpt::start().await;
    web.rotate_refresh(true);
    let access = web.account("alice");
    let refresh = web.refresh_token("bob");
    let session = web.session_token("carol");
    let config = format!("[auth]\nkeys = [\"{KEY}\"]\n{}", config(&web, ""));
    let builder = aurora(&config)
        .file("access_tokens.txt", &access)
        .file("refresh_tokens.txt", &refresh)
        .file("session_tokens.txt", &session)
        .env("AURORA_LOG", "trace")
        .env("AURORA_LOG_FORMAT", format);
    let setup = Setup {
        aurora: builder.start().await,
        web,
    };
    (setup, vec![KEY.to_owned(), access, refresh, session])
}

/// Everything of an answer that a client sees.
async fn all(request: reqwest::RequestBuilder) -> String {
    let response = request.send().await.unwrap();
    let head = format!("{} {:?}", response.status(), response.headers());
    head + &String::from_utf8_lossy(&response.bytes().await.unwrap_or_default())
}

/// A bit of everything, with what clients saw of it.
async fn everything(setup: &Setup, authorization: &str) -> String {
    let mut seen = String::new();
    let post = |path: &str, body: Value| {
        setup
            .aurora
            .post(path, &body)
            .header("authorization", authorization)
    };
    let requests = [
        post("/v1/chat/completions", asking("hi", true)),
        post("/v1/chat/completions", asking("hi", false)),
        post("/v1/responses", json!({"model": "auto", "input": "hi"})),
        post(
            "/v1/images/generations",
            json!({"prompt": "x", "response_format": "url"}),
        ),
        post("/v1/audio/speech", json!({"input": "hello"})),
        post(
            "/backend-api/conversation",
            json!({"conversation_id": null}),
        ),
        setup
            .aurora
            .get("/v1/models")
            .header("authorization", authorization),
    ];
    for request in requests {
        seen.push_str(&all(request).await);
    }
    for path in ["/v1/files", "/v1/audio/transcriptions"] {
        let (content_type, body) = form(
            ("name=\"file\"; filename=\"a.txt\"", "text/plain", b"x"),
            &[],
        );
        let url = format!("{}{path}", setup.aurora.url());
        let request = setup.aurora.client().post(url).body(body);
        let request = request.header("content-type", content_type);
        seen.push_str(&all(request.header("authorization", authorization)).await);
    }
    seen
}

/// A failure that quotes what it was sent.
fn telltale(status: u16, secret: &str) -> Fault {
    let body = json!({"detail": {"message": format!("bad token {secret} for you"), "code": "token_invalidated", "x": secret}});
    Fault::status(status, &body)
}

/// Failures whose words quote a secret, before the answer and in it.
async fn failures(setup: &Setup, (client, other): (&str, &str)) -> String {
    let mut seen = String::new();
    for status in [401, 403, 404, 429, 500] {
        for secret in [client, other] {
            setup
                .web
                .fault("POST /f/conversation", telltale(status, secret));
            let authorization = format!("Bearer {KEY} {client}");
            let request = setup
                .aurora
                .post("/v1/chat/completions", &asking("hi", false));
            seen.push_str(&all(request.header("authorization", &authorization)).await);
            let quoting =
                json!({"message": null, "conversation_id": "c", "error": format!("no {secret}")});
            setup.web.reply(Reply::sse(format!("data: {quoting}\n\n")));
            let request = setup
                .aurora
                .post("/v1/chat/completions", &asking("hi", true));
            seen.push_str(&all(request.header("authorization", &authorization)).await);
        }
    }
    seen
}

async fn nothing_comes_out(format: &str) {
    let (setup, mut secrets) = talkative(format).await;
    let client = setup.web.account("dora");
    let theirs = setup.web.refresh_token("erik");
    let mut seen = everything(&setup, &format!("Bearer {KEY}")).await;
    seen.push_str(&everything(&setup, &format!("Bearer {KEY} {client}")).await);
    seen.push_str(&everything(&setup, &format!("Bearer {KEY} {theirs}")).await);
    // Over the websocket, too.
    setup
        .web
        .reply(Reply::handoff("Elsewhere.").resume_status(404));
    let thinking = setup
        .aurora
        .post("/v1/chat/completions", &asking("think", true));
    seen.push_str(&all(thinking.bearer_auth(KEY)).await);
    seen.push_str(&failures(&setup, (&client, &secrets[1])).await);
    for (path, body) in [
        ("/auth/refresh", json!({"refresh_token": "rt_hunter2"})),
        ("/auth/session", json!({"session_token": "st_hunter2"})),
    ] {
        seen.push_str(&all(setup.aurora.post(path, &body).bearer_auth(KEY)).await);
    }
    // Whatever was issued meanwhile is secret, too.
    secrets.extend([
        client,
        theirs,
        "rt_hunter2".to_owned(),
        "st_hunter2".to_owned(),
    ]);
    secrets.extend(setup.web.live_session_tokens());
    for request in setup.web.requests() {
        let bearer = request
            .header("authorization")
            .map(|value| value.replace("Bearer ", ""));
        secrets.extend(bearer);
    }
    secrets.sort();
    secrets.dedup();
    assert!(secrets.len() >= 9, "{}", secrets.len());
    seen.push_str(&setup.aurora.status().await.to_string());
    eventually("the last line is written", async || {
        setup.aurora.output().contains("/auth/session")
    })
    .await;
    seen.push_str(&setup.aurora.output());
    for secret in &secrets {
        assert!(
            !seen.contains(secret.as_str()),
            "a secret came out: {}",
            secret.get(..12).unwrap_or(secret)
        );
    }
    foreign_hosts_learn_nothing(&setup, &secrets);
}

fn foreign_hosts_learn_nothing(setup: &Setup, secrets: &[String]) {
    let requests = setup.web.requests();
    let foreign: Vec<_> = requests
        .iter()
        .filter(|request| request.host != Host::Service)
        .collect();
    for host in [Host::Blob, Host::Websocket] {
        assert!(
            foreign.iter().any(|request| request.host == host),
            "{host:?}"
        );
    }
    for request in foreign {
        for header in [
            "authorization",
            "cookie",
            "chatgpt-account-id",
            "oai-device-id",
        ] {
            assert_eq!(
                request.header(header),
                None,
                "{header} at {}",
                request.call()
            );
        }
        let text = format!("{request:?}");
        assert!(
            !secrets.iter().any(|secret| text.contains(secret.as_str())),
            "{}",
            request.call()
        );
    }
}

#[tokio::test]
async fn nothing_comes_out_in_text() {
    nothing_comes_out("text").await;
}

#[tokio::test]
async fn nothing_comes_out_in_json() {
    nothing_comes_out("json").await;
}
