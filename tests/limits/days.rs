//! A day's budget: used up, and not given twice.

use super::*;

#[tokio::test]
async fn a_day_that_is_used_up_is_no_use_to_try_again() {
    let upstream = FakeUpstream::start().await;
    let aurora = limited(&upstream, "tokens_per_day = 1000").await;
    upstream.next(Reply::json(200, &json!({"usage": {"total_tokens": 1000}})));

    let first = chat_as(&aurora, "sk-team").await;
    assert_eq!(first.status(), 200);
    assert_eq!(header(&first, "x-ratelimit-limit-tokens"), "1000");
    first.text().await.unwrap();

    let second = chat_as(&aurora, "sk-team").await;
    assert_eq!(header(&second, "x-should-retry"), "false");
    assert_eq!(header(&second, "x-ratelimit-remaining-tokens"), "0");
    let refused = refusal(second).await;
    assert_eq!(
        (refused.status, refused.code.as_str(), refused.kind.as_str()),
        (429, "insufficient_quota", "insufficient_quota")
    );
    assert!(
        refused
            .message
            .starts_with("`tokens_per_day = 1000` of key \"team\" is used up")
    );
    let midnight = 24 * 60 * 60 - now() % (24 * 60 * 60);
    let wait = refused.retry_after.unwrap();
    assert!(wait.abs_diff(midnight) < 60, "{wait} {midnight}");
}

/// Seconds since 1970.
fn now() -> u64 {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn a_day_survives_a_restart() {
    let upstream = FakeUpstream::start().await;
    let data = tempfile::tempdir().unwrap();
    let text = |limit: u64| {
        let folder = data.path().display();
        let server = format!("[server]\ndata_dir = \"{folder}\"\n");
        server + &team(&upstream, &format!("tokens_per_day = {limit}"))
    };
    let mut before = aurora(&text(1000)).start().await;
    upstream.next(Reply::json(200, &json!({"usage": {"total_tokens": 900}})));
    chat_as(&before, "sk-team").await.text().await.unwrap();
    before.signal("TERM").await;
    assert_eq!(before.wait_for_exit().await, Some(0));

    let after = aurora(&text(1000)).start().await;
    assert_eq!(used(&after, "tokens_per_day").await, 900);
    after.write("aurora.toml", text(900));
    after.wait_for_generation(2).await;

    assert_eq!(
        refusal(chat_as(&after, "sk-team").await).await.code,
        "insufficient_quota"
    );
}
