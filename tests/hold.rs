//! What still goes to another upstream after an answer has begun well, or badly but slowly, or was refused as too long.

use std::time::{Duration, Instant};

use aurora_testkit::{Aurora, FakeUpstream, Reply, Step};
use serde_json::{Value, json};

use crate::support::{aurora, chat_route, refusal, upstream as table};

async fn over(one: &FakeUpstream, two: &FakeUpstream, settings: &str) -> Aurora {
    let route = chat_route("[\"one\", \"two\"]", settings);
    let text = [table("one", one, ""), table("two", two, ""), route];
    aurora(&text.concat()).start().await
}

/// An upstream whose streams die after `events` of them.
async fn dying(events: usize) -> FakeUpstream {
    FakeUpstream::with(move |_| {
        let all = FakeUpstream::chat_events("m", &["one", "two", "three"]);
        Reply::open_events(&all[..events]).then(Step::Reset)
    })
    .await
}

#[tokio::test]
async fn a_stream_that_dies_while_it_is_held_is_covered_by_the_second() {
    let (one, two) = (dying(2).await, FakeUpstream::start().await);
    let aurora = over(&one, &two, "hold = { bytes = 65536, time = \"5s\" }").await;

    let response = aurora.chat_stream("hi").await;

    assert_eq!(response.headers()["x-aurora-attempts"], "2");
    let text = response.text().await.unwrap();
    assert!(
        text.ends_with("data: [DONE]\n\n") && !text.contains("\"one\""),
        "{text}"
    );
    assert_eq!((one.requests().len(), two.requests().len()), (1, 1));
    aurora.wait_for_output("failed=\"one=truncated\"").await;
    let attempts = "aurora_upstream_attempts_total{upstream=\"one\",outcome=\"truncated\"}";
    assert_eq!(aurora.metric(attempts).await, 1);
}

#[tokio::test]
async fn a_stream_that_ends_without_its_marker_while_it_is_held_counts_as_dead() {
    let one = FakeUpstream::with(|_| {
        let all = FakeUpstream::chat_events("m", &["one"]);
        Reply::events(&all[..1])
    })
    .await;
    let two = FakeUpstream::start().await;
    let aurora = over(&one, &two, "hold = {}").await;

    let text = aurora.chat_stream("hi").await.text().await.unwrap();

    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(two.requests().len(), 1);
}

#[tokio::test]
async fn what_is_held_goes_out_when_its_bytes_or_its_time_are_over() {
    for hold in [
        "{ bytes = 1, time = \"1h\" }",
        "{ bytes = 1048576, time = \"50ms\" }",
    ] {
        let (one, two) = (FakeUpstream::start().await, FakeUpstream::start().await);
        let aurora = over(&one, &two, &format!("hold = {hold}")).await;
        let events = FakeUpstream::chat_events("m", &["one"]);
        one.next(Reply::open_events(&events[..2]).then(Step::Hang));

        let mut response = aurora.chat_stream("hi").await;
        let first = response.chunk().await.unwrap().unwrap();

        assert!(
            String::from_utf8_lossy(&first).starts_with("data: "),
            "{hold}"
        );
    }
}

#[tokio::test]
async fn a_whole_stream_shorter_than_the_hold_is_passed_on_byte_for_byte() {
    let (one, two) = (FakeUpstream::start().await, FakeUpstream::start().await);
    let aurora = over(&one, &two, "hold = { bytes = 1048576, time = \"1h\" }").await;
    let events = FakeUpstream::chat_events("m", &["one", "two"]);
    one.next(Reply::events(&events));

    let text = aurora.chat_stream("hi").await.text().await.unwrap();

    assert_eq!(text, events.concat());
    assert!(two.requests().is_empty());
}

#[tokio::test]
async fn a_short_json_answer_that_breaks_off_is_covered_by_the_second() {
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{";
    let one =
        FakeUpstream::with(move |_| Reply::raw(vec![Step::Send(half.into()), Step::Reset])).await;
    let two = FakeUpstream::start().await;
    let aurora = over(&one, &two, "").await;

    assert_eq!(aurora.chat("hi").await.status(), 200);
    assert_eq!((one.requests().len(), two.requests().len()), (1, 1));
}

#[tokio::test]
async fn a_failure_that_took_too_long_goes_straight_to_the_client() {
    let one = FakeUpstream::with(|_| {
        let wait = Step::Wait(Duration::from_millis(400));
        Reply::json(500, &json!({"error": {"message": "slowly"}})).after(wait)
    })
    .await;
    let two = FakeUpstream::start().await;
    let impatient = over(&one, &two, "retry = { not_after = \"200ms\" }").await;
    let patient = over(&one, &two, "retry = { not_after = \"off\" }").await;

    assert_eq!(impatient.chat("hi").await.status(), 500);
    assert!(two.requests().is_empty());
    assert_eq!(patient.chat("hi").await.status(), 200);
}

/// An upstream for which everything is too long.
async fn small(window: Option<u32>) -> (FakeUpstream, String) {
    let fake = FakeUpstream::with(|_| {
        let code = "context_length_exceeded";
        Reply::json(
            400,
            &json!({"error": {"message": "at most 10 tokens", "code": code}}),
        )
    })
    .await;
    let settings = window.map(|window| format!("context_window = {window}"));
    (fake, settings.unwrap_or_default())
}

#[tokio::test]
async fn what_is_too_long_goes_to_an_upstream_with_a_larger_window_and_to_no_other() {
    let (one, first) = small(Some(4096)).await;
    let (equal, large) = (FakeUpstream::start().await, FakeUpstream::start().await);
    let unknown = FakeUpstream::start().await;
    let text = [
        table("one", &one, &first),
        table("equal", &equal, "context_window = 4096"),
        table("unknown", &unknown, ""),
        table("large", &large, "context_window = 131072"),
        chat_route("[\"one\", \"equal\", \"unknown\", \"large\"]", ""),
    ];
    let aurora = aurora(&text.concat()).start().await;

    let response = aurora.chat("hi").await;

    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-aurora-attempts"], "2");
    assert_eq!(large.requests().len(), 1);
    assert!(equal.requests().is_empty() && unknown.requests().is_empty());
}

#[tokio::test]
async fn a_refusal_as_too_long_is_the_clients_to_read_where_no_other_takes_it() {
    let (one, first) = small(Some(4096)).await;
    let broken =
        FakeUpstream::with(|_| Reply::json(500, &json!({"error": {"message": "no"}}))).await;
    let text = [
        table("one", &one, &first),
        table("large", &broken, "context_window = 131072"),
        chat_route("[\"one\", \"large\"]", "retry = { attempts = 2 }"),
    ];
    let aurora = aurora(&text.concat()).start().await;

    let response = aurora.chat("hi").await;

    assert_eq!(response.status(), 400);
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(body["error"]["code"], "context_length_exceeded");
    assert_eq!(body["error"]["message"], "at most 10 tokens");
    assert_eq!(broken.requests().len(), 1);
}

#[tokio::test]
async fn too_long_is_not_sent_on_where_retry_does_not_list_it() {
    let (one, first) = small(Some(4096)).await;
    let large = FakeUpstream::start().await;
    let text = [
        table("one", &one, &first),
        table("large", &large, "context_window = 131072"),
        chat_route("[\"one\", \"large\"]", "retry = { on = [\"5xx\"] }"),
    ];
    let aurora = aurora(&text.concat()).start().await;

    assert_eq!(aurora.chat("hi").await.status(), 400);
    assert!(large.requests().is_empty());
}

#[tokio::test]
async fn back_off_grows_and_the_budget_ends_it() {
    let one = FakeUpstream::with(|_| Reply::json(500, &json!({"error": {"message": "no"}}))).await;
    let route = chat_route("\"one\"", "retry = { attempts = 4, backoff = \"100ms\" }");
    let config = [table("one", &one, ""), route];
    let aurora = aurora(&config.concat()).start().await;

    let began = Instant::now();
    assert_eq!(aurora.chat("hi").await.status(), 500);

    // 100, 200 and 400 ms, each at least by half.
    assert!(
        began.elapsed() >= Duration::from_millis(350),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(one.requests().len(), 4);
}

#[tokio::test]
async fn a_refused_answer_of_both_is_told_once() {
    let (one, two) = (dying(0).await, dying(0).await);
    let aurora = over(&one, &two, "hold = {}\nretry = { attempts = 2 }").await;

    let refusal = refusal(aurora.chat_stream("hi").await).await;

    assert_eq!(
        (refusal.status, refusal.code.as_str()),
        (502, "upstream_error")
    );
    assert_eq!((one.requests().len(), two.requests().len()), (1, 1));
}
