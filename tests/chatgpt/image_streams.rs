//! Pictures as events.

use std::time::Duration;

use aurora_testkit::FakeChatGpt;
use aurora_testkit::chatgpt::Reply;
use serde_json::{Value, json};

use super::images::GENERATIONS;
use super::{Setup, setup};

/// Events of a streamed answer: name and data.
async fn events(mut response: reqwest::Response) -> (Vec<(String, Value)>, bool) {
    let mut bytes = Vec::new();
    let is_whole = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    let text = String::from_utf8(bytes).unwrap();
    let events = text.split("\n\n").filter_map(|event| {
        let data = event.lines().find_map(|line| line.strip_prefix("data: "))?;
        let name = event.lines().find_map(|line| line.strip_prefix("event: "));
        let data = serde_json::from_str(data).ok()?;
        Some((name.unwrap_or_default().to_owned(), data))
    });
    (
        events.collect(),
        is_whole && text.ends_with("data: [DONE]\n\n"),
    )
}

#[tokio::test]
async fn a_stream_tells_each_picture_and_then_all() {
    let setup = setup("").await;
    setup.web.reply(Reply::image());
    setup.web.reply(Reply::image_refusal("No."));
    let body = json!({"prompt": "x", "n": 2, "stream": true});

    let (told, is_whole) = events(setup.post(GENERATIONS, &body).await).await;

    let names: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "image.generation.chunk",
            "image.generation.result",
            "image.generation.chunk",
            "image.generation.error",
            "image.generation.completed"
        ]
    );
    assert!(is_whole);
    for (name, data) in &told {
        assert_eq!(data["object"], name.as_str());
    }
    assert_eq!(
        (&told[2].1["index"], &told[2].1["total"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(told[4].1["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_stream_without_any_picture_ends_with_the_reason() {
    let setup = setup("").await;
    setup.web.reply(Reply::image_refusal(
        "This goes against our content policy.",
    ));

    let response = setup
        .post(
            &format!("{GENERATIONS}?stream=true"),
            &json!({"prompt": "x"}),
        )
        .await;
    let (told, is_whole) = events(response).await;

    assert!(!is_whole);
    let last = &told.last().unwrap().1;
    assert_eq!(
        last["error"]["code"], "content_policy_violation",
        "{told:?}"
    );
}

#[tokio::test]
async fn a_stream_that_waits_long_is_kept_alive() {
    let web = FakeChatGpt::start().await;
    let config = format!(
        "[server]\nkeep_alive_comment = \"200ms\"\n{}",
        super::config(&web, "")
    );
    let builder =
        super::super::support::aurora(&config).file("access_tokens.txt", web.account("a"));
    let setup = Setup {
        aurora: builder.start().await,
        web,
    };
    setup
        .web
        .reply(Reply::image().pause_after(500, Duration::from_secs(1)));

    let body = json!({"prompt": "x", "stream": true});
    let text = setup.post(GENERATIONS, &body).await.text().await.unwrap();

    assert!(
        text.contains(": keep-alive") && text.ends_with("data: [DONE]\n\n"),
        "{text}"
    );
}
