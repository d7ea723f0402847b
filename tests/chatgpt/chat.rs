//! Chat: what the service is asked, and what the client gets.

use aurora_testkit::FakeChatGpt;
use aurora_testkit::chatgpt::Reply;
use serde_json::{Value, json};

use super::{Setup, Told, asking, in_front_of, setup};

/// Author and text of each message of a turn.
fn said(turn: &Value) -> Vec<(String, String)> {
    let messages = turn["messages"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    messages
        .map(|message| {
            let parts = message["content"]["parts"].as_array().unwrap();
            (
                text(&message["author"]["role"]),
                text(parts.last().unwrap()),
            )
        })
        .collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(role, text): &(&str, &str)| ((*role).to_owned(), (*text).to_owned());
    pairs.iter().map(own).collect()
}

#[tokio::test]
async fn a_conversation_reaches_the_service_in_its_own_form() {
    let setup = setup("").await;
    let body = json!({"model": "gpt-5-6-thinking", "reasoning_effort": "high", "max_tokens": 7,
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "On"}, {"type": "input_text", "text": "e"}]},
            {"role": "system", "content": "Be kind."},
            {"role": "assistant", "content": "Two", "tool_calls": [{"id": "call_1", "type": "function",
                "function": {"name": "f", "arguments": "{\"a\":1}"}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "three"}]},
            {"role": "user", "content": {"type": "text", "text": "Four"}}]});

    let told = setup.chat(body).await;

    assert_eq!(told.status, 200, "{}", told.message);
    let turn = setup.last_turn();
    let said = said(&turn);
    assert!(
        said[0].1.contains('7'),
        "the limit of tokens is asked for: {}",
        said[0].1
    );
    assert!(
        said[0].1.ends_with("Be brief.\n\nBe kind."),
        "{}",
        said[0].1
    );
    assert_eq!(said[0].0, "system");
    let rest = pairs(&[
        ("user", "One"),
        (
            "assistant",
            "Two\n<tool_call>{\"arguments\":{\"a\":1},\"name\":\"f\"}</tool_call>",
        ),
        ("tool", "Result of the tool `f`:\nthree"),
        ("user", "Four"),
    ]);
    assert_eq!(said[1..], rest);
    assert_eq!(turn["model"], "auto");
    assert_eq!(turn["system_hints"], json!(["reason"]));
    assert_eq!(turn["thinking_effort"], "max");
    assert_eq!(turn["action"], "next");
    assert_eq!(turn["history_and_training_disabled"], true);
    assert_eq!(told.chunks[0]["model"], "gpt-5-6-thinking");
}

#[tokio::test]
async fn every_effort_and_model_is_mapped() {
    let setup = setup("models = { fast = \"gpt-4o-mini\" }").await;
    let efforts = [
        (json!(null), "standard"),
        (json!("none"), "standard"),
        (json!("minimal"), "standard"),
        (json!("low"), "standard"),
        (json!("medium"), "extended"),
        (json!("high"), "max"),
        (json!("xhigh"), "max"),
        (json!("odd"), "standard"),
    ];
    for (effort, expected) in efforts {
        let mut body = asking("go", false);
        body["reasoning_effort"] = effort.clone();
        assert_eq!(setup.chat(body).await.status, 200);
        assert_eq!(setup.last_turn()["thinking_effort"], expected, "{effort}");
    }
    for (asked, slug) in [
        ("fast", "gpt-4o-mini"),
        ("gpt-5", "gpt-5"),
        ("auto", "auto"),
    ] {
        let mut body = asking("go", false);
        body["model"] = asked.into();
        let told = setup.chat(body).await;
        assert_eq!(setup.last_turn()["model"], slug);
        assert_eq!(told.chunks[0]["model"], asked);
    }
    let mut body = asking("go", false);
    body.as_object_mut().unwrap().remove("model");
    assert_eq!(setup.chat(body).await.status, 200);
    assert_eq!(setup.last_turn()["model"], "auto");
}

/// Requests that cannot be served, with the code and the field that they are refused with.
fn unservable() -> Vec<(Value, &'static str, &'static str)> {
    let message = json!([{"role": "user", "content": "hi"}]);
    vec![
        (
            json!({"model": "auto"}),
            "missing_required_parameter",
            "messages",
        ),
        (
            json!({"messages": []}),
            "missing_required_parameter",
            "messages",
        ),
        (json!({"messages": "hi"}), "invalid_value", "messages"),
        (json!({"messages": ["hi"]}), "invalid_value", "messages[0]"),
        (
            json!({"messages": message, "stream": "yes"}),
            "invalid_value",
            "stream",
        ),
        (
            json!({"messages": message, "model": 7}),
            "invalid_value",
            "model",
        ),
        (
            json!({"messages": message, "tools": {}}),
            "invalid_value",
            "tools",
        ),
        (
            json!({"messages": [{"role": "wizard", "content": "hi"}]}),
            "invalid_value",
            "messages[0].role",
        ),
        (
            json!({"messages": [{"role": "user", "content": 7}]}),
            "invalid_value",
            "messages[0].content",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}),
            "invalid_value",
            "messages[0].content[0]",
        ),
        (
            json!({"messages": message, "model": "gpt-4-plugins"}),
            "model_not_supported",
            "model",
        ),
    ]
}

#[tokio::test]
async fn requests_that_cannot_be_served_are_refused_by_field() {
    let setup = setup("").await;
    for (body, code, param) in unservable() {
        let refusal =
            super::super::support::refusal(setup.post("/v1/chat/completions", &body).await).await;
        assert_eq!(
            (
                refusal.status,
                refusal.code.as_str(),
                refusal.param.as_deref()
            ),
            (400, code, Some(param)),
            "{body}"
        );
    }
    assert_eq!(
        setup.web.requests().len(),
        0,
        "nothing of it reached the service"
    );
}

#[tokio::test]
async fn a_stop_text_ends_the_answer_though_the_model_goes_on() {
    let setup = setup("").await;
    for stream in [true, false] {
        setup
            .web
            .reply(Reply::text("one two thr\u{e9}e four five").pieces(30));
        let mut body = asking("count", stream);
        body["stop"] = json!(["thr\u{e9}e f", "never"]);

        let told = setup.chat(body).await;

        assert_eq!(
            (told.text.as_str(), told.finish.as_deref()),
            ("one two ", Some("stop"))
        );
        assert!(told.is_whole);
    }
}

#[tokio::test]
async fn usage_comes_after_the_finish_reason_and_adds_up() {
    let setup = setup("").await;
    let mut body = asking("What is it?", true);
    body["stream_options"] = json!({"include_usage": true});

    let told = setup.chat(body).await;

    let usage = told.usage.unwrap();
    let count = |key: &str| usage[key].as_u64().unwrap();
    assert_eq!(
        count("total_tokens"),
        count("prompt_tokens") + count("completion_tokens")
    );
    assert!(count("prompt_tokens") > 0 && count("completion_tokens") > 0);
    let last = told.chunks.last().unwrap();
    assert_eq!(last["choices"], json!([]));
    let others = &told.chunks[..told.chunks.len() - 1];
    assert!(others.iter().all(|chunk| chunk["usage"].is_null()));
}

#[tokio::test]
async fn history_is_kept_where_the_setting_says_so() {
    for (settings, variable, temporary) in [
        ("", None, true),
        ("history = true", None, false),
        ("", Some("true"), false),
    ] {
        let web = FakeChatGpt::start().await;
        let token = web.account("alice");
        let mut builder = in_front_of(&web, settings, &token);
        if let Some(value) = variable {
            builder = builder.env("ENABLE_HISTORY", value);
        }
        let aurora = builder.start().await;
        let setup = Setup { web, aurora };

        let told = setup.chat(asking("go", false)).await;

        let id = told.chunks[0]["conversation_id"].as_str().unwrap();
        assert_eq!(
            setup.web.temporary(id),
            temporary,
            "{settings} {variable:?}"
        );
    }
}

#[tokio::test]
async fn nothing_is_streamed_where_streaming_is_off() {
    let web = FakeChatGpt::start().await;
    let token = web.account("alice");
    let aurora = in_front_of(&web, "", &token)
        .env("STREAM_MODE", "false")
        .start()
        .await;
    let setup = Setup { web, aurora };

    let response = setup
        .post("/v1/chat/completions", &asking("go", true))
        .await;

    assert_eq!(response.headers()["content-type"], "application/json");
    assert!(!Told::read(response).await.text.is_empty());
}

#[tokio::test]
async fn a_turn_is_announced_where_that_is_asked_for() {
    let setup = setup("prepare = true").await;
    assert_eq!(setup.chat(asking("hello there", false)).await.status, 200);

    let prepared = setup.web.calls("POST /f/conversation/prepare");
    assert_eq!(setup.web.calls("POST /conversation/init").len(), 1);
    assert_eq!(prepared.len(), 3);
    assert_eq!(
        prepared[2].json()["partial_query"]["content"]["parts"][0],
        "hello"
    );
    let turn = setup.web.turns().pop().unwrap();
    assert!(turn.header("x-conduit-token").is_some());

    let refused = aurora_testkit::chatgpt::Fault::status(500, &json!({})).always();
    setup.web.fault("POST /f/conversation/prepare", refused);
    assert_eq!(setup.chat(asking("again", false)).await.status, 200);
    assert!(
        setup
            .web
            .turns()
            .pop()
            .unwrap()
            .header("x-conduit-token")
            .is_none()
    );
}
