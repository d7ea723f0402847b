//! Limits of client keys: reached, told, freed, kept across reloads.

mod days;
mod tokens;

use std::sync::Arc;

use aurora_testkit::{Aurora, FakeUpstream, Reply, Step, eventually};
use reqwest::Response;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{aurora, config, refusal};

const CHAT: &str = "/v1/chat/completions";

/// A config whose `[auth]` is `auth`.
fn with_auth(upstream: &FakeUpstream, auth: &str) -> String {
    format!("[auth]\n{auth}\n{}", config(upstream, ""))
}

/// Aurora with one key, `sk-team`, that has `limits`.
async fn limited(upstream: &FakeUpstream, limits: &str) -> Aurora {
    aurora(&team(upstream, limits)).start().await
}

fn team(upstream: &FakeUpstream, limits: &str) -> String {
    let keys =
        format!("keys = [{{ name = \"team\", key = \"sk-team\", limits = {{ {limits} }} }}]");
    with_auth(upstream, &keys)
}

async fn post_as(aurora: &Aurora, key: &str, path: &str, body: &Value) -> Response {
    let request = aurora.post(path, body);
    request.bearer_auth(key).send().await.unwrap()
}

/// A chat turn of `key`.
async fn chat_as(aurora: &Aurora, key: &str) -> Response {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    post_as(aurora, key, CHAT, &body).await
}

/// A streamed chat turn of the key `sk-team`.
async fn stream(aurora: &Aurora) -> Response {
    let body =
        json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    post_as(aurora, "sk-team", CHAT, &body).await
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

/// What the key `team` has used of `limit`, as `/status` has it.
async fn used(aurora: &Aurora, limit: &str) -> u64 {
    let status = aurora.status().await;
    status["limits"]["team"][limit]["used"].as_u64().unwrap()
}

#[tokio::test]
async fn a_key_that_asks_too_often_is_told_when_to_come_back() {
    let upstream = FakeUpstream::start().await;
    let aurora = limited(&upstream, "requests_per_minute = 2").await;

    let first = chat_as(&aurora, "sk-team").await;
    assert_eq!(first.status(), 200);
    assert_eq!(header(&first, "x-ratelimit-limit-requests"), "2");
    assert_eq!(header(&first, "x-ratelimit-remaining-requests"), "1");
    assert_eq!(header(&first, "x-ratelimit-reset-requests"), "30s");
    assert!(!first.headers().contains_key("x-ratelimit-limit-tokens"));
    assert_eq!(chat_as(&aurora, "sk-team").await.status(), 200);

    let third = chat_as(&aurora, "sk-team").await;
    assert_eq!(header(&third, "x-ratelimit-remaining-requests"), "0");
    let millis: u64 = header(&third, "retry-after-ms").parse().unwrap();
    assert!((25_000..=30_000).contains(&millis), "{millis}");
    let refused = refusal(third).await;
    assert_eq!(
        (refused.status, refused.code.as_str(), refused.kind.as_str()),
        (429, "rate_limit_exceeded", "requests")
    );
    assert_eq!(refused.retry_after, Some(millis.div_ceil(1000)));
    let named = "`requests_per_minute = 2` of key \"team\" is used up; try again in ";
    assert!(refused.message.starts_with(named), "{}", refused.message);
    assert_eq!(upstream.requests().len(), 2);
    aurora
        .wait_for_output("limited=\"requests_per_minute\"")
        .await;
    assert!(!aurora.output().contains("sk-team"));
}

#[tokio::test]
async fn requests_come_back_one_by_one() {
    let upstream = FakeUpstream::start().await;
    let aurora = limited(&upstream, "requests_per_minute = 60").await;
    let mut admitted = 0;
    while chat_as(&aurora, "sk-team").await.status() == 200 {
        admitted += 1;
    }
    // Those that came back meanwhile, on a slow machine.
    assert!((60..70).contains(&admitted), "{admitted}");

    eventually("one more request", async || {
        chat_as(&aurora, "sk-team").await.status() == 200
    })
    .await;
}

#[tokio::test]
async fn racing_clients_share_one_limit() {
    let upstream = FakeUpstream::start().await;
    let aurora = Arc::new(limited(&upstream, "requests_per_minute = 5").await);

    let mut racing = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let aurora = Arc::clone(&aurora);
        racing.spawn(async move { chat_as(&aurora, "sk-team").await.status().as_u16() });
    }
    let statuses = racing.join_all().await;

    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 5);
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 35);
    assert_eq!(upstream.requests().len(), 5);
}

#[tokio::test]
async fn two_keys_share_nothing_and_a_default_is_for_all() {
    let upstream = FakeUpstream::start().await;
    let auth = "limits = { requests_per_minute = 1, concurrent = 7 }\nkeys_file = \"keys.txt\"\n\
        keys = [{ name = \"team\", key = \"sk-team\", limits = { requests_per_minute = 2 } }]";
    let aurora = aurora(&with_auth(&upstream, auth))
        .file("keys.txt", "sk-line\n")
        .start()
        .await;

    for (key, statuses) in [("sk-line", [200, 429, 429]), ("sk-team", [200, 200, 429])] {
        for status in statuses {
            assert_eq!(chat_as(&aurora, key).await.status(), status, "{key}");
        }
    }
    let status = aurora.status().await;
    assert_eq!(
        status["limits"]["team"],
        json!({"requests_per_minute": {"limit": 2, "used": 2}, "concurrent": {"limit": 7, "used": 0}})
    );
    assert_eq!(status["limits"]["key-2"]["requests_per_minute"]["limit"], 1);
    assert!(!status.to_string().contains("sk-"));
}

#[tokio::test]
async fn what_a_key_may_not_use_at_all_is_not_counted() {
    let upstream = FakeUpstream::start().await;
    let keys = format!(
        "keys = [{{ name = \"team\", key = \"sk-team\", routes = [\"{CHAT}\"], models = [\"m\"], \
         limits = {{ requests_per_minute = 1 }} }}]"
    );
    let aurora = aurora(&with_auth(&upstream, &keys)).start().await;

    let elsewhere = post_as(&aurora, "sk-team", "/v1/embeddings", &json!({"model": "m"})).await;
    assert_eq!(refusal(elsewhere).await.code, "route_not_allowed");
    assert_eq!(chat_as(&aurora, "sk-team").await.status(), 200);
    assert_eq!(chat_as(&aurora, "sk-team").await.status(), 429);
    let unknown = chat_as(&aurora, "sk-other").await;
    assert_eq!(unknown.status(), 401);
    assert!(!unknown.headers().contains_key("x-ratelimit-limit-requests"));
}

#[tokio::test]
async fn a_stream_holds_its_place_until_it_ends() {
    let upstream = FakeUpstream::start().await;
    let aurora = limited(&upstream, "concurrent = 1").await;
    let (go_on, rest) = (
        Arc::new(Notify::new()),
        FakeUpstream::chat_events("m", &["a"]),
    );
    let mut reply = Reply::open_events(&rest[..1]).then(Step::Until(Arc::clone(&go_on)));
    for piece in &rest[1..] {
        reply = reply.then(Reply::chunk(piece.as_bytes()));
    }
    upstream.next(reply.then(Step::Send("0\r\n\r\n".into())));
    let mut running = stream(&aurora).await;
    running.chunk().await.unwrap().unwrap();

    let refused = refusal(chat_as(&aurora, "sk-team").await).await;
    assert_eq!((refused.status, refused.retry_after), (429, Some(1)));
    assert_eq!(refused.code, "rate_limit_exceeded");
    let named = "`concurrent = 1` of key \"team\" is taken by requests under way; try again in 1s";
    assert_eq!(refused.message, named);

    go_on.notify_one();
    assert!(running.text().await.unwrap().ends_with("[DONE]\n\n"));
    eventually("the place is free", async || {
        used(&aurora, "concurrent").await == 0
    })
    .await;
    assert_eq!(chat_as(&aurora, "sk-team").await.status(), 200);
}

#[tokio::test]
async fn a_client_that_leaves_gives_its_place_back() {
    let upstream = FakeUpstream::start().await;
    let aurora = limited(&upstream, "concurrent = 2").await;
    upstream.next(Reply::open_events(&["data: {\"a\":1}\n\n"]).then(Step::Hang));
    upstream.next(Reply::raw(vec![Step::Hang]));
    let mut mid_stream = stream(&aurora).await;
    mid_stream.chunk().await.unwrap().unwrap();
    let mut before_head = aurora.raw().await;
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer sk-team\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    before_head.send(head.as_bytes()).await;
    eventually("both are under way", async || {
        used(&aurora, "concurrent").await == 2
    })
    .await;
    assert_eq!(chat_as(&aurora, "sk-team").await.status(), 429);

    drop((mid_stream, before_head));

    eventually("both places are free", async || {
        used(&aurora, "concurrent").await == 0
    })
    .await;
    assert_eq!(chat_as(&aurora, "sk-team").await.status(), 200);
}

#[tokio::test]
async fn the_operators_own_limits_are_not_shown_in_place_of_the_keys() {
    let headers = [
        ("content-type", "application/json"),
        ("x-ratelimit-limit-requests", "9999"),
        ("x-ratelimit-remaining-tokens", "8888"),
        ("x-ratelimit-more", "7777"),
        ("openai-processing-ms", "3"),
    ];
    let upstream = FakeUpstream::with(move |_| Reply::new(200, &headers, "{}")).await;
    let keys = "keys = [\"sk-free\", { name = \"team\", key = \"sk-team\", limits = { requests_per_minute = 9 } }]";
    let aurora = aurora(&with_auth(&upstream, keys)).start().await;

    let free = chat_as(&aurora, "sk-free").await;
    assert_eq!(header(&free, "x-ratelimit-limit-requests"), "9999");

    let team = chat_as(&aurora, "sk-team").await;
    assert_eq!(header(&team, "x-ratelimit-limit-requests"), "9");
    assert_eq!(header(&team, "openai-processing-ms"), "3");
    assert!(!team.headers().contains_key("x-ratelimit-remaining-tokens"));
    assert!(!team.headers().contains_key("x-ratelimit-more"));
}

#[tokio::test]
async fn limits_change_while_counters_stay() {
    let upstream = FakeUpstream::start().await;
    let aurora = limited(&upstream, "requests_per_minute = 3").await;
    for _ in 0..2 {
        assert_eq!(chat_as(&aurora, "sk-team").await.status(), 200);
    }

    aurora.write("aurora.toml", team(&upstream, "requests_per_minute = 10"));
    aurora.wait_for_generation(2).await;
    let more = chat_as(&aurora, "sk-team").await;
    assert_eq!(header(&more, "x-ratelimit-remaining-requests"), "7");

    aurora.write("aurora.toml", team(&upstream, "requests_per_minute = 2"));
    aurora.wait_for_generation(3).await;
    assert_eq!(chat_as(&aurora, "sk-team").await.status(), 429);

    let others = with_auth(&upstream, "keys = [\"sk-other\"]");
    aurora.write("aurora.toml", others);
    aurora.wait_for_generation(4).await;
    assert_eq!(chat_as(&aurora, "sk-other").await.status(), 200);
    aurora.write("aurora.toml", team(&upstream, "requests_per_minute = 2"));
    aurora.wait_for_generation(5).await;
    assert_eq!(chat_as(&aurora, "sk-team").await.status(), 429);
}
