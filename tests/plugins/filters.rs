//! Filters around handlers, built in and loaded alike.

use serde_json::{Value, json};

use super::{FIXTURE, fixture, version};
use crate::support::{aurora, refusal};

/// The mock with chat, a route of the fixture, and a filter for both, called `f`.
fn config(filter: &str, settings: &str) -> String {
    format!(
        "[upstreams.mock]\nprotocol = \"mock\"\n\n[[routes]]\npath = \"/v1/chat/completions\"\nplugin = \"chat\"\n\
         upstream = \"mock\"\nfilters = [{filter}]\n\n[[routes]]\npath = \"/fixture/{{*mode}}\"\nmethods = [\"GET\", \"POST\"]\n\
         plugin = \"fixture\"\nfilters = [{filter}]\n\n{settings}\n"
    )
}

async fn start(filter: &str, settings: &str) -> aurora_testkit::Aurora {
    aurora(&config(filter, settings))
        .file(FIXTURE, fixture(1))
        .file("plugins/f.so", fixture(2))
        .file("plugins/g.so", fixture(3))
        .start()
        .await
}

fn named(name: &str, filter: &str, word: &str) -> String {
    format!("[plugins.{name}]\nfile = \"{name}.so\"\nfilter = \"{filter}\"\nword = \"{word}\"\n")
}

async fn start_with(filter: &str, word: &str) -> aurora_testkit::Aurora {
    start(
        "\"f\"",
        &(named("f", filter, word) + &named("g", "nothing", "")),
    )
    .await
}

#[tokio::test]
async fn filters_see_the_request_in_the_order_written_and_the_answer_in_reverse() {
    let settings = named("f", "mark", "outer") + &named("g", "mark", "inner");
    let aurora = start("\"f\", \"g\"", &settings).await;

    let response = aurora
        .get("/fixture/facts")
        .header("x-custom", "c")
        .send()
        .await
        .unwrap();

    assert_eq!(response.status(), 202);
    let seen: Vec<_> = response
        .headers()
        .get_all("x-seen")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    assert_eq!(seen, ["inner", "outer"]);
    let facts: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(facts["custom"], "c");
}

#[tokio::test]
async fn a_filter_answers_by_itself_and_the_handler_is_not_asked() {
    let aurora = start_with("answer", "the filter").await;

    let answer = aurora.chat("hi").await;

    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.text().await.unwrap(),
        r#"{"answered_by":"the filter"}"#
    );
    aurora.wait_for_output("attempts=0").await;
}

#[tokio::test]
async fn a_filter_refuses_with_its_own_error() {
    let aurora = start_with("refuse", "not today").await;

    let refused = refusal(aurora.chat("hi").await).await;

    assert_eq!(
        (
            refused.status,
            refused.code.as_str(),
            refused.message.as_str()
        ),
        (403, "refused_by_filter", "not today")
    );
}

#[tokio::test]
async fn a_filter_changes_what_the_model_is_told() {
    let aurora = start_with("body", "42").await;

    let answer = aurora
        .chat("the answer is WORD")
        .await
        .text()
        .await
        .unwrap();

    assert!(answer.contains("the answer is 42"), "{answer}");
}

#[tokio::test]
async fn a_filter_changes_what_the_model_says_streamed_and_whole_and_hears_of_the_tokens() {
    let aurora = start_with("events", "whispered").await;

    let whole = aurora.chat("hi").await.text().await.unwrap();
    let streamed = aurora.chat_stream("hi").await.text().await.unwrap();

    for text in [&whole, &streamed] {
        assert!(
            text.contains("whispered") && !text.contains("You said"),
            "{text}"
        );
    }
    assert!(streamed.ends_with("data: [DONE]\n\n"), "{streamed}");
    // The mock counts tokens of streams for who asks for that only.
    aurora
        .wait_for_output("ended 200 complete=true tokens=12")
        .await;
    let output = aurora.output();
    let ended = output.lines().find(|line| line.contains("tokens=12"));
    assert!(ended.unwrap().contains("plugin=\"f\""), "{ended:?}");
    aurora
        .wait_for_output("ended 200 complete=true tokens=0")
        .await;
}

#[tokio::test]
async fn a_filter_changes_every_piece_of_any_body() {
    let aurora = start_with("chunks", "end").await;

    let response = aurora
        .post("/fixture/echo", &json!({}))
        .body("some bytes")
        .send()
        .await
        .unwrap();

    assert_eq!(response.text().await.unwrap(), "SOME BYTES[end]");
}

#[tokio::test]
async fn a_filter_that_panics_ends_its_own_request_alone() {
    let aurora = start_with("panic", "").await;

    let refused = refusal(aurora.chat("hi").await).await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (500, "plugin_failed")
    );
    assert_eq!(aurora.status().await["in_flight"], 0);
}

#[tokio::test]
async fn a_filter_of_all_routes_stands_before_those_of_a_route() {
    let settings = format!(
        "[plugins]\nfilters = [\"g\"]\n{}{}",
        named("f", "mark", "own"),
        named("g", "mark", "all")
    );
    let aurora = start("\"f\"", &settings).await;

    let response = aurora.get("/fixture/version").send().await.unwrap();

    let seen: Vec<_> = response
        .headers()
        .get_all("x-seen")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    assert_eq!(seen, ["own", "all"]);
    assert!(response.text().await.unwrap().contains(&version(1)));
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_told_to_the_filter() {
    let aurora = start_with("events", "x").await;

    let mut response = aurora.get("/fixture/panic/stream").send().await.unwrap();
    while let Ok(Some(_)) = response.chunk().await {}

    aurora.wait_for_output("ended 200 complete=false").await;
}

#[tokio::test]
async fn a_filter_of_two_routes_that_cannot_be_built_is_told_of_once() {
    let aurora = start_with("mark", "x").await;

    aurora.write("aurora.toml", config("\"f\"", &named("f", "no such", "x")));
    let error = aurora.wait_for_reload_error().await;

    assert!(error.contains("plugin `f`: option `filter`"), "{error}");
    assert_eq!(error.matches("error[").count(), 1, "{error}");
}

#[tokio::test]
async fn what_a_filter_makes_of_an_answer_is_what_those_around_it_hear() {
    let settings = named("f", "events", "") + &named("g", "panic in head", "");
    let aurora = start("\"f\", \"g\"", &settings).await;

    let refused = refusal(aurora.chat("hi").await).await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (500, "plugin_failed")
    );
    aurora.wait_for_output("ended 500 complete=true").await;
}
