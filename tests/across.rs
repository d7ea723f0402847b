//! Fallback between protocols, and the shipped example of two upstreams as it is.

use aurora_testkit::chatgpt::Fault;
use aurora_testkit::{Aurora, FakeChatGpt, FakeUpstream, Reply};
use serde_json::{Value, json};

use crate::chatgpt::config as chatgpt_config;
use crate::support::{aurora, upstream as table};

/// A gateway with a ChatGPT account and an OpenAI-compatible server behind every route, in this order.
async fn over(web: &FakeChatGpt, openai: &FakeUpstream, order: &str) -> Aurora {
    let config =
        chatgpt_config(web, "").replace("upstream = \"chatgpt\"", &format!("upstream = {order}"));
    // These two speak of accounts only.
    let config = config.replace(
        &format!("plugin = \"auth\"\nupstream = {order}"),
        "plugin = \"auth\"\nupstream = \"chatgpt\"",
    );
    let config = [table("openai", openai, ""), config].concat();
    let builder = aurora(&config).file("access_tokens.txt", web.account("alice"));
    builder.start().await
}

fn asking(stream: bool) -> Value {
    let messages = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Say pong."},
    ]);
    json!({"model": "gpt-4o", "stream": stream, "messages": messages})
}

async fn text_of(response: reqwest::Response) -> (u16, String) {
    let status = response.status().as_u16();
    (status, response.text().await.unwrap())
}

#[tokio::test]
async fn a_chatgpt_account_answers_where_the_openai_server_fails() {
    let web = FakeChatGpt::start().await;
    let openai =
        FakeUpstream::with(|_| Reply::json(500, &json!({"error": {"message": "no"}}))).await;
    let aurora = over(&web, &openai, "[\"openai\", \"chatgpt\"]").await;

    for (path, body, marker) in [
        ("/v1/chat/completions", asking(false), "\"chat.completion\""),
        ("/v1/chat/completions", asking(true), "data: [DONE]"),
        (
            "/v1/responses",
            json!({"model": "gpt-4o", "input": "Say pong.", "instructions": "Be brief."}),
            "\"response\"",
        ),
    ] {
        let response = aurora.post(path, &body).send().await.unwrap();
        assert_eq!(response.headers()["x-aurora-attempts"], "2");
        let (status, text) = text_of(response).await;
        assert_eq!(status, 200, "{text}");
        assert!(text.contains(marker), "{text}");
        // The same conversation reached the account.
        let turn = String::from_utf8(web.turns().pop().unwrap().body.to_vec()).unwrap();
        assert!(
            turn.contains("Say pong.") && turn.contains("Be brief."),
            "{turn}"
        );
    }
}

#[tokio::test]
async fn the_openai_server_answers_where_the_edge_asks_for_a_browser() {
    let (web, openai) = (FakeChatGpt::start().await, FakeUpstream::start().await);
    let aurora = over(&web, &openai, "[\"chatgpt\", \"openai\"]").await;
    web.fault(
        "POST /f/conversation",
        Fault::body(403, "text/html", "<html>Just a moment...</html>").times(9),
    );
    let sent = asking(true);

    for _ in 0..3 {
        let (status, text) = text_of(
            aurora
                .post("/v1/chat/completions", &sent)
                .send()
                .await
                .unwrap(),
        )
        .await;
        assert_eq!(status, 200, "{text}");
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    }

    // What the client sent, as it was sent.
    assert_eq!(openai.last().json(), sent);
    assert_eq!(
        web.turns().len(),
        1,
        "a block is not tried again, by nobody"
    );
    aurora.wait_for_output("its edge asked for a browser").await;
    let status = aurora.status().await;
    assert_eq!(
        status["upstreams"]["chatgpt"]["rests"]["why"],
        "its edge asked for a browser"
    );
}

#[tokio::test]
async fn the_shipped_example_of_two_upstreams_fails_over_with_nothing_else_set() {
    let example = include_str!("../examples/two-upstreams/aurora.toml");
    let (one, two) = (FakeUpstream::start().await, FakeUpstream::start().await);
    let (dead, answers) = ("http://127.0.0.1:9/v1", two.url());
    let asked = json!({"model": "small", "messages": [{"role": "user", "content": "hi"}]});

    for first in [dead.to_owned(), one.url()] {
        one.next(Reply::json(503, &json!({"error": {"message": "loading"}})));
        let text = example
            .replace("http://127.0.0.1:11434/v1", &first)
            .replace("http://127.0.0.1:8081/v1", &answers);
        let aurora = aurora(&text).start().await;

        let response = aurora
            .post("/v1/chat/completions", &asked)
            .send()
            .await
            .unwrap();

        assert_eq!(response.status(), 200, "{first}");
        assert_eq!(
            two.last().json()["model"],
            "qwen2.5-1.5b",
            "its own name of the model"
        );
    }
    assert_eq!((one.requests().len(), two.requests().len()), (1, 2));
}
