//! Errors: in the words of this API, before the head and after it.

use std::time::Duration;

use aurora_sdk::{ErrorKind, Level, Origin};

use super::*;

fn error(kind: ErrorKind) -> Error {
    Error::new(kind, Origin::Upstream, "some_code", "what happened")
}

#[test]
fn the_field_at_fault_is_named() {
    let user = |content: Value| json!({ "messages": [{ "role": "user", "content": content }] });
    let assistant =
        |block: Value| json!({ "messages": [{ "role": "assistant", "content": [block] }] });
    let tool = |tool: Value| json!({ "tools": [tool] });
    let table = [
        (json!({ "model": null }), "model: this field is needed"),
        (json!({ "model": 5 }), "model: must be a string"),
        (json!({ "model": "" }), "model: must not be empty"),
        (
            json!({ "max_tokens": null }),
            "max_tokens: this field is needed",
        ),
        (
            json!({ "max_tokens": 0 }),
            "max_tokens: must be a whole number",
        ),
        (
            json!({ "max_tokens": 1.5 }),
            "max_tokens: must be a whole number",
        ),
        (
            json!({ "messages": null }),
            "messages: this field is needed",
        ),
        (json!({ "messages": {} }), "messages: must be a list"),
        (json!({ "messages": [] }), "messages: must have a message"),
        (
            json!({ "messages": ["hi"] }),
            "messages.0: must be an object",
        ),
        (
            json!({ "messages": [{ "content": "x" }] }),
            "messages.0.role: this field is needed",
        ),
        (
            json!({ "messages": [{ "role": "tool", "content": "x" }] }),
            "messages.0.role: must be",
        ),
        (user(json!(5)), "messages.0.content: must be a list"),
        (
            user(json!([{ "type": "text" }])),
            "messages.0.content.0.text: this field is needed",
        ),
        (
            user(json!([{ "type": "video" }])),
            "messages.0.content.0.type: blocks of type `video`",
        ),
        (
            user(json!([{ "type": "tool_use", "id": "a", "name": "b", "input": {} }])),
            "messages.0.content: a message of this role has no calls of tools",
        ),
        (
            user(json!([{ "type": "tool_result" }])),
            "messages.0.content.0.tool_use_id: this field",
        ),
        (
            user(json!([{ "type": "image", "source": { "type": "file", "file_id": "f" } }])),
            "messages.0.content.0.source.type: must be `base64` or `url`",
        ),
        (
            assistant(json!({ "type": "tool_use", "id": "a", "name": "b", "input": "x" })),
            "messages.0.content.0.input: must be an object",
        ),
        (json!({ "system": 1 }), "system: must be a list"),
        (
            json!({ "temperature": "hot" }),
            "temperature: must be a number",
        ),
        (json!({ "stream": "yes" }), "stream: must be true or false"),
        (
            json!({ "stop_sequences": "x" }),
            "stop_sequences: must be a list",
        ),
        (
            json!({ "stop_sequences": [1] }),
            "stop_sequences.0: must be a string",
        ),
        (
            json!({ "metadata": { "user_id": 1 } }),
            "metadata.user_id: must be a string",
        ),
        (
            tool(json!({ "input_schema": {} })),
            "tools.0.name: this field is needed",
        ),
        (
            tool(json!({ "name": "t" })),
            "tools.0.input_schema: this field is needed",
        ),
        (
            tool(json!({ "type": "bash_20250124", "name": "bash" })),
            "tools.0.type: tools that the",
        ),
        (
            json!({ "tools": [{ "name": "t", "input_schema": {} }], "tool_choice": { "type": "x" } }),
            "tool_choice.type: must be",
        ),
    ];
    for (more, expected) in table {
        let answer = send(&FakeHost::new(), &body(&more));
        let error = &answer.json()["error"];
        assert_eq!(answer.status, 400, "{more}");
        assert_eq!(error["type"], "invalid_request_error", "{more}");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with(expected), "{more}: {message}");
    }
}

#[test]
fn what_is_no_json_is_refused() {
    for text in ["{", "[1]", ""] {
        let request = testing::request("POST", "/v1/messages").body(text.to_owned());
        let answer = testing::call(&Messages, json!({}), request).unwrap();
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["type"]),
            (400, &json!("error"))
        );
    }
}

#[test]
fn a_refusal_of_the_upstream_keeps_status_words_and_time() {
    let table = [
        (ErrorKind::InvalidRequest, 400, "invalid_request_error"),
        (ErrorKind::Unauthenticated, 401, "authentication_error"),
        (ErrorKind::Forbidden, 403, "permission_error"),
        (ErrorKind::NotFound, 404, "not_found_error"),
        (ErrorKind::TooLarge, 413, "request_too_large"),
        (ErrorKind::RateLimited, 429, "rate_limit_error"),
        (ErrorKind::Internal, 500, "api_error"),
        (ErrorKind::BadGateway, 502, "api_error"),
        (ErrorKind::Unavailable, 503, "overloaded_error"),
        (ErrorKind::GatewayTimeout, 504, "api_error"),
    ];
    for (kind, status, name) in table {
        let wait = Duration::from_millis(6500);
        let host = FakeHost::new().refuses_chat(error(kind).with_retry_after(wait));

        let answer = send(&host, &body(&json!({ "stream": true })));

        assert_eq!(answer.status, status);
        assert_eq!(answer.header("retry-after"), Some("7"));
        assert_eq!(
            answer.json(),
            json!({
                "type": "error",
                "error": {
                    "type": name,
                    "message": "what happened",
                    "details": { "error_code": "some_code" },
                },
                "request_id": "req-1",
            })
        );
        let warnings = host.logged().into_iter();
        let warnings = warnings.filter(|(level, _)| *level == Level::Warn);
        assert_eq!(warnings.count(), usize::from(status >= 500));
    }
}

#[test]
fn an_answer_that_breaks_off_says_so_as_an_event_and_is_never_a_finished_one() {
    let said = json!([{ "choices": [{ "index": 0, "delta": { "content": "half" } }] }]);
    let end = Some(error(ErrorKind::RateLimited));

    let (answer, _) = answer(&json!({ "stream": true }), &said, end);

    let events = events(&answer);
    let kinds: Vec<&str> = events.iter().filter_map(|e| e["type"].as_str()).collect();
    assert_eq!(
        kinds,
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "error"
        ]
    );
    assert_eq!(events[3]["error"]["type"], "rate_limit_error");
    assert_eq!(events[3]["error"]["message"], "what happened");
    assert!(answer.broken.unwrap().is_told());
}

#[test]
fn a_whole_answer_that_breaks_off_is_an_error() {
    let said = json!([{ "choices": [{ "index": 0, "delta": { "content": "half" } }] }]);

    let (answer, _) = answer(&json!({}), &said, Some(error(ErrorKind::BadGateway)));

    assert_eq!(answer.status, 502);
    assert_eq!(answer.json()["error"]["type"], "api_error");
}

#[test]
fn tokens_are_not_counted_and_clients_need_not_try_again() {
    let request = testing::request("POST", "/v1/messages/count_tokens").json(&body(&json!({})));

    let answer = testing::call(&Messages, json!({}), request).unwrap();

    assert_eq!(answer.status, 501);
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    assert_eq!(answer.header("x-should-retry"), Some("false"));
}

#[test]
fn another_path_is_not_found() {
    let request = testing::request("POST", "/v1/messages/batches").json(&json!({}));

    let answer = testing::call(&Messages, json!({}), request).unwrap();

    assert_eq!(answer.status, 404);
    assert_eq!(answer.json()["error"]["type"], "not_found_error");
}

#[test]
fn options_are_refused() {
    let error = FakeHost::new()
        .call(&Messages, json!({ "x": 1 }), post(&body(&json!({}))))
        .unwrap_err();

    assert_eq!(error.code(), "build_failed");
}
