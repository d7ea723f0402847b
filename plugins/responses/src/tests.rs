mod host;

use std::collections::BTreeSet;

use aurora_openai::responses::{Answer, CreateResponse, Ids};
use aurora_sdk::Error;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::shelf::Shelf;
use aurora_sdk::testing::wait;
use host::{Caller, Script, asked, breaks_off, calls, host, json_of, says, warnings};

fn names(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

#[test]
fn an_answer_is_one_object() {
    let host = host(vec![says("Hello")]);
    let caller = Caller::new(&host, "ann");

    let response = caller.create(&json!({"model": "m", "input": "hi", "instructions": "be kind"}));

    assert_eq!(response["status"], "completed");
    assert_eq!(response["output"][0]["content"][0]["text"], "Hello");
    assert_eq!(response["output_text"], "Hello");
    assert_eq!(response["usage"]["total_tokens"], 5);
    assert_eq!(
        asked(&host)["messages"][0],
        json!({"role": "system", "content": "be kind"})
    );
}

#[test]
fn a_streamed_answer_ends_with_the_object_that_is_kept() {
    let host = host(vec![says("Hello")]);
    let caller = Caller::new(&host, "ann");

    let (events, broken) = caller.stream(&json!({"model": "m", "input": "hi", "stream": true}));

    assert!(broken.is_none());
    assert_eq!(
        names(&events),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let last = &events.last().unwrap()["response"];
    let id = last["id"].as_str().unwrap();
    assert_eq!(id, events[0]["response"]["id"]);
    assert_eq!(&caller.get(&format!("/v1/responses/{id}")).unwrap(), last);
}

#[test]
fn a_gateway_that_does_not_stream_answers_with_json() {
    let host = host(vec![says("Hello")]);
    let caller = Caller::new(&host.stream(false), "ann");

    let response = caller.create(&json!({"model": "m", "input": "hi", "stream": true}));

    assert_eq!(response["object"], "response");
}

#[test]
fn a_conversation_goes_on_by_the_id_of_its_last_response() {
    let host = host(vec![
        calls("call_a", "weather", "{}"),
        says("Rain."),
        says("Bye."),
    ]);
    let caller = Caller::new(&host, "ann");
    let tools = json!([{"type": "function", "name": "weather", "parameters": {"type": "object"}}]);

    let first = caller.create(
        &json!({"model": "m", "input": "weather?", "instructions": "once", "tools": tools}),
    );
    let second = caller.create(
        &json!({"model": "m", "previous_response_id": first["id"], "tools": tools,
        "input": [{"type": "function_call_output", "call_id": "call_a", "output": "rain"}]}),
    );
    caller.create(&json!({"model": "m", "previous_response_id": second["id"], "input": "thanks"}));

    assert_eq!(first["output"][0]["name"], "weather");
    assert_eq!(second["previous_response_id"], first["id"]);
    assert_eq!(
        asked(&host)["messages"],
        json!([
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]},
            {"role": "tool", "content": "rain", "tool_call_id": "call_a"},
            {"role": "assistant", "content": "Rain."},
            {"role": "user", "content": "thanks"},
        ])
    );
}

#[test]
fn a_custom_tool_is_called_as_itself() {
    let host = host(vec![calls(
        "call_a",
        "apply_patch",
        "{\"input\":\"*** Begin\"}",
    )]);
    let caller = Caller::new(&host, "ann");

    let response = caller.create(&json!({"model": "m", "input": "fix it", "store": false,
        "tools": [{"type": "custom", "name": "apply_patch"}, {"type": "web_search"}]}));

    let call = &response["output"][0];
    assert_eq!(
        (&call["type"], &call["input"]),
        (&json!("custom_tool_call"), &json!("*** Begin"))
    );
    assert_eq!(asked(&host)["tools"][0]["function"]["name"], "apply_patch");
    assert!(warnings(&host)[0].contains("web_search"));
}

#[test]
fn a_reference_stands_for_the_item() {
    let host = host(vec![says("Hello"), says("Again")]);
    let caller = Caller::new(&host, "ann");
    let first = caller.create(&json!({"model": "m", "input": "hi"}));

    caller.create(&json!({"model": "m", "input": [
        {"type": "item_reference", "id": first["output"][0]["id"]}, {"role": "user", "content": "more"}]}));

    assert_eq!(
        asked(&host)["messages"][0],
        json!({"role": "assistant", "content": "Hello"})
    );
    let stranger = Caller::new(&host, "bob");
    let refused =
        stranger.refused(&json!({"model": "m", "input": [{"id": first["output"][0]["id"]}]}));
    assert_eq!(refused.code(), "item_not_found");
}

#[test]
fn clients_never_see_each_others_responses() {
    let host = host(vec![says("secret")]);
    let (ann, bob) = (Caller::new(&host, "ann"), Caller::new(&host, "bob"));
    let id = ann.create(&json!({"model": "m", "input": "hi"}))["id"].clone();
    let path = format!("/v1/responses/{}", id.as_str().unwrap());

    let calls = [
        bob.call(Method::GET, &path, None),
        bob.call(Method::DELETE, &path, None),
        bob.call(Method::GET, &format!("{path}/input_items"), None),
        bob.call(Method::POST, &format!("{path}/cancel"), None),
        bob.call(Method::GET, "/v1/responses/resp_x%2F..", None),
    ];

    for call in calls {
        let error = call.unwrap_err();
        assert_eq!(
            (error.status(), error.code()),
            (StatusCode::NOT_FOUND, "response_not_found")
        );
    }
    let refused = bob.refused(&json!({"model": "m", "input": "hi", "previous_response_id": id}));
    assert_eq!(refused.code(), "previous_response_not_found");
    assert_eq!(refused.param(), Some("previous_response_id"));
    assert!(ann.get(&path).is_ok());
}

#[test]
fn a_response_is_listed_and_forgotten() {
    let host = host(vec![says("Hello")]);
    let caller = Caller::new(&host, "ann");
    let response = caller.create(&json!({"model": "m", "input": [
        {"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}));
    let path = format!("/v1/responses/{}", response["id"].as_str().unwrap());

    let items = caller
        .get(&format!("{path}/input_items?order=asc&limit=1"))
        .unwrap();
    let cancelled = caller
        .call(Method::POST, &format!("{path}/cancel"), None)
        .unwrap_err();
    let deleted = json_of(caller.call(Method::DELETE, &path, None).unwrap());

    assert_eq!(
        items["data"][0]["content"],
        json!([{"type": "input_text", "text": "a"}])
    );
    assert_eq!(items["has_more"], true);
    assert_eq!(cancelled.status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        deleted,
        json!({"id": response["id"], "object": "response", "deleted": true})
    );
    assert_eq!(
        caller.get(&path).unwrap_err().status(),
        StatusCode::NOT_FOUND
    );
}

#[test]
fn nothing_is_kept_that_should_not_be() {
    let host = host(vec![says("a"), says("b"), breaks_off("Hel")]);
    let caller = Caller::new(&host, "ann");

    caller.create(&json!({"model": "m", "input": "hi", "store": false}));
    let left = caller.call(
        Method::POST,
        "/v1/responses",
        Some(&json!({"model": "m", "input": "hi", "stream": true})),
    );
    let mut left = left.unwrap().body;
    let begun = wait(left.chunk());
    drop(left);
    caller.stream(&json!({"model": "m", "input": "hi", "stream": true}));

    assert!(begun.is_some());
    assert!(host.keys().is_empty());
}

#[test]
fn a_huge_response_is_not_kept() {
    let host = host(Vec::new());
    let caller = Caller::new(&host, "ann");
    let answer = Answer::new(&CreateResponse::default(), BTreeSet::new(), Ids::new(1), 0);
    let input = [Value::from("x".repeat(17 << 20))];

    wait(Shelf::new(&caller.cx).put(answer.response(), &input));

    assert!(host.keys().is_empty());
    assert!(warnings(&host)[0].contains("too large"));
}

#[test]
fn an_error_before_the_answer_is_an_error_answer() {
    let refusal = || {
        Script::Refuses(Error::invalid(
            "context_length_exceeded",
            "messages",
            "too long",
        ))
    };
    let host = host(vec![refusal(), refusal(), breaks_off("Hel")]);
    let caller = Caller::new(&host, "ann");

    let whole = caller.refused(&json!({"model": "m", "input": "hi"}));
    let streamed = caller.refused(&json!({"model": "m", "input": "hi", "stream": true}));
    let midway = caller.refused(&json!({"model": "m", "input": "hi"}));

    assert_eq!(whole.code(), "context_length_exceeded");
    assert_eq!(streamed.code(), "context_length_exceeded");
    assert_eq!(midway.status(), StatusCode::BAD_GATEWAY);
}

#[test]
fn a_stream_that_breaks_off_says_so_and_breaks_off() {
    let host = host(vec![breaks_off("Hel")]);
    let caller = Caller::new(&host, "ann");

    let (events, broken) = caller.stream(&json!({"model": "m", "input": "hi", "stream": true}));

    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.failed");
    assert_eq!(
        last["response"]["error"],
        json!({"code": "stream_truncated", "message": "cut"})
    );
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "Hel");
    assert!(!names(&events).contains(&"response.completed"));
    assert_eq!(broken.unwrap().code(), "stream_truncated");
}

#[test]
fn wrong_calls_are_refused() {
    let host = host(Vec::new());
    let caller = Caller::new(&host, "ann");
    let cases = [
        (json!({"model": "m"}), "missing_required_parameter", "input"),
        (
            json!({"model": "m", "input": "x", "background": true}),
            "unsupported_parameter",
            "background",
        ),
        (
            json!({"model": "m", "input": "x", "tool_choice": {"type": "web_search"}}),
            "unsupported_tool",
            "tool_choice",
        ),
        (
            json!({"model": "m", "input": "x", "previous_response_id": "no"}),
            "previous_response_not_found",
            "previous_response_id",
        ),
    ];

    for (body, code, param) in cases {
        let error = caller.refused(&body);
        assert_eq!((error.code(), error.param()), (code, Some(param)));
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
    }
    let wrong_method = caller
        .call(Method::DELETE, "/v1/responses", None)
        .unwrap_err();
    assert_eq!(wrong_method.status(), StatusCode::METHOD_NOT_ALLOWED);
    let unknown = caller
        .call(Method::GET, "/v1/responses/resp_1/other", None)
        .unwrap_err();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
}

#[test]
fn an_upstream_that_speaks_the_api_gets_the_request_itself() {
    let host = host(Vec::new()).native(true);
    let caller = Caller::new(&host, "ann");

    caller.create(&json!({"model": "fast", "input": "hi"}));
    caller.get("/v1/responses/resp_1?include=x").unwrap();

    let sent = host.sent();
    assert_eq!(
        (sent[0].path.as_str(), sent[0].model.as_deref()),
        ("responses", Some("fast"))
    );
    assert_eq!(sent[1].path, "responses/resp_1?include=x");
}
