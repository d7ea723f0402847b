//! A client without a network, and a state in memory.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

use aurora_mock::{Answer, Exchange, answer};
use aurora_sdk::{BoxFuture, Error, State};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

pub(crate) const NOW: u64 = 1_760_000_000;

/// No body, of no type.
pub(crate) const NOTHING: (&str, Bytes) = ("", Bytes::new());

/// Sends requests to the mock.
#[derive(Default)]
pub(crate) struct Client {
    values: Memory,
}

#[derive(Default)]
struct Memory(Mutex<HashMap<String, Bytes>>);

impl State for Memory {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, Error>> {
        let value = self.0.lock().unwrap().get(key).cloned();
        Box::pin(async { Ok(value) })
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        value: Bytes,
        _keep: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.0.lock().unwrap().insert(key.to_owned(), value);
        Box::pin(async { Ok(()) })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<bool, Error>> {
        let was_there = self.0.lock().unwrap().remove(key).is_some();
        Box::pin(async move { Ok(was_there) })
    }

    fn swap<'a>(
        &'a self,
        _: &'a str,
        _: Option<Bytes>,
        _: Bytes,
        _: Duration,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        unreachable!("the mock compares nothing")
    }
}

impl Client {
    /// Sends a request with a body of a type as `owner`.
    pub(crate) fn send_as(
        &self,
        owner: &str,
        method: &Method,
        path: &str,
        (content_type, body): (&str, impl Into<Bytes>),
    ) -> Answer {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(content_type) {
            headers.insert(CONTENT_TYPE, value);
        }
        let exchange = Exchange {
            method,
            path,
            headers: &headers,
            body: body.into(),
            owner,
            state: &self.values,
            now: UNIX_EPOCH + Duration::from_secs(NOW),
        };
        let answer = answer(exchange).now_or_never().unwrap().unwrap();
        assert_eq!(answer.headers["x-aurora-upstream"], "mock");
        answer
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send_as("ann", &Method::GET, path, NOTHING)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send_as(
            "ann",
            &Method::POST,
            path,
            ("application/json", body.to_string()),
        )
    }

    /// Sends a form of (name, file name, content).
    pub(crate) fn form(&self, path: &str, parts: &[(&str, Option<&str>, &[u8])]) -> Answer {
        self.send_as("ann", &Method::POST, path, form(parts))
    }
}

/// A form as content type and body.
pub(crate) fn form(parts: &[(&str, Option<&str>, &[u8])]) -> (&'static str, Vec<u8>) {
    let mut body = Vec::new();
    for (name, file, content) in parts {
        let file = file.map_or_else(String::new, |file| format!("; filename=\"{file}\""));
        body.extend_from_slice(
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n")
                .as_bytes(),
        );
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b--\r\n");
    ("multipart/form-data; boundary=b", body)
}

/// The body of a plain answer.
pub(crate) fn body(answer: &Answer) -> &Bytes {
    assert_eq!(answer.pieces.len(), 1);
    assert!(!answer.streamed);
    &answer.pieces[0]
}

/// The body of a plain answer with 200 as JSON.
pub(crate) fn json(answer: &Answer) -> Value {
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.pieces);
    assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
    serde_json::from_slice(body(answer)).unwrap()
}

/// The events of a stream as JSON, one for each piece; `[DONE]` as a string.
pub(crate) fn events(answer: &Answer) -> Vec<Value> {
    assert!(answer.streamed, "{:?}", answer.pieces);
    assert_eq!(
        answer.headers[CONTENT_TYPE],
        "text/event-stream; charset=utf-8"
    );
    let event = |piece: &Bytes| {
        let text = std::str::from_utf8(piece)
            .unwrap()
            .strip_suffix("\n\n")
            .unwrap();
        let (name, data) = match text.split_once('\n') {
            Some((name, data)) => (name.strip_prefix("event: "), data),
            None => (None, text),
        };
        let data = data.strip_prefix("data: ").unwrap();
        if data == "[DONE]" {
            return Value::from(data);
        }
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(name, data.get("type").and_then(Value::as_str));
        data
    };
    answer.pieces.iter().map(event).collect()
}

/// Status, code and param of an error answer.
pub(crate) fn error(answer: &Answer) -> (u16, String, Option<String>) {
    let envelope: Value = serde_json::from_slice(body(answer)).unwrap();
    let error = &envelope["error"];
    assert!(!error["message"].as_str().unwrap().is_empty());
    assert_eq!(error["type"], "invalid_request_error");
    (
        answer.status.as_u16(),
        error["code"].as_str().unwrap().to_owned(),
        error["param"].as_str().map(str::to_owned),
    )
}

/// Hosts run the mock on any thread.
#[test]
fn an_answer_may_move_between_threads() {
    fn moves<T: Send>(value: T) -> T {
        value
    }
    let (headers, client) = (HeaderMap::new(), Client::default());
    let exchange = Exchange {
        method: &Method::GET,
        path: "/models",
        headers: &headers,
        body: Bytes::new(),
        owner: "",
        state: &client.values,
        now: UNIX_EPOCH,
    };

    let answer = moves(answer(exchange)).now_or_never().unwrap().unwrap();

    assert_eq!(answer.status, StatusCode::OK);
}
