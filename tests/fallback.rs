//! Several upstreams behind one route: who is asked, in which order, and how often.

use aurora_testkit::{Aurora, FakeUpstream, Reply, Step};
use serde_json::{Value, json};

use crate::support::{aurora, chat_route, refusal, upstream as table};

/// An upstream that answers everything with `status`.
async fn broken(status: u16) -> FakeUpstream {
    FakeUpstream::with(move |_| Reply::json(status, &json!({"error": {"message": "no"}}))).await
}

/// A chat route over `one` and `two`, with `settings`.
async fn over(one: &FakeUpstream, two: &FakeUpstream, settings: &str) -> Aurora {
    let route = chat_route("[\"one\", \"two\"]", settings);
    let text = [table("one", one, ""), table("two", two, ""), route];
    aurora(&text.concat()).start().await
}

#[tokio::test]
async fn a_broken_first_upstream_is_covered_by_the_second() {
    for status in [500, 503, 529, 429, 401, 403, 402] {
        let (one, two) = (broken(status).await, FakeUpstream::start().await);
        let aurora = over(&one, &two, "").await;

        assert_eq!(aurora.chat("hi").await.status(), 200, "{status}");

        assert_eq!(
            (one.requests().len(), two.requests().len()),
            (1, 1),
            "{status}"
        );
        assert_eq!(one.last().body, two.last().body);
    }
}

#[tokio::test]
async fn an_upstream_that_is_down_is_covered_by_the_second() {
    let two = FakeUpstream::start().await;
    let text = [
        "[upstreams.one]\nprotocol = \"openai\"\nbase_url = \"http://127.0.0.1:9/v1\"\n\n"
            .to_owned(),
        table("two", &two, ""),
        chat_route("[\"one\", \"two\"]", ""),
    ];
    let aurora = aurora(&text.concat()).start().await;

    let stream = aurora.chat_stream("hi").await;

    assert!(stream.text().await.unwrap().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_page_that_asks_for_a_browser_is_covered_by_the_second() {
    let page = Reply::new(403, &[("content-type", "text/html")], "<html>");
    let one = FakeUpstream::with(move |_| page.clone()).await;
    let two = FakeUpstream::start().await;
    let aurora = over(&one, &two, "").await;

    assert_eq!(aurora.chat("hi").await.status(), 200);
    assert_eq!(one.requests().len(), 1);
}

#[tokio::test]
async fn the_order_written_is_kept() {
    let (one, two) = (FakeUpstream::start().await, FakeUpstream::start().await);
    let aurora = over(&one, &two, "").await;

    for _ in 0..5 {
        aurora.chat("hi").await;
    }

    assert_eq!((one.requests().len(), two.requests().len()), (5, 0));
}

#[tokio::test]
async fn the_clients_own_mistake_is_not_tried_elsewhere() {
    let (one, two) = (broken(400).await, FakeUpstream::start().await);
    let aurora = over(&one, &two, "").await;

    assert_eq!(aurora.chat("hi").await.status(), 400);
    assert!(two.requests().is_empty());
}

#[tokio::test]
async fn the_last_failure_is_what_the_client_hears() {
    let (one, two) = (broken(500).await, broken(503).await);
    let aurora = over(&one, &two, "retry = { attempts = 2 }").await;

    assert_eq!(aurora.chat("hi").await.status(), 503);
}

#[tokio::test]
async fn attempts_are_counted_over_all_upstreams() {
    for attempts in [1, 2, 3, 5] {
        let (one, two) = (broken(500).await, broken(500).await);
        let aurora = over(&one, &two, &format!("retry = {{ attempts = {attempts} }}")).await;

        assert_eq!(aurora.chat("hi").await.status(), 500);

        assert_eq!(one.requests().len() + two.requests().len(), attempts);
    }
}

#[tokio::test]
async fn nothing_is_tried_again_where_retry_lists_nothing() {
    let (one, two) = (broken(500).await, FakeUpstream::start().await);
    let aurora = over(&one, &two, "retry = { on = [] }").await;

    assert_eq!(aurora.chat("hi").await.status(), 500);
    assert!(two.requests().is_empty());
}

#[tokio::test]
async fn only_what_retry_lists_is_tried_again() {
    let (one, two) = (broken(429).await, FakeUpstream::start().await);
    let aurora = over(&one, &two, "retry = { on = [\"5xx\"] }").await;

    assert_eq!(refusal(aurora.chat("hi").await).await.status, 429);
    assert!(two.requests().is_empty());
}

#[tokio::test]
async fn the_budget_ends_the_tries() {
    let slow = || {
        FakeUpstream::with(|_| {
            let wait = Step::Wait(std::time::Duration::from_millis(500));
            Reply::json(500, &Value::Null).after(wait)
        })
    };
    let (one, two) = (slow().await, slow().await);
    let aurora = over(&one, &two, "retry = { attempts = 9, budget = \"900ms\" }").await;

    assert_eq!(aurora.chat("hi").await.status(), 500);
    assert_eq!((one.requests().len(), two.requests().len()), (1, 1));
}

#[tokio::test]
async fn weights_share_the_load() {
    let (one, two) = (FakeUpstream::start().await, FakeUpstream::start().await);
    let weighted = "[{ name = \"one\", weight = 3 }, { name = \"two\", weight = 1 }]";
    let text = [
        table("one", &one, ""),
        table("two", &two, ""),
        chat_route(weighted, ""),
    ];
    let aurora = aurora(&text.concat()).start().await;

    for _ in 0..200 {
        assert_eq!(aurora.chat("hi").await.status(), 200);
    }

    // 150 expected; six standard deviations are 37.
    let first = one.requests().len();
    assert!((113..=187).contains(&first), "{first} of 200");
    assert_eq!(two.requests().len(), 200 - first);
}

#[tokio::test]
async fn a_weighted_upstream_that_fails_is_covered_by_the_other() {
    let (one, two) = (broken(500).await, FakeUpstream::start().await);
    let weighted = "[{ name = \"one\", weight = 99 }, { name = \"two\", weight = 1 }]";
    let text = [
        table("one", &one, ""),
        table("two", &two, ""),
        chat_route(weighted, ""),
    ];
    let aurora = aurora(&text.concat()).start().await;

    for _ in 0..10 {
        assert_eq!(aurora.chat("hi").await.status(), 200);
    }
}

#[tokio::test]
async fn an_alias_goes_to_the_upstream_that_knows_it() {
    let (one, two) = (FakeUpstream::start().await, FakeUpstream::start().await);
    let text = [
        table("one", &one, ""),
        table("two", &two, "models = { m = \"vendor/real\" }"),
        chat_route("[\"one\", \"two\"]", ""),
    ];
    let aurora = aurora(&text.concat()).start().await;

    assert_eq!(aurora.chat("hi").await.status(), 200);

    assert!(one.requests().is_empty());
    assert_eq!(two.last().json()["model"], "vendor/real");
}

#[tokio::test]
async fn each_upstream_is_told_its_own_name_of_the_model() {
    let (one, two) = (broken(500).await, FakeUpstream::start().await);
    let text = [
        table("one", &one, "models = { m = \"first/m\" }"),
        table("two", &two, "models = { m = \"second/m\" }"),
        chat_route("[\"one\", \"two\"]", ""),
    ];
    let aurora = aurora(&text.concat()).start().await;

    assert_eq!(aurora.chat("hi").await.status(), 200);

    assert_eq!(one.last().json()["model"], "first/m");
    assert_eq!(two.last().json()["model"], "second/m");
}

#[tokio::test]
async fn an_upload_under_way_is_never_sent_twice() {
    let (one, two) = (broken(500).await, FakeUpstream::start().await);
    let text = [
        table("one", &one, ""),
        table("two", &two, ""),
        "[[routes]]\npath = \"/v1/files\"\nplugin = \"files\"\nupstream = [\"one\", \"two\"]\n"
            .to_owned(),
    ];
    let aurora = aurora(&text.concat()).start().await;

    let request = aurora.client().post(format!("{}/v1/files", aurora.url()));
    let request = request.header("content-type", "multipart/form-data; boundary=b");
    let response = request.body("--b--\r\n").send().await.unwrap();

    assert_eq!(response.status(), 500);
    assert_eq!(one.requests().len(), 1);
    assert!(two.requests().is_empty());
}

#[tokio::test]
async fn nothing_is_tried_again_once_an_answer_has_begun() {
    let one =
        FakeUpstream::with(|_| Reply::open_events(&["data: {\"a\":1}\n\n"]).then(Step::Close))
            .await;
    let two = FakeUpstream::start().await;
    let aurora = over(&one, &two, "").await;

    let mut response = aurora.chat_stream("hi").await;
    let mut text = String::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        text.push_str(&String::from_utf8_lossy(&chunk));
    }

    assert!(text.contains("stream_truncated"), "{text}");
    assert_eq!(one.requests().len(), 1);
    assert!(two.requests().is_empty());
}

#[tokio::test]
async fn a_busy_upstream_is_covered_by_the_second() {
    let (one, two) = (FakeUpstream::start().await, FakeUpstream::start().await);
    let text = [
        table("one", &one, "max_concurrency = 1\nmax_queue = 0"),
        table("two", &two, "max_concurrency = 1\nmax_queue = 0"),
        chat_route("[\"one\", \"two\"]", ""),
    ];
    let aurora = aurora(&text.concat()).start().await;
    for upstream in [&one, &two] {
        upstream.next(Reply::open_events(&["data: {\"a\":1}\n\n"]).then(Step::Hang));
    }

    let (mut first, mut second) = (aurora.chat_stream("1").await, aurora.chat_stream("2").await);
    first.chunk().await.unwrap().unwrap();
    second.chunk().await.unwrap().unwrap();
    let third = refusal(aurora.chat("3").await).await;

    assert_eq!((one.requests().len(), two.requests().len()), (1, 1));
    assert_eq!(
        (third.status, third.code.as_str()),
        (503, "no_upstream_available")
    );
    assert!(
        third.message.contains("its limit of 1 requests"),
        "{}",
        third.message
    );
}

#[tokio::test]
async fn debug_headers_say_who_answered_and_only_where_they_are_wanted() {
    let (one, two) = (broken(500).await, FakeUpstream::start().await);
    let aurora = over(&one, &two, "debug_headers = true").await;
    let plain = over(&one, &two, "").await;

    let debugged = aurora.chat("hi").await;
    let hidden = plain.chat("hi").await;

    assert_eq!(debugged.headers()["x-aurora-upstream"], "two");
    assert_eq!(debugged.headers()["x-aurora-attempts"], "2");
    assert_eq!(debugged.headers()["x-aurora-generation"], "1");
    // That it took another attempt is said everywhere, and nothing more.
    let names = hidden
        .headers()
        .keys()
        .map(reqwest::header::HeaderName::as_str);
    let names: Vec<&str> = names.filter(|name| name.starts_with("x-aurora")).collect();
    assert_eq!(names, ["x-aurora-attempts"]);
}

#[tokio::test]
async fn debug_headers_are_on_failures_too() {
    let (one, two) = (broken(429).await, broken(429).await);
    let aurora = over(&one, &two, "debug_headers = true\nretry = { attempts = 2 }").await;

    let response = aurora.chat("hi").await;

    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["x-aurora-attempts"], "2");
}
