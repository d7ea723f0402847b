//! Answers that go on beside their stream.

use aurora_testkit::FakeChatGpt;
use aurora_testkit::chatgpt::Reply;

use super::{Setup, Told, asking, setup};

/// Asks in both forms for a long thought.
async fn both(setup: &Setup, reply: impl Fn() -> Reply) -> [Told; 2] {
    setup.web.reply(reply());
    let streamed = setup.chat(asking("think", true)).await;
    setup.web.reply(reply());
    let whole = setup.chat(asking("think", false)).await;
    [streamed, whole]
}

fn calls(web: &FakeChatGpt, call: &str) -> usize {
    web.calls(call).len()
}

#[tokio::test]
async fn a_stream_is_resumed() {
    let setup = setup("").await;
    for told in both(&setup, || Reply::handoff("The long answer.")).await {
        assert_eq!(
            (told.text.as_str(), told.finish.as_deref()),
            ("The long answer.", Some("stop"))
        );
        assert!(told.is_whole);
    }
    let resumed = setup.web.calls("POST /f/conversation/resume");
    assert_eq!(resumed.len(), 2);
    assert!(
        resumed[0]
            .header("x-conduit-token")
            .is_some_and(|token| !token.is_empty())
    );
    assert_eq!(calls(&setup.web, "GET /celsius/ws/user"), 0);
}

#[tokio::test]
async fn what_was_said_before_is_not_said_again() {
    let setup = setup("").await;
    for reply in [
        || Reply::handoff("One two three four.").partial("One two"),
        || {
            Reply::handoff("One two three four.")
                .partial("One two")
                .resume_status(404)
        },
    ] {
        for told in both(&setup, reply).await {
            assert_eq!(told.text, "One two three four.");
            assert!(told.is_whole);
        }
    }
}

#[tokio::test]
async fn the_websocket_has_it_where_nothing_can_be_resumed() {
    let setup = setup("").await;
    for told in both(&setup, || {
        Reply::handoff("Over the socket.").resume_status(404)
    })
    .await
    {
        assert_eq!(
            (told.text.as_str(), told.is_whole),
            ("Over the socket.", true)
        );
    }
    assert_eq!(calls(&setup.web, "GET /celsius/ws/user"), 2);
    let commands = setup.web.websocket_commands();
    let subscribed = commands.iter().any(|command| {
        let topic = command["command"]["topic_id"].as_str();
        topic.is_some_and(|topic| topic.starts_with("conversation-turn-"))
    });
    assert!(subscribed, "{commands:?}");
}

#[tokio::test]
async fn a_kept_conversation_is_looked_at_in_the_end() {
    let setup = setup("history = true").await;
    let reply = || {
        Reply::handoff("Saved at last.")
            .resume_status(410)
            .no_topic()
            .polls(1)
    };
    for told in both(&setup, reply).await {
        assert_eq!(
            (told.text.as_str(), told.is_whole),
            ("Saved at last.", true)
        );
    }
    setup.web.websockets(false);
    setup
        .web
        .reply(Reply::handoff("Saved too.").resume_status(404));
    assert_eq!(setup.chat(asking("think", true)).await.text, "Saved too.");
}

#[tokio::test]
async fn when_every_way_fails_the_conversation_is_named() {
    let setup = setup("").await;
    setup.web.websockets(false);
    setup.web.reply(
        Reply::handoff("Never seen.")
            .resume_status(404)
            .never_polled(),
    );

    let told = setup.chat(asking("think", false)).await;

    let id = setup.web.conversations().pop().unwrap();
    assert_eq!(
        (told.status, told.error.as_deref()),
        (502, Some("upstream_stream_truncated"))
    );
    assert!(told.message.contains(&id), "{}", told.message);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let setup = setup("history = true\ntimeouts = { handoff = \"1s\" }").await;
    setup.web.websockets(false);
    setup
        .web
        .reply(Reply::handoff("Later.").resume_status(404).never_polled());

    let told = setup.chat(asking("think", false)).await;

    assert_eq!(
        (told.status, told.error.as_deref()),
        (504, Some("upstream_handoff_timeout"))
    );
}

#[tokio::test]
async fn a_resumed_stream_that_ends_early_is_resumed_again() {
    let setup = setup("").await;
    let reply = || Reply::handoff("A rather long answer in the end.").resume_cut_after(700);
    for told in both(&setup, reply).await {
        assert_eq!(
            (told.text.as_str(), told.is_whole),
            ("A rather long answer in the end.", true)
        );
    }
}

#[tokio::test]
async fn a_websocket_that_closes_early_is_followed_by_a_look() {
    let setup = setup("history = true").await;
    setup.web.websocket_closes_after(1);
    setup
        .web
        .reply(Reply::handoff("There after all.").resume_status(404));

    let told = setup.chat(asking("think", true)).await;

    assert_eq!(
        (told.text.as_str(), told.is_whole),
        ("There after all.", true)
    );
}
