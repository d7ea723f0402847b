use aurora_sdk::testing::{Answer, FakeHost, request};

use super::*;

/// A host that answers with a token.
fn native() -> FakeHost {
    let token = Response::json(&json!({ "access_token": "eyJ" })).unwrap();
    FakeHost::new().speaks(Operation::Auth).answers(token)
}

fn call(host: &FakeHost, path: &str, body: &str) -> Result<Answer, Error> {
    host.call(
        &Auth,
        json!({}),
        request("POST", path).body(body.to_owned()),
    )
}

#[test]
fn tokens_are_exchanged_by_the_end_of_the_path() {
    let table = [
        ("/auth/refresh", "refresh_token", "auth/refresh"),
        ("/auth/session", "session_token", "auth/session"),
        ("/x/auth/session/", "session_token", "auth/session"),
    ];
    for (path, field, upstream) in table {
        let host = native();
        let body = json!({ field: " tok ", "other": 1 }).to_string();

        let answer = call(&host, path, &body).unwrap();

        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.text(), r#"{"access_token":"eyJ"}"#);
        let sent = host.sent().pop().unwrap();
        assert_eq!(
            (sent.operation, &sent.method),
            (Operation::Auth, &Method::POST)
        );
        assert_eq!(
            (sent.path.as_str(), sent.model.as_deref()),
            (upstream, None)
        );
        assert_eq!(sent.headers["content-type"], "application/json");
        assert_eq!(sent.json(), json!({ field: "tok" }));
    }
}

#[test]
fn a_body_without_the_token_is_refused_and_sends_nothing() {
    let long = format!(r#"{{"refresh_token":"{}"}}"#, "x".repeat(64 * 1024));
    let missing = "missing_required_parameter";
    let table = [
        ("/auth/refresh", "{}", missing, Some("refresh_token")),
        (
            "/auth/refresh",
            r#"{"session_token":"a"}"#,
            missing,
            Some("refresh_token"),
        ),
        (
            "/auth/session",
            r#"{"session_token":" "}"#,
            missing,
            Some("session_token"),
        ),
        (
            "/auth/session",
            r#"{"session_token":null}"#,
            missing,
            Some("session_token"),
        ),
        (
            "/auth/session",
            r#"{"session_token":1}"#,
            "invalid_type",
            Some("session_token"),
        ),
        ("/auth/session", "[]", "invalid_json", None),
        ("/auth/session", "", "invalid_json", None),
        ("/auth/refresh", &long, "request_too_large", None),
        ("/auth/other", "{}", "not_found", None),
    ];
    for (path, body, code, param) in table {
        let host = native();

        let error = call(&host, path, body).unwrap_err();

        assert_eq!(
            (error.code(), error.param()),
            (code, param),
            "{path} {code}"
        );
        assert!(host.sent().is_empty());
    }
}

#[test]
fn an_upstream_that_exchanges_nothing_says_which_ones_do() {
    let host = FakeHost::new();

    let error = call(&host, "/auth/refresh", r#"{"refresh_token":"a"}"#).unwrap_err();

    assert_eq!(error.code(), "unsupported_operation");
    assert_eq!(error.status().as_u16(), 501);
    assert!(error.message().contains("chatgpt-web"));
    assert!(host.sent().is_empty());
}

#[test]
fn it_is_behind_the_key_unless_the_operator_opens_it() {
    let ground = FakeHost::new().plugin_host();
    let build = |options: Value| Auth.build(&ground, options.as_object().unwrap());

    assert!(!build(json!({})).unwrap().is_public());
    assert!(!build(json!({ "public": false })).unwrap().is_public());
    assert!(build(json!({ "public": true })).unwrap().is_public());
    for wrong in [json!({ "public": "yes" }), json!({ "open": true })] {
        assert!(build(wrong).is_err());
    }
}
