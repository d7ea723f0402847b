//! What the service refuses, and what clients read of it.

use aurora_testkit::FakeChatGpt;
use aurora_testkit::chatgpt::{Fault, Reply};
use serde_json::json;

use super::super::support::refusal;
use super::{Setup, asking, in_front_of, setup};

/// Name of the refusal, then status and code for the client.
const TABLE: [(&str, u16, &str); 17] = [
    ("token_expired", 502, "upstream_token_expired"),
    ("token_invalidated", 502, "upstream_token_invalidated"),
    ("invalid_jwt", 502, "upstream_invalid_token"),
    ("account_deactivated", 502, "upstream_account_deactivated"),
    ("unusual_activity", 502, "upstream_challenge_required"),
    ("challenge_page", 502, "upstream_challenge_required"),
    ("workspace_forbidden", 502, "upstream_workspace_forbidden"),
    ("conversation_not_found", 404, "conversation_not_found"),
    ("message_too_long", 400, "context_length_exceeded"),
    ("conversation_too_large", 400, "context_length_exceeded"),
    ("invalid_body", 502, "upstream_rejected_request"),
    ("model_cap", 429, "upstream_rate_limited"),
    ("too_many", 429, "upstream_rate_limited"),
    ("one_at_a_time", 429, "upstream_busy"),
    ("server_error", 502, "upstream_server_error"),
    ("bad_gateway", 502, "upstream_server_error"),
    ("ok_but_json", 502, "upstream_unexpected_response"),
];

/// Two accounts, `alice` before `bob`.
async fn two(settings: &str) -> Setup {
    let web = FakeChatGpt::start().await;
    let tokens = format!("{}\n{}\n", web.account("alice"), web.account("bob"));
    let builder = in_front_of(&web, settings, &tokens);
    let aurora = builder.start().await;
    Setup { web, aurora }
}

fn accounts(setup: &Setup) -> Vec<String> {
    let turns = setup.web.turns().into_iter();
    turns.map(|turn| turn.account.unwrap()).collect()
}

#[tokio::test]
async fn every_refusal_has_its_status_and_code() {
    assert_eq!(Reply::refusals().len(), TABLE.len());
    for (name, status, code) in TABLE {
        for stream in [true, false] {
            // An account alone: nobody else can answer in its place.
            let setup = setup("").await;
            for _ in 0..4 {
                setup.web.reply(Reply::refusal(name));
            }

            let body = asking("go", stream);
            let response = setup.post("/v1/chat/completions", &body).await;

            let token = setup.web.account("alice");
            let refusal = refusal(response).await;
            assert_eq!(
                (refusal.status, refusal.code.as_str()),
                (status, code),
                "{name}"
            );
            assert!(refusal.message.chars().count() <= 500, "{name}");
            for word in ["<html", "<!DOCTYPE", "cloudflare", token.as_str()] {
                assert!(
                    !refusal.message.contains(word),
                    "{name}: {}",
                    refusal.message
                );
            }
            if status == 429 {
                assert!(refusal.retry_after.is_some(), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn an_empty_stream_is_no_answer() {
    let setup = setup("").await;
    for stream in [true, false] {
        setup.web.reply(Reply::sse(""));
        let told = setup.chat(asking("go", stream)).await;
        assert_eq!(
            (told.status, told.error.as_deref()),
            (502, Some("upstream_stream_truncated"))
        );
    }
}

#[tokio::test]
async fn another_account_answers_where_one_cannot() {
    for name in [
        "token_invalidated",
        "account_deactivated",
        "model_cap",
        "too_many",
        "server_error",
    ] {
        let setup = two("").await;
        setup.web.reply(Reply::refusal(name));

        let told = setup.chat(asking("go", true)).await;

        assert_eq!(
            (told.status, told.is_whole),
            (200, true),
            "{name}: {}",
            told.message
        );
        let accounts = accounts(&setup);
        assert_eq!(accounts.len(), 2, "{name}");
        assert_ne!(accounts[0], accounts[1], "{name}");
    }
}

#[tokio::test]
async fn an_error_in_the_stream_before_the_first_word_goes_to_no_client_with_200() {
    let setup = setup("").await;
    setup.web.reply(Reply::transcript("11"));

    let told = setup.chat(asking("go", true)).await;

    assert_eq!(
        (told.status, told.error.as_deref()),
        (502, Some("upstream_stream_error"))
    );
    assert_eq!(setup.web.turns().len(), 1);
}

#[tokio::test]
async fn nothing_is_tried_again_after_the_first_word() {
    let setup = two("").await;
    setup.web.reply(Reply::transcript("10"));

    let told = setup.chat(asking("go", true)).await;

    assert_eq!(told.error.as_deref(), Some("upstream_stream_error"));
    assert_eq!(setup.web.turns().len(), 1);
}

#[tokio::test]
async fn a_model_that_is_used_up_rests_and_others_go_on() {
    let setup = setup("").await;
    setup.web.reply(Reply::refusal("model_cap"));
    let ask = |model: &str| {
        let mut body = asking("go", false);
        body["model"] = model.into();
        body
    };

    let first = setup.chat(ask("gpt-5")).await;
    let again = setup.chat(ask("gpt-5")).await;
    let other = setup.chat(ask("gpt-4o")).await;

    assert_eq!((first.status, first.retry_after), (429, Some(5400)));
    assert_eq!(again.status, 429);
    assert!(
        again
            .retry_after
            .is_some_and(|wait| (5300..=5400).contains(&wait))
    );
    assert_eq!(other.status, 200);
    assert_eq!(
        setup.web.turns().len(),
        2,
        "the second question was not even asked"
    );
}

#[tokio::test]
async fn when_all_rest_the_shortest_wait_is_told() {
    let setup = two("").await;
    let limited = |seconds: u64| {
        let body = json!({"detail": {"message": "limit", "code": "model_cap_exceeded", "clears_in": seconds}});
        Reply::status(429, "application/json", body.to_string())
    };
    setup.web.reply(limited(900));
    setup.web.reply(limited(300));

    let told = setup.chat(asking("go", false)).await;
    let again = setup.chat(asking("go", false)).await;

    assert_eq!(told.status, 429);
    assert_eq!(again.status, 429);
    assert!(
        again
            .retry_after
            .is_some_and(|wait| (290..=300).contains(&wait)),
        "{again:?}"
    );
}

#[tokio::test]
async fn a_challenge_is_reported_and_one_other_account_is_asked() {
    let web = FakeChatGpt::start().await;
    let tokens: String = ["a", "b", "c"]
        .map(|name| web.account(name) + "\n")
        .concat();
    let aurora = in_front_of(&web, "", &tokens).start().await;
    let setup = Setup { web, aurora };
    for _ in 0..3 {
        setup.web.reply(Reply::refusal("challenge_page"));
    }

    let told = setup.chat(asking("go", true)).await;

    assert_eq!(
        (told.status, told.error.as_deref()),
        (502, Some("upstream_challenge_required"))
    );
    assert_eq!(setup.web.turns().len(), 2, "one other account at most");
    assert_eq!(
        setup.aurora.status().await["upstreams"]["chatgpt"]["challenges"],
        2
    );
    let status = setup.aurora.status().await["tokens"]["chatgpt"]["accounts"].clone();
    let challenged = status.as_array().unwrap().iter().filter(|account| {
        let cooling = account["cooling"].as_array().unwrap();
        cooling.iter().any(|rest| rest["limit"] == "challenge")
    });
    assert_eq!(challenged.count(), 2);
    assert!(!setup.aurora.output().contains("Just a moment"));
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_is_told_by_kind() {
    for (fault, status, code) in [
        (Fault::reset().always(), 502, "upstream_unreachable"),
        (Fault::close().always(), 502, "upstream_unreachable"),
        (
            Fault::silence().always(),
            504,
            "upstream_first_byte_timeout",
        ),
    ] {
        let setup = setup("timeouts = { first_byte = \"500ms\" }").await;
        setup.web.fault("POST /f/conversation", fault);

        let refusal = refusal(
            setup
                .post("/v1/chat/completions", &asking("go", true))
                .await,
        )
        .await;

        assert_eq!((refusal.status, refusal.code.as_str()), (status, code));
    }
}

#[tokio::test]
async fn after_a_run_of_failures_the_next_request_is_served() {
    let setup = setup("").await;
    setup
        .web
        .fault("POST /f/conversation", Fault::reset().times(5));
    assert_eq!(setup.chat(asking("go", false)).await.status, 502);
    // The upstream rests for a moment, and is then tried again.
    let served = async { while setup.chat(asking("go", false)).await.status != 200 {} };
    let limit = std::time::Duration::from_secs(20);
    tokio::time::timeout(limit, served).await.unwrap();
}

#[tokio::test]
async fn another_upstream_answers_where_no_account_can() {
    let web = FakeChatGpt::start().await;
    let config = super::config(&web, "").replace(
        "upstream = \"chatgpt\"",
        "upstream = [\"chatgpt\", \"mock\"]",
    );
    let config = format!("[upstreams.mock]\nprotocol = \"mock\"\n{config}");
    let builder =
        super::super::support::aurora(&config).file("access_tokens.txt", web.account("alice"));
    let setup = Setup {
        aurora: builder.start().await,
        web,
    };
    setup.web.reply(Reply::refusal("model_cap"));

    for _ in 0..2 {
        let response = setup
            .post("/v1/chat/completions", &asking("go", false))
            .await;
        assert_eq!(response.headers()["x-aurora-upstream"], "mock");
        assert_eq!(response.status(), 200);
    }
    // What the client did wrong is wrong everywhere.
    setup.web.reply(Reply::refusal("message_too_long"));
    let mut body = asking("go", true);
    body["model"] = "gpt-4o".into();
    let refused = refusal(setup.post("/v1/chat/completions", &body).await).await;
    assert_eq!(refused.code, "context_length_exceeded");
}

#[tokio::test]
async fn the_log_counts_every_account_that_was_asked() {
    let setup = two("").await;
    setup.web.reply(Reply::refusal("too_many"));
    assert_eq!(setup.chat(asking("go", false)).await.status, 200);
    aurora_testkit::eventually("the request is logged", async || {
        setup.aurora.output().contains("attempts=2")
    })
    .await;
}
