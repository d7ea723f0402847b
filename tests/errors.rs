//! Whose fault it is decides what the client is told: docs/errors.md, row by row.

use std::time::{Duration, SystemTime};

use aurora_testkit::{Aurora, FakeUpstream, Reply, Step};
use serde_json::{Value, json};

use crate::support::{Refusal, aurora, config, pool, refusal};

fn json_error(status: u16, code: &str) -> Reply {
    Reply::json(
        status,
        &json!({"error": {"message": "said upstream", "type": "t", "param": null, "code": code}}),
    )
}

/// An upstream that always answers with `reply`, and an Aurora with `tokens` before it.
async fn facing(reply: Reply, tokens: &[&str]) -> (FakeUpstream, Aurora) {
    let upstream = FakeUpstream::with(move |_| reply.clone()).await;
    let aurora = aurora(&config(&upstream, &pool(tokens))).start().await;
    (upstream, aurora)
}

async fn chat_refused(aurora: &Aurora) -> Refusal {
    refusal(aurora.chat("hi").await).await
}

/// Which tokens the upstream was shown, in order.
fn tokens_seen(upstream: &FakeUpstream) -> Vec<String> {
    let token = |request: &aurora_testkit::Recorded| {
        let value = request.header("authorization").unwrap_or("none");
        value.trim_start_matches("Bearer ").to_owned()
    };
    upstream.requests().iter().map(token).collect()
}

/// The state of each token of the pool.
async fn states(aurora: &Aurora) -> Vec<String> {
    let status = aurora.status().await;
    let tokens = status["tokens"]["t"]["tokens"].as_array().unwrap().clone();
    let state = |token: &Value| {
        let reason = token["reason"].as_str().map(|reason| format!(" {reason}"));
        token["state"].as_str().unwrap().to_owned() + &reason.unwrap_or_default()
    };
    tokens.iter().map(state).collect()
}

#[tokio::test]
async fn a_refused_token_dies_and_the_next_one_serves() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&config(&upstream, &pool(&["sk-a", "sk-b"])))
        .start()
        .await;
    upstream.next(json_error(401, "invalid_api_key"));

    assert_eq!(aurora.chat("hi").await.status(), 200);

    assert_eq!(tokens_seen(&upstream), ["sk-a", "sk-b"]);
    assert_eq!(states(&aurora).await, ["dead refused", "ok"]);
    aurora.chat("hi").await;
    aurora.chat("hi").await;
    assert_eq!(tokens_seen(&upstream)[2..], ["sk-b", "sk-b"]);
}

#[tokio::test]
async fn tokens_that_are_all_refused_are_the_operators_fault_and_never_a_401() {
    for status in [401, 403] {
        let (upstream, aurora) = facing(json_error(status, "x"), &["sk-a", "sk-b"]).await;

        let refused = chat_refused(&aurora).await;
        assert_eq!(
            (refused.status, refused.code.as_str()),
            (502, "upstream_auth_failed")
        );
        assert_eq!(refused.kind, "api_error");
        assert_eq!(tokens_seen(&upstream), ["sk-a", "sk-b"]);

        let later = chat_refused(&aurora).await;
        assert_eq!(
            (later.status, later.code.as_str()),
            (503, "no_upstream_available")
        );
        // Nobody need come back before the tokens are tried again.
        assert!((590..=600).contains(&later.retry_after.unwrap()));
        assert_eq!(upstream.requests().len(), 2);
        aurora.wait_for_output("WARN").await;
    }
}

#[tokio::test]
async fn a_dead_token_is_tried_again_when_its_time_has_come() {
    let upstream = FakeUpstream::start().await;
    let settings = pool(&["sk-a"]) + "probe_dead = \"1s\"";
    let aurora = aurora(&config(&upstream, &settings)).start().await;
    upstream.next(json_error(401, "x"));
    assert_eq!(chat_refused(&aurora).await.status, 502);
    assert_eq!(chat_refused(&aurora).await.status, 503);

    aurora_testkit::eventually("the probe", async || {
        aurora.chat("hi").await.status() == 200
    })
    .await;

    assert_eq!(states(&aurora).await, ["ok"]);
}

#[tokio::test]
async fn a_page_that_asks_for_a_browser_is_reported_and_not_tried_again() {
    for status in [401, 403] {
        let page = Reply::new(
            status,
            &[("content-type", "text/html")],
            "<title>Just a moment...</title>",
        );
        let (upstream, aurora) = facing(page, &["sk-a", "sk-b"]).await;

        let refused = chat_refused(&aurora).await;

        assert_eq!(
            (refused.status, refused.code.as_str()),
            (502, "upstream_challenge_required")
        );
        assert!(!refused.message.contains("Just a moment"));
        assert_eq!(upstream.requests().len(), 1, "nothing is got around");
        assert_eq!(states(&aurora).await, ["ok", "ok"]);
    }
}

#[tokio::test]
async fn a_token_without_money_dies_and_the_next_one_serves() {
    let replies = [json_error(402, "x"), json_error(429, "insufficient_quota")];
    for reply in replies {
        let upstream = FakeUpstream::start().await;
        let aurora = aurora(&config(&upstream, &pool(&["sk-a", "sk-b"])))
            .start()
            .await;
        upstream.next(reply);

        assert_eq!(aurora.chat("hi").await.status(), 200);
        assert_eq!(states(&aurora).await, ["dead quota_exhausted", "ok"]);
    }
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_a_503_that_says_when_to_come_back() {
    let (_upstream, aurora) = facing(json_error(429, "insufficient_quota"), &["sk-a"]).await;

    let refused = chat_refused(&aurora).await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (503, "upstream_quota_exhausted")
    );
    assert!(refused.retry_after.is_some());
}

#[tokio::test]
async fn a_rate_limited_token_rests_and_the_next_one_serves() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&config(&upstream, &pool(&["sk-a", "sk-b"])))
        .start()
        .await;
    upstream.next(json_error(429, "rate_limit_exceeded"));

    assert_eq!(aurora.chat("hi").await.status(), 200);

    assert_eq!(states(&aurora).await, ["cooling", "ok"]);
    assert_eq!(tokens_seen(&upstream), ["sk-a", "sk-b"]);
}

/// A 429 that asks to be left alone as `headers` say.
fn limited(headers: &[(&str, &str)]) -> Reply {
    let headers = [&[("content-type", "application/json")], headers].concat();
    Reply::new(429, &headers, "{\"error\":{\"message\":\"slow down\"}}")
}

#[tokio::test]
async fn when_every_token_is_limited_the_client_is_told_when_the_first_is_free() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&config(&upstream, &pool(&["sk-a", "sk-b"])))
        .start()
        .await;
    upstream
        .next(limited(&[("retry-after", "7")]))
        .next(limited(&[("retry-after", "90")]));

    let refused = chat_refused(&aurora).await;
    let later = chat_refused(&aurora).await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (429, "rate_limit_exceeded")
    );
    assert_eq!(refused.kind, "rate_limit_error");
    assert!(refused.message.contains("slow down"), "{}", refused.message);
    assert!(
        (6..=7).contains(&refused.retry_after.unwrap()),
        "{refused:?}"
    );
    assert_eq!(
        (later.status, later.code.as_str()),
        (503, "no_upstream_available")
    );
    assert!((6..=7).contains(&later.retry_after.unwrap()), "{later:?}");
    assert!(later.message.contains("2 tokens rest"), "{}", later.message);
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn a_retry_after_may_be_a_date_or_milliseconds() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(40));
    let cases = [
        ("retry-after", date.as_str(), 30..=40),
        ("retry-after-ms", "1500", 1..=2),
    ];

    for (name, value, seconds) in cases {
        let (_upstream, aurora) = facing(limited(&[(name, value)]), &["sk-a"]).await;
        let refused = chat_refused(&aurora).await;
        assert_eq!(refused.status, 429);
        assert!(
            seconds.contains(&refused.retry_after.unwrap()),
            "{name}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_429_without_a_time_rests_for_the_pools_cooldown() {
    let reply = json_error(429, "x");
    let upstream = FakeUpstream::with(move |_| reply.clone()).await;
    let settings = pool(&["sk-a"]) + "cooldown = \"25s\"";
    let aurora = aurora(&config(&upstream, &settings)).start().await;

    let refused = chat_refused(&aurora).await;

    assert_eq!(refused.status, 429);
    assert!(
        (24..=25).contains(&refused.retry_after.unwrap()),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_429_for_nobodys_token_is_told_with_its_own_time() {
    let reply = limited(&[("retry-after", "3")]);
    let upstream = FakeUpstream::with(move |_| reply.clone()).await;
    let aurora = aurora(&config(&upstream, "")).start().await;

    let refused = chat_refused(&aurora).await;

    assert_eq!((refused.status, refused.retry_after), (429, Some(3)));
}

#[tokio::test]
async fn a_refused_connection_is_a_502_that_names_the_upstream_and_no_address() {
    let text = "[upstreams.gone]\nprotocol = \"openai\"\nbase_url = \"http://127.0.0.1:9/v1\"\n"
        .to_owned()
        + &crate::support::routes("\"gone\"");
    let aurora = aurora(&text).start().await;

    let refused = chat_refused(&aurora).await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (502, "upstream_unreachable")
    );
    assert!(refused.message.contains("`gone`") && !refused.message.contains("127.0.0.1"));
    // The operator learns why.
    aurora.wait_for_output("Connection refused").await;
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_unreachable_too() {
    let text =
        "[upstreams.gone]\nprotocol = \"openai\"\nbase_url = \"http://no-such-host.invalid/v1\"\n"
            .to_owned()
            + &crate::support::routes("\"gone\"");
    let aurora = aurora(&text).start().await;

    let refused = chat_refused(&aurora).await;

    assert_eq!(refused.code, "upstream_unreachable");
    assert!(!refused.message.contains("invalid"), "{}", refused.message);
}

#[tokio::test]
async fn a_reset_before_the_head_is_tried_again_and_then_unreachable() {
    let upstream = FakeUpstream::with(|_| Reply::raw(vec![Step::Reset])).await;
    let aurora = aurora(&config(&upstream, "")).start().await;

    let refused = chat_refused(&aurora).await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (502, "upstream_unreachable")
    );
    assert_eq!(upstream.requests().len(), 3);
}

#[tokio::test]
async fn a_broken_upstream_is_tried_again() {
    for status in [500, 502, 503, 504, 529] {
        let upstream = FakeUpstream::start().await;
        let aurora = aurora(&config(&upstream, "")).start().await;
        upstream.next(json_error(status, "server_error"));

        assert_eq!(aurora.chat("hi").await.status(), 200, "{status}");
        assert_eq!(upstream.requests().len(), 2);
    }
}

#[tokio::test]
async fn an_upstream_that_stays_broken_is_heard_in_its_own_json() {
    for status in [500, 502, 503, 504, 529] {
        let (upstream, aurora) =
            facing(json_error(status, "server_error"), &["sk-a", "sk-b"]).await;

        let response = aurora.chat("hi").await;

        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()["content-type"], "application/json");
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(body["error"]["message"], "said upstream");
        assert_eq!(upstream.requests().len(), 3);
        assert_eq!(states(&aurora).await, ["ok", "ok"], "no token is to blame");
    }
}

#[tokio::test]
async fn every_503_says_when_to_come_back() {
    let (_upstream, aurora) = facing(json_error(503, "overloaded"), &["sk-a"]).await;

    let response = aurora.chat("hi").await;

    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn an_upstream_that_stays_broken_without_json_is_a_502() {
    for body in ["<html>nginx</html>", "upstream connect error", ""] {
        let page = Reply::new(503, &[("content-type", "text/html")], body);
        let (_upstream, aurora) = facing(page, &["sk-a"]).await;

        let refused = chat_refused(&aurora).await;

        assert_eq!(
            (refused.status, refused.code.as_str()),
            (502, "upstream_error"),
            "{body}"
        );
        assert!(!refused.message.contains("nginx"), "{}", refused.message);
    }
}
