use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use aurora_openai::chat::ChatRequest;
use aurora_openai::models::Model;
use aurora_sdk::{ChatStream, Client, Host, Level, Params, State};
use bytes::Bytes;

use super::*;

/// A host that answers with a token, where it can.
#[derive(Default)]
struct FakeHost {
    native: bool,
    sent: Mutex<Vec<UpstreamRequest>>,
}

impl Host for FakeHost {
    fn send(&self, request: UpstreamRequest) -> BoxFuture<'_, Result<Response, Error>> {
        self.sent.lock().unwrap().push(request);
        Box::pin(async { Response::json(&json!({ "access_token": "eyJ" })) })
    }

    fn native(&self, operation: Operation) -> bool {
        self.native && operation == Operation::Auth
    }

    fn chat(&self, _: ChatRequest) -> BoxFuture<'_, Result<ChatStream, Error>> {
        panic!("nobody chats here")
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<Model>, Error>> {
        panic!("nobody asks for models here")
    }

    fn state(&self) -> &dyn State {
        panic!("nothing is kept here")
    }

    fn log(&self, _: Level, _: &str) {}
}

fn call(host: &Arc<FakeHost>, path: &str, body: &str) -> Result<Response, Error> {
    let client = Client {
        name: "a".into(),
        owner: "a".into(),
    };
    let host = Arc::clone(host) as Arc<dyn Host>;
    let cx = Context::new("req-1".into(), client, Params::default(), true, host);
    let request = Request {
        method: Method::POST,
        path: path.to_owned(),
        query: None,
        headers: HeaderMap::new(),
        body: body.to_owned().into(),
        max_body: 1 << 20,
    };
    let handler = Auth.build(&Map::new()).unwrap();
    wait(handler.handle(&cx, request))
}

/// Nothing here ever waits, so that one poll after the other is all that it takes.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut cx = std::task::Context::from_waker(Waker::noop());
    for _ in 0..1000 {
        if let Poll::Ready(value) = Pin::as_mut(&mut future).poll(&mut cx) {
            return value;
        }
    }
    panic!("nothing here should ever wait");
}

fn native() -> Arc<FakeHost> {
    Arc::new(FakeHost {
        native: true,
        ..FakeHost::default()
    })
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

        let response = call(&host, path, &body).unwrap();

        assert_eq!(response.headers["cache-control"], "no-store");
        let answer: Bytes = wait(response.body.read_all(1 << 10)).unwrap();
        assert_eq!(answer, r#"{"access_token":"eyJ"}"#);
        let sent = host.sent.lock().unwrap().pop().unwrap();
        assert_eq!(
            (sent.operation, sent.method),
            (Operation::Auth, Method::POST)
        );
        assert_eq!((sent.path.as_str(), sent.model), (upstream, None));
        assert_eq!(sent.headers["content-type"], "application/json");
        let body = wait(sent.body.read_all(1 << 10)).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, json!({ field: "tok" }));
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
        assert!(host.sent.lock().unwrap().is_empty());
    }
}

#[test]
fn an_upstream_that_exchanges_nothing_says_which_ones_do() {
    let host = Arc::new(FakeHost::default());

    let error = call(&host, "/auth/refresh", r#"{"refresh_token":"a"}"#).unwrap_err();

    assert_eq!(error.code(), "unsupported_operation");
    assert_eq!(error.status().as_u16(), 501);
    assert!(error.message().contains("chatgpt-web"));
    assert!(host.sent.lock().unwrap().is_empty());
}

#[test]
fn it_is_behind_the_key_unless_the_operator_opens_it() {
    let build = |options: Value| Auth.build(options.as_object().unwrap());

    assert!(!build(json!({})).unwrap().is_public());
    assert!(!build(json!({ "public": false })).unwrap().is_public());
    assert!(build(json!({ "public": true })).unwrap().is_public());
    for wrong in [json!({ "public": "yes" }), json!({ "open": true })] {
        assert!(build(wrong).is_err());
    }
}
