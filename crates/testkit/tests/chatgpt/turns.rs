//! The conversation call: what it takes, what it says, what is kept.

use aurora_chatgpt::stream::{Event, FinishReason};
use aurora_testkit::chatgpt::{Fault, Reply};
use aurora_testkit::eventually;
use serde_json::{Value, json};

use crate::client::{Client, Reading, ask, ask_delta, message, said, with};

#[tokio::test]
async fn without_a_script_it_names_what_was_asked() {
    let client = Client::start().await;
    let mut body = ask("which day is it?");
    body["thinking_effort"] = "extended".into();
    body["messages"]
        .as_array_mut()
        .unwrap()
        .insert(0, message("system", "Be brief."));
    for body in [
        body.clone(),
        with(body, "supported_encodings", json!(["v1"])),
    ] {
        let reading = Reading::of(&[client.stream(&body).await]);

        let text = reading.text();
        for part in ["which day is it?", "auto", "extended", "2 messages"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(reading.last(), &Event::Finish(FinishReason::Stop));
    }
}

#[tokio::test]
async fn the_form_is_the_one_asked_for_unless_told_otherwise() {
    let client = Client::start().await;
    let is_delta = async |body: &Value| {
        let text = String::from_utf8(client.stream(body).await).unwrap();
        text.starts_with("event: delta_encoding\ndata: \"v1\"\n\n")
    };

    assert!(!is_delta(&ask("a")).await);
    assert!(is_delta(&ask_delta("a")).await);
    client
        .web
        .reply(Reply::text("x").delta())
        .reply(Reply::text("x").snapshot());
    assert!(is_delta(&ask("a")).await);
    assert!(!is_delta(&ask_delta("a")).await);
}

#[tokio::test]
async fn built_answers_read_the_same_in_both_forms_and_any_number_of_pieces() {
    let client = Client::start().await;
    let text = "Zwölf Boxkämpfer 🙂 jagen\n\nEva.";
    for pieces in [1, 2, 7, 100] {
        for body in [ask("a"), ask_delta("a")] {
            client.web.reply(
                Reply::text(text)
                    .pieces(pieces)
                    .reasoning("I think.\nHard."),
            );
            let reading = Reading::of(&[client.stream(&body).await]);
            assert_eq!(reading.text(), text, "{pieces}");
            assert_eq!(reading.turn.answer(), text);
            assert!(
                reading.reasoning().contains("I think.\nHard."),
                "{}",
                reading.reasoning()
            );
        }
    }
}

#[tokio::test]
async fn messages_come_back_with_their_ids_and_are_kept() {
    let client = Client::start().await;
    let body = ask("remember me");
    let sent = body["messages"][0]["id"].as_str().unwrap();

    let bytes = client.stream(&body).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let reading = Reading::of(&[bytes]);

    assert!(text.contains(sent));
    let id = reading.conversation();
    let (status, stored) = client.get(&format!("/conversation/{id}")).await;
    assert_eq!(status, 200);
    assert_eq!(
        stored["mapping"][sent]["message"]["content"]["parts"][0],
        "remember me"
    );
    assert_eq!(stored["mapping"][sent]["parent"], "client-created-root");
    let answer = reading.answer_id();
    assert_eq!(stored["current_node"], answer.as_str());
    assert_eq!(
        stored["mapping"][&answer]["message"]["content"]["parts"][0],
        reading.text()
    );
    assert_eq!(stored, client.web.conversation(&id));
}

#[tokio::test]
async fn a_conversation_goes_on_for_its_owner_only() {
    let client = Client::start().await;
    let first = client.say("one").await;
    let mut body = ask("two");
    body["conversation_id"] = first.conversation().into();
    body["parent_message_id"] = first.answer_id().into();

    let second = Reading::of(&[client.stream(&body).await]);
    assert_eq!(second.conversation(), first.conversation());

    body["messages"] = json!([message("user", "three")]);
    let lost = with(
        body.clone(),
        "parent_message_id",
        json!(uuid::Uuid::new_v4().to_string()),
    );
    assert_eq!(client.turn(&lost).await.status().as_u16(), 404);
    let gone = with(
        body.clone(),
        "conversation_id",
        json!(uuid::Uuid::new_v4().to_string()),
    );
    let (status, answer) = said(client.turn(&gone).await).await;
    assert_eq!(
        (status, &answer["detail"]["code"]),
        (404, &"conversation_not_found".into())
    );
    let bob = client.with_token(client.web.account("bob"));
    assert_eq!(bob.turn(&body).await.status().as_u16(), 404);
    assert_eq!(
        bob.get(&format!("/conversation/{}", first.conversation()))
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn temporary_and_hidden_conversations_are_not_shown() {
    let client = Client::start().await;
    let body = with(ask("secret"), "history_and_training_disabled", json!(true));
    let temporary = Reading::of(&[client.stream(&body).await]).conversation();
    assert_eq!(
        client.get(&format!("/conversation/{temporary}")).await.0,
        404
    );
    assert!(client.web.temporary(&temporary));

    let saved = client.say("plain").await.conversation();
    let path = format!("/conversation/{saved}");
    assert_eq!(client.get("/conversations?limit=5").await.1["total"], 1);
    let request = client
        .call("PATCH", &path)
        .body(json!({"is_visible": false}).to_string());
    assert_eq!(
        said(request.send().await.unwrap()).await,
        (200, json!({"success": true}))
    );
    assert!(client.web.hidden(&saved));
    assert_eq!(client.get(&path).await.0, 404);
    assert_eq!(client.get("/conversations").await.1["total"], 0);
}

#[tokio::test]
async fn a_cut_answer_is_continued() {
    let client = Client::start().await;
    client
        .web
        .reply(Reply::text("one two").finish("max_tokens"))
        .reply(Reply::text(" three"));
    let first = client.say("count").await;
    assert_eq!(first.last(), &Event::Finish(FinishReason::Length));
    let body = json!({
        "action": "continue", "model": "auto", "conversation_id": first.conversation(),
        "parent_message_id": first.answer_id(), "messages": null,
    });

    let rest = client.stream(&body).await;

    let text = String::from_utf8_lossy(&rest).into_owned();
    assert!(text.contains("\"message_type\":\"continue\""), "{text}");
    assert!(!text.contains("\"role\":\"user\""), "{text}");
    assert_eq!(Reading::of(&[rest]).text(), " three");
}

#[tokio::test]
async fn a_marker_comes_before_the_queue_and_stays() {
    let client = Client::start().await;
    client
        .web
        .reply(Reply::text("queued"))
        .reply_when("blue", Reply::text("marked"));

    assert_eq!(client.say("is it blue?").await.text(), "marked");
    assert_eq!(client.say("blue again").await.text(), "marked");
    assert_eq!(client.say("red").await.text(), "queued");
    assert!(client.say("red").await.text().contains("You said"));
}

#[tokio::test]
async fn a_second_turn_of_an_account_is_refused_while_one_runs() {
    let client = Client::start().await;
    let hold = std::sync::Arc::new(tokio::sync::Notify::new());
    client.web.reply(Reply::text("slow").hold_after(1, &hold));
    let running = client.turn(&ask("one")).await;
    assert_eq!(client.web.running("alice"), 1);

    let (status, answer) = said(client.turn(&ask("two")).await).await;
    assert_eq!(status, 429);
    assert!(
        answer["detail"]
            .as_str()
            .unwrap()
            .starts_with("Only one message at a time")
    );
    let bob = client.with_token(client.web.account("bob"));
    assert_eq!(bob.turn(&ask("hi")).await.status().as_u16(), 200);

    client.web.one_at_a_time(false);
    client.say("three").await;
    assert_eq!(client.web.most_running("alice"), 2);
    hold.notify_one();
    assert_eq!(
        Reading::of(&[running.bytes().await.unwrap()]).text(),
        "slow"
    );
    assert_eq!(
        (client.web.running("alice"), client.web.abandoned()),
        (0, 0)
    );
}

#[tokio::test]
async fn a_dropped_stream_is_counted_and_frees_the_account() {
    let client = Client::start().await;
    client
        .web
        .reply(Reply::text("never complete").hang_after(100));
    let mut response = client.turn(&ask("one")).await;
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);

    client.say("two").await;

    eventually("the drop is noticed", async || client.web.abandoned() == 1).await;
    assert_eq!(client.web.most_running("alice"), 1);
}

#[tokio::test]
async fn leaving_a_complete_stream_is_no_drop() {
    let client = Client::start().await;
    client.web.reply(Reply::text("all of it").hang());
    let mut response = client.turn(&ask("one")).await;
    let mut read = Vec::new();
    while !read.ends_with(b"data: [DONE]\n\n") {
        read.extend_from_slice(&response.chunk().await.unwrap().unwrap());
    }
    drop(response);

    client.say("two").await;

    assert_eq!(client.web.abandoned(), 0);
}

#[tokio::test]
async fn a_declared_function_is_called_for_the_weather_once() {
    let client = Client::start().await;
    let system = "Functions:\n- get_weather: Weather of a city\n    city (string, required): Its name\n    unit (string, required) One of: \"c\", \"f\".\n    days (integer, optional)\n- other\n\n<tool_call>{}</tool_call>";
    let mut body =
        ask("What is the weather?\n\n(Functions are called with <tool_call>{..}</tool_call>)");
    body["messages"]
        .as_array_mut()
        .unwrap()
        .insert(0, message("system", system));

    let call = Reading::of(&[client.stream(&body).await]).text();

    let (_, call) = call.split_once("<tool_call>").unwrap();
    let call: Value = serde_json::from_str(call.trim_end_matches("</tool_call>")).unwrap();
    assert_eq!(
        call,
        json!({"name": "get_weather", "arguments": {"city": "Paris", "unit": "c"}})
    );
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(message("assistant", "<tool_call>{}</tool_call>"));
    messages.push(message("user", "get_weather says: weather is fine"));
    for message in messages {
        message["id"] = uuid::Uuid::new_v4().to_string().into();
    }
    let answer = Reading::of(&[client.stream(&body).await]).text();
    assert!(
        !answer.contains("<tool_call>") && answer.contains("weather is fine"),
        "{answer}"
    );
}

#[tokio::test]
async fn known_refusals_and_long_messages() {
    let client = Client::start().await;
    for name in Reply::refusals() {
        client.web.reply(Reply::refusal(name));
        let response = client.turn(&ask("hi")).await;
        assert_ne!(
            response.headers()["content-type"],
            "text/event-stream; charset=utf-8",
            "{name}"
        );
    }
    client.web.max_message_chars(Some(10));
    let (status, answer) = said(client.turn(&ask("eleven chars")).await).await;
    assert_eq!(
        (status, &answer["detail"]["code"]),
        (413, &"message_length_exceeds_limit".into())
    );
    assert_eq!(client.turn(&ask("ten chars!")).await.status().as_u16(), 200);
}

#[tokio::test]
async fn faults_stand_in_for_answers_as_often_as_told() {
    let client = Client::start().await;
    let web = &client.web;
    web.fault(
        "GET /me",
        Fault::status(503, &json!({"detail": "later"}))
            .header("retry-after", "3")
            .times(2)
            .skip(1),
    );

    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(client.get("/me").await.0);
    }
    assert_eq!(statuses, [200, 503, 503, 200]);

    web.fault("* /conversation/*", Fault::status(500, &json!({})).always());
    assert_eq!(client.get("/conversation/x").await.0, 500);
    assert_eq!(client.get("/conversation/x/stream_status").await.0, 404);
    web.fault("POST /oauth/token", Fault::body(502, "text/html", "<html>"));
    let response = client.http.post(web.oauth_url()).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/html");

    web.clear_faults();
    web.fault("GET /me", Fault::reset())
        .fault("GET /me", Fault::close());
    for _ in 0..2 {
        assert!(client.call("GET", "/me").send().await.is_err());
    }
    web.fault("GET /me", Fault::silence());
    let silent = client.call("GET", "/me").send();
    let waited = tokio::time::timeout(std::time::Duration::from_millis(50), silent).await;
    assert!(waited.is_err());
    web.fault(
        "GET /me",
        Fault::delay(std::time::Duration::from_millis(20)),
    );
    let asked = std::time::Instant::now();
    assert_eq!(client.get("/me").await.0, 200);
    assert!(asked.elapsed() >= std::time::Duration::from_millis(20));
}
