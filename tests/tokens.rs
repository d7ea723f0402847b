//! Token pools: where tokens are written, and which one serves next.

use std::collections::BTreeMap;

use aurora_testkit::{Aurora, FakeUpstream, Reply, Step, eventually};
use serde_json::Value;

use crate::support::{aurora, config, pool, refusal};

/// The tokens that the upstream was shown, in order.
fn seen(upstream: &FakeUpstream) -> Vec<String> {
    let token = |request: &aurora_testkit::Recorded| {
        let value = request.header("authorization").unwrap();
        value.strip_prefix("Bearer ").unwrap().to_owned()
    };
    upstream.requests().iter().map(token).collect()
}

/// Sends `number` turns and returns the tokens that served them.
async fn turns(aurora: &Aurora, upstream: &FakeUpstream, number: usize) -> Vec<String> {
    for _ in 0..number {
        assert_eq!(aurora.chat("hi").await.status(), 200);
    }
    let all = seen(upstream);
    all[all.len() - number..].to_vec()
}

const FROM_FILE: &str = "tokens = \"t\"\n[tokens.t]\nfile = \"keys.txt\"\n";

#[tokio::test]
async fn a_token_file_may_look_like_people_write_it() {
    let upstream = FakeUpstream::start().await;
    let file = "\u{feff}# our keys\r\nsk-a\r\n\r\n  sk-b  \n\t# old: sk-x\n\nsk-c";
    let aurora = aurora(&config(&upstream, FROM_FILE))
        .file("keys.txt", file)
        .start()
        .await;

    assert_eq!(
        turns(&aurora, &upstream, 4).await,
        ["sk-a", "sk-b", "sk-c", "sk-a"]
    );
    assert!(
        aurora.output().contains("tokens   t: 3 tokens"),
        "{}",
        aurora.output()
    );
}

#[tokio::test]
async fn tokens_may_come_from_the_environment() {
    let upstream = FakeUpstream::start().await;
    let text = config(
        &upstream,
        "tokens = \"t\"\n[tokens.t]\nenv = \"OUR_KEYS\"\n",
    );
    let aurora = aurora(&text)
        .env("OUR_KEYS", " sk-a, sk-b\nsk-c ")
        .start()
        .await;

    assert_eq!(turns(&aurora, &upstream, 3).await, ["sk-a", "sk-b", "sk-c"]);
}

#[tokio::test]
async fn values_may_be_written_out_or_point_elsewhere() {
    let upstream = FakeUpstream::start().await;
    let values = "values = [\"sk-a\", { env = \"ONE\" }, { file = \"one.key\" }]";
    let text = config(
        &upstream,
        &format!("tokens = \"t\"\n[tokens.t]\n{values}\n"),
    );
    let aurora = aurora(&text)
        .env("ONE", "sk-b")
        .file("one.key", "sk-c\n")
        .start()
        .await;

    assert_eq!(turns(&aurora, &upstream, 3).await, ["sk-a", "sk-b", "sk-c"]);
}

#[tokio::test]
async fn tokens_take_turns_unless_told_otherwise() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&config(&upstream, &pool(&["sk-a", "sk-b"])))
        .start()
        .await;

    assert_eq!(
        turns(&aurora, &upstream, 4).await,
        ["sk-a", "sk-b", "sk-a", "sk-b"]
    );
}

#[tokio::test]
async fn a_sticky_pool_uses_its_first_token_until_that_fails() {
    let upstream = FakeUpstream::start().await;
    let settings = pool(&["sk-a", "sk-b"]) + "strategy = \"sticky\"";
    let aurora = aurora(&config(&upstream, &settings)).start().await;

    assert_eq!(turns(&aurora, &upstream, 3).await, ["sk-a", "sk-a", "sk-a"]);
    upstream.next(Reply::json(429, &Value::Null));
    assert_eq!(turns(&aurora, &upstream, 1).await, ["sk-b"]);
    assert_eq!(turns(&aurora, &upstream, 2).await, ["sk-b", "sk-b"]);
}

#[tokio::test]
async fn a_least_busy_pool_spreads_what_is_under_way() {
    let upstream = FakeUpstream::start().await;
    let settings = pool(&["sk-a", "sk-b", "sk-c"]) + "strategy = \"least_busy\"";
    let aurora = aurora(&config(&upstream, &settings)).start().await;
    let mut streams = Vec::new();

    for _ in 0..6 {
        upstream.next(Reply::open_events(&["data: {\"a\":1}\n\n"]).then(Step::Hang));
        let mut stream = aurora.chat_stream("hi").await;
        stream.chunk().await.unwrap().unwrap();
        streams.push(stream);
    }

    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for token in seen(&upstream) {
        *count.entry(token).or_default() += 1;
    }
    assert_eq!(count.into_values().collect::<Vec<_>>(), [2, 2, 2]);
}

#[tokio::test]
async fn a_rested_token_serves_again() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&config(&upstream, &pool(&["sk-a"]))).start().await;
    upstream.next(Reply::new(429, &[("retry-after-ms", "1000")], "{}"));

    assert_eq!(refusal(aurora.chat("hi").await).await.status, 429);
    assert_eq!(refusal(aurora.chat("hi").await).await.status, 503);
    eventually("the rest is over", async || {
        aurora.chat("hi").await.status() == 200
    })
    .await;

    assert_eq!(
        aurora.status().await["tokens"]["t"]["tokens"][0]["state"],
        "ok"
    );
}

#[tokio::test]
async fn an_empty_pool_is_a_503_that_says_so_and_a_warning() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&config(&upstream, FROM_FILE))
        .file("keys.txt", "# none yet\n")
        .start()
        .await;

    let refused = refusal(aurora.chat("hi").await).await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (503, "no_upstream_available")
    );
    assert!(
        refused.message.contains("has no tokens"),
        "{}",
        refused.message
    );
    assert!(refused.retry_after.is_some());
    aurora.wait_for_output("AUR0903").await;

    aurora.write("keys.txt", "sk-a\n");
    aurora.wait_for_generation(2).await;
    assert_eq!(turns(&aurora, &upstream, 1).await, ["sk-a"]);
}

#[tokio::test]
async fn status_tells_tokens_apart_and_shows_none() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&config(&upstream, FROM_FILE))
        .file("keys.txt", "# first\nsk-secret-a\nsk-secret-b\n")
        .start()
        .await;
    upstream.next(Reply::json(401, &Value::Null));
    aurora.chat("hi").await;

    let status = aurora.status().await;

    let pool = &status["tokens"]["t"];
    assert_eq!(pool["count"], 2);
    let origin = |index: usize| pool["tokens"][index]["origin"].as_str().unwrap();
    assert_eq!((origin(0), origin(1)), ("keys.txt:2", "keys.txt:3"));
    assert_eq!(pool["tokens"][0]["state"], "dead");
    assert_eq!(pool["tokens"][0]["reason"], "refused");
    assert!(pool["tokens"][0]["retry_in_s"].as_u64().unwrap() > 500);
    let ids: Vec<_> = [0, 1].map(|at| pool["tokens"][at]["id"].clone()).into();
    assert_ne!(ids[0], ids[1]);
    assert!(!status.to_string().contains("secret"));
    // The log names the same token by the same id.
    aurora.wait_for_output(ids[0].as_str().unwrap()).await;
}

#[tokio::test]
async fn readiness_tells_of_a_pool_that_cannot_serve() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&config(&upstream, &pool(&["sk-a"]))).start().await;
    upstream.next(Reply::json(401, &Value::Null));
    aurora.chat("hi").await;

    let (status, ready) = aurora.admin("GET", "/ready").await;

    assert_eq!(status, 200);
    assert!(
        ready["pending"][0].as_str().unwrap().contains("pool `t`"),
        "{ready}"
    );
}

#[tokio::test]
async fn two_upstreams_share_one_pool() {
    let (one, two) = (FakeUpstream::start().await, FakeUpstream::start().await);
    let text = [
        crate::support::upstream("one", &one, "tokens = \"t\""),
        crate::support::upstream("two", &two, "tokens = \"t\""),
        "[tokens.t]\nvalues = [\"sk-a\"]\n".to_owned(),
        crate::support::chat_route("[\"one\", \"two\"]", ""),
    ];
    let aurora = aurora(&text.concat()).start().await;
    one.next(Reply::json(429, &Value::Null));

    // The one token rests: the other upstream cannot be asked with it either.
    assert_eq!(refusal(aurora.chat("hi").await).await.status, 429);

    assert!(two.requests().is_empty());
}
