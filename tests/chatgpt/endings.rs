//! How answers end: continued, cut, interrupted, too late, given up.

use std::time::Duration;

use aurora_testkit::chatgpt::Reply;
use aurora_testkit::{FakeChatGpt, eventually};
use serde_json::Value;

use super::{Setup, asking, setup};

#[tokio::test]
async fn an_answer_that_never_ends_is_cut_after_the_last_round() {
    for (rounds, requests) in [(0, 1), (1, 2), (3, 4)] {
        let setup = setup(&format!("max_continue = {rounds}")).await;
        for stream in [true, false] {
            let before = setup.web.turns().len();
            for number in 0..requests {
                let text = format!("part{number} ");
                setup.web.reply(Reply::text(text).finish("max_tokens"));
            }

            let told = setup.chat(asking("go", stream)).await;

            let parts: Vec<String> = (0..requests)
                .map(|number| format!("part{number} "))
                .collect();
            let expected = parts.concat();
            assert_eq!(told.text, expected);
            assert_eq!(told.finish.as_deref(), Some("length"));
            assert_eq!(setup.web.turns().len() - before, requests);
        }
        if rounds > 0 {
            let turn = setup.last_turn();
            assert_eq!(turn["action"], "continue");
            assert!(turn.get("messages").is_none_or(Value::is_null));
            let id = turn["conversation_id"].as_str().unwrap();
            assert!(!setup.web.conversation(id).is_null());
        }
    }
}

#[tokio::test]
async fn a_continuation_that_fails_keeps_what_was_said() {
    let setup = setup("").await;
    let script = || {
        setup
            .web
            .reply(Reply::text("part one ").finish("max_tokens"));
        setup.web.reply(Reply::refusal("server_error"));
    };

    script();
    let streamed = setup.chat(asking("go", true)).await;
    script();
    let whole = setup.chat(asking("go", false)).await;

    assert_eq!(streamed.text, "part one ");
    assert_eq!(streamed.error.as_deref(), Some("upstream_server_error"));
    assert!(!streamed.is_whole && streamed.finish.is_none());
    assert_eq!(
        (whole.text.as_str(), whole.finish.as_deref()),
        ("part one ", Some("length"))
    );
}

#[tokio::test]
async fn an_interrupted_answer_is_an_answer_and_another_model_is_told() {
    let setup = setup("").await;
    setup.web.reply(Reply::text("so far").finish("interrupted"));
    assert_eq!(
        setup.chat(asking("go", true)).await.finish.as_deref(),
        Some("stop")
    );

    setup.web.reply(Reply::text("quick").model("gpt-mini"));
    let mut body = asking("go", false);
    body["model"] = "gpt-5-6-pro".into();
    let told = setup.chat(body).await;
    assert_eq!(told.chunks[0]["served_model"], "gpt-mini");
    setup
        .aurora
        .wait_for_output("answers with another model")
        .await;
}

#[tokio::test]
async fn a_turn_whose_stream_stays_open_is_over_when_it_is_complete() {
    let setup = setup("").await;
    for stream in [true, false] {
        setup.web.reply(Reply::text("all of it").hang());
        let told = setup.chat(asking("go", stream)).await;
        assert_eq!((told.text.as_str(), told.is_whole), ("all of it", true));
    }
}

#[tokio::test]
async fn silence_is_a_504_before_the_first_word_and_an_error_event_after_it() {
    let setup = setup("timeouts = { idle = \"1s\" }").await;

    setup.web.reply(Reply::text("never said").hang_after(0));
    let before = setup.chat(asking("go", true)).await;
    setup.web.reply(
        Reply::text("some words and no more of them")
            .pieces(6)
            .hang_after(3000),
    );
    let after = setup.chat(asking("go", true)).await;

    assert_eq!(
        (before.status, before.error.as_deref()),
        (504, Some("upstream_idle_timeout"))
    );
    assert_eq!(after.error.as_deref(), Some("upstream_idle_timeout"));
    assert!(!after.text.is_empty() && !after.is_whole);
}

#[tokio::test]
async fn comments_keep_the_client_waiting_while_the_service_thinks() {
    let web = FakeChatGpt::start().await;
    let token = web.account("alice");
    let config = super::config(&web, "");
    let config = format!("[server]\nkeep_alive_comment = \"200ms\"\n{config}");
    let builder = super::super::support::aurora(&config).file("access_tokens.txt", token);
    let setup = Setup {
        aurora: builder.start().await,
        web,
    };
    setup
        .web
        .reply(Reply::text("thought over").pause_after(1000, Duration::from_secs(5)));

    let body = asking("go", true);
    let response = setup.post("/v1/chat/completions", &body).await;
    let text = response.text().await.unwrap();

    assert!(text.contains(": keep-alive"), "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_turn_and_frees_the_account() {
    let setup = setup("").await;
    setup
        .web
        .reply(Reply::text("a long story").pieces(4).hang_after(2500));
    let mut response = setup
        .post("/v1/chat/completions", &asking("go", true))
        .await;
    response.chunk().await.unwrap().unwrap();
    assert_eq!(setup.web.running("alice"), 1);

    drop(response);

    eventually("the turn is given up", async || {
        setup.web.running("alice") == 0
    })
    .await;
    assert_eq!(setup.chat(asking("next", false)).await.status, 200);
}
