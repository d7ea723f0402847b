//! The service's own protocol passed through, files and conversations that belong to one account, and token exchanges.

use aurora_testkit::FakeChatGpt;
use aurora_testkit::chatgpt::{Fault, Reply};
use serde_json::{Value, json};

use super::super::support::{aurora, refusal};
use super::files::{form, json_of};
use super::{Setup, asking, config, in_front_of, setup};

const CONVERSATION: &str = "/backend-api/conversation";

fn raw(text: &str, temporary: bool) -> Value {
    json!({"action": "next", "model": "auto", "x_unknown": {"kept": [1, null]},
        "messages": [{"id": uuid(1), "author": {"role": "user"}, "content": {"content_type": "text", "parts": [text]}}],
        "parent_message_id": uuid(0), "timezone_offset_min": -480, "history_and_training_disabled": temporary})
}

fn uuid(number: u32) -> String {
    format!("00000000-0000-0000-0000-{number:012}")
}

/// A fake with two accounts, `alice` and `bob`, and the gateway in front of it.
async fn two() -> Setup {
    let web = FakeChatGpt::start().await;
    let tokens = format!("{}\n{}\n", web.account("alice"), web.account("bob"));
    Setup {
        aurora: in_front_of(&web, "", &tokens).start().await,
        web,
    }
}

/// The first conversation id in an event stream.
fn conversation(text: &str) -> String {
    let (_, rest) = text.split_once("\"conversation_id\":").unwrap();
    rest.split('"').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn bytes_and_unknown_fields_pass_through() {
    let setup = setup("").await;
    let body = raw("hello", true);
    let spaced = format!(" {body}\n");
    setup.web.reply(Reply::transcript("22").verbatim());

    let request = setup.aurora.post(CONVERSATION, &body).body(spaced.clone());
    let response = request.send().await.unwrap();

    assert!(
        response.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/event-stream")
    );
    let came = response.bytes().await.unwrap();
    let shipped = include_bytes!("../../crates/testkit/transcripts/22_framing_variants.sse");
    assert!(came[..] == shipped[..], "byte for byte");
    let sent = setup.web.turns().pop().unwrap();
    assert_eq!(sent.body, spaced.as_bytes());
    assert_eq!(sent.path, "/backend-api/conversation");
}

#[tokio::test]
async fn errors_come_as_the_service_gave_them_but_no_challenge_page() {
    let setup = setup("").await;
    for name in Reply::refusals() {
        if name == "ok_but_json" {
            continue;
        }
        let fresh = super::setup("").await;
        for _ in 0..4 {
            fresh.web.reply(Reply::refusal(name));
        }
        let response = fresh.post(CONVERSATION, &raw("x", true)).await;
        let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
        if ["challenge_page", "unusual_activity"].contains(&name) {
            assert_eq!(status, 502, "{name}");
            assert!(
                text.contains("upstream_challenge_required") && !text.contains("<html"),
                "{name}"
            );
        } else {
            let body: Value = serde_json::from_str(&text).unwrap_or_default();
            let is_ours = body["error"]["code"]
                .as_str()
                .is_some_and(|code| code.starts_with("upstream_"));
            assert!(status >= 400 && !is_ours, "{name}: {status} {text}");
        }
    }
    let odd = r#"{"detail": {"message": "odd",  "code": "odd_code", "x": [1, null]}}"#;
    setup.web.reply(Reply::status(418, "application/json", odd));
    let response = setup.post(CONVERSATION, &raw("x", true)).await;
    assert_eq!(response.status(), 418);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.text().await.unwrap(), odd, "to the byte");
    let invalid = json!({"action": "next"});
    let response = setup.post(CONVERSATION, &invalid).await;
    assert_eq!(response.status(), 422, "the service's own validation");
    assert!(response.text().await.unwrap().contains("detail"));
}

#[tokio::test]
async fn a_second_turn_goes_to_the_account_that_has_the_conversation() {
    let setup = two().await;
    let first = setup
        .post(CONVERSATION, &raw("one", false))
        .await
        .text()
        .await
        .unwrap();
    let id = conversation(&first);
    let owner = setup.web.turns().pop().unwrap().account;
    for number in 0..5 {
        let mut next = raw("more", false);
        next["conversation_id"] = id.as_str().into();
        next["messages"][0]["id"] = uuid(10 + number).into();
        next["parent_message_id"] = setup.web.conversation(&id)["current_node"].clone();
        let response = setup.post(CONVERSATION, &next).await;
        let status = response.status();
        let text = response.text().await.unwrap();
        assert_eq!(status, 200, "{text}");
        assert_eq!(setup.web.turns().pop().unwrap().account, owner);
    }
}

#[tokio::test]
async fn a_request_that_belongs_to_one_account_is_tried_with_no_other() {
    let setup = two().await;
    let first = setup
        .post(CONVERSATION, &raw("one", false))
        .await
        .text()
        .await
        .unwrap();
    let before = setup.web.turns().len();
    for _ in 0..3 {
        setup.web.reply(Reply::refusal("too_many"));
    }
    let mut next = raw("more", false);
    let id = conversation(&first);
    next["parent_message_id"] = setup.web.conversation(&id)["current_node"].clone();
    next["conversation_id"] = id.into();
    next["messages"][0]["id"] = uuid(2).into();

    assert_eq!(setup.post(CONVERSATION, &next).await.status(), 429);

    assert_eq!(setup.web.turns().len(), before + 1);
}

#[tokio::test]
async fn a_file_leads_to_its_account_also_after_a_restart() {
    let web = FakeChatGpt::start().await;
    let lines = format!("{}\n{}\n", web.account("alice"), web.account("bob"));
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let data = format!(
            "[server]\ndata_dir = {:?}\n{}",
            folder.path(),
            config(&web, "")
        );
        aurora(&data).file("access_tokens.txt", &lines).start()
    };
    let mut first = Setup {
        aurora: start().await,
        web: web.clone(),
    };
    let upload = form(
        ("name=\"file\"; filename=\"a.txt\"", "text/plain", b"words"),
        &[],
    );
    let file = json_of(first.send_form("/v1/files", upload).await).await;
    let id = file["id"].as_str().unwrap().to_owned();
    let owner = web.calls("POST /files").pop().unwrap().account;
    let ask = json!({"messages": [{"role": "user", "content": [{"type": "input_file", "file_id": id}, {"type": "text", "text": "?"}]}]});
    // The state file is one process's at a time.
    first.aurora.signal("TERM").await;
    first.aurora.wait_for_exit().await;

    let second = Setup {
        aurora: start().await,
        web: web.clone(),
    };
    for _ in 0..4 {
        assert_eq!(second.chat(ask.clone()).await.status, 200);
        assert_eq!(web.turns().pop().unwrap().account, owner);
    }

    // The account's line is gone: nobody else can read the file.
    let kept: String = lines
        .lines()
        .filter(|line| {
            !web.turns()
                .pop()
                .unwrap()
                .header("authorization")
                .unwrap()
                .contains(line)
        })
        .collect();
    second.aurora.write("access_tokens.txt", kept);
    aurora_testkit::eventually("the line is gone", async || {
        let told = second.chat(ask.clone()).await;
        told.status == 404 && told.error.as_deref() == Some("account_gone")
    })
    .await;
    assert_eq!(second.chat(asking("hi", false)).await.status, 200);
}

#[tokio::test]
async fn refresh_tokens_are_exchanged_for_clients() {
    let setup = setup("").await;
    setup.web.rotate_refresh(true);
    let token = setup.web.refresh_token("carol");
    let ask = |token: &str| json!({"refresh_token": token});

    let answer = json_of(setup.post("/auth/refresh", &ask(&token)).await).await;

    assert!(answer["access_token"].as_str().unwrap().starts_with("eyJ"));
    let next = answer["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(next, token);
    let used = refusal(setup.post("/auth/refresh", &ask(&token)).await).await;
    assert_eq!((used.status, used.code.as_str()), (400, "invalid_grant"));
    assert_eq!(setup.post("/auth/refresh", &ask(&next)).await.status(), 200);
    for body in [json!({}), json!({"refresh_token": " "})] {
        let refused = refusal(setup.post("/auth/refresh", &body).await).await;
        assert_eq!(
            (refused.status, refused.param.as_deref()),
            (400, Some("refresh_token"))
        );
    }
}

#[tokio::test]
async fn session_tokens_are_exchanged_for_clients() {
    let setup = setup("").await;
    setup.web.long_session_cookies(true);
    let token = setup.web.session_token("carol");
    let ask = |token: &str| json!({"session_token": token});

    let answer = json_of(setup.post("/auth/session", &ask(&token)).await).await;

    assert_eq!(answer["access_token"], answer["accessToken"]);
    let next = answer["session_token"].as_str().unwrap().to_owned();
    assert_ne!(next, token);
    let dead = refusal(setup.post("/auth/session", &ask(&token)).await).await;
    assert_eq!((dead.status, dead.code.as_str()), (400, "invalid_grant"));
    assert_eq!(setup.post("/auth/session", &ask(&next)).await.status(), 200);
    let refused = refusal(setup.post("/auth/session", &json!({})).await).await;
    assert_eq!(
        (refused.status, refused.param.as_deref()),
        (400, Some("session_token"))
    );
}

#[tokio::test]
async fn exchanges_need_a_key_unless_the_route_is_public() {
    let web = FakeChatGpt::start().await;
    let token = web.refresh_token("carol");
    let closed = format!("[auth]\nkeys = [\"sk-1\"]\n{}", config(&web, ""));
    let public = closed.replace(
        "path = \"/auth/refresh\"\n",
        "path = \"/auth/refresh\"\noptions = { public = true }\n",
    );
    let body = json!({"refresh_token": token});

    let aurora_closed = aurora(&closed).start().await;
    let refused = refusal(
        aurora_closed
            .post("/auth/refresh", &body)
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(
        (refused.status, refused.code.as_str()),
        (401, "invalid_api_key")
    );
    let with_key = aurora_closed
        .post("/auth/refresh", &body)
        .bearer_auth("sk-1");
    assert_eq!(with_key.send().await.unwrap().status(), 200);

    let aurora_public = aurora(&public).start().await;
    assert_eq!(
        aurora_public
            .post("/auth/refresh", &body)
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    for path in ["/auth/session", "/v1/chat/completions"] {
        let refused = refusal(aurora_public.post(path, &body).send().await.unwrap()).await;
        assert_eq!(refused.status, 401, "{path}");
    }
}

#[tokio::test]
async fn exchanges_that_fail_for_now_say_so() {
    let setup = setup("").await;
    let body = json!({"refresh_token": setup.web.refresh_token("carol")});
    let limited = json!({"error": "too_many_requests", "error_description": "Too many requests"});
    setup
        .web
        .fault("POST /oauth/token", Fault::status(429, &limited));

    let refused = refusal(setup.post("/auth/refresh", &body).await).await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (502, "upstream_unavailable")
    );
    assert!(refused.retry_after.is_some());
}

#[tokio::test]
async fn a_conversation_of_one_client_does_not_exist_for_another() {
    let web = FakeChatGpt::start().await;
    let keys = format!("[auth]\nkeys = [\"sk-1\", \"sk-2\"]\n{}", config(&web, ""));
    let builder = aurora(&keys).file("access_tokens.txt", web.account("alice"));
    let aurora = builder.start().await;
    let post =
        |key: &'static str, body: &Value| aurora.post(CONVERSATION, body).bearer_auth(key).send();
    let first = post("sk-1", &raw("one", false))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let id = conversation(&first);
    let mut next = raw("more", false);
    next["messages"][0]["id"] = uuid(2).into();
    next["parent_message_id"] = web.conversation(&id)["current_node"].clone();
    next["conversation_id"] = id.as_str().into();

    let refused = refusal(post("sk-2", &next).await.unwrap()).await;
    assert_eq!(
        (refused.status, refused.code.as_str()),
        (404, "conversation_not_found")
    );
    let look = |key: &'static str| {
        aurora
            .get(&format!("/backend-api/conversation/{id}"))
            .bearer_auth(key)
            .send()
    };
    assert_eq!(look("sk-2").await.unwrap().status(), 404);
    assert_eq!(look("sk-1").await.unwrap().status(), 200);

    assert_eq!(post("sk-1", &next).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_models_cap_rests_that_model_alone() {
    let setup = setup("").await;
    setup.web.reply(Reply::refusal("model_cap"));
    let ask = |model: &str| {
        let mut body = raw("x", true);
        body["model"] = model.into();
        body
    };

    assert_eq!(setup.post(CONVERSATION, &ask("gpt-5")).await.status(), 429);
    let other = setup.post(CONVERSATION, &ask("gpt-4o")).await;

    assert_eq!(other.status(), 200);
}

#[tokio::test]
async fn a_body_that_is_no_json_is_held_up_to_a_bound() {
    let setup = setup("").await;
    let large = vec![b'x'; (32 << 20) + 1];
    let request = setup.aurora.post(CONVERSATION, &json!({})).body(large);

    let refused = refusal(
        request
            .header("content-type", "text/plain")
            .send()
            .await
            .unwrap(),
    )
    .await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (413, "request_too_large")
    );
    assert!(setup.web.turns().is_empty());
}
