//! A host whose upstream says what a test tells it to.

use std::time::Duration;

use aurora_sdk::testing::{self, FakeHost, wait};
use aurora_sdk::{Body, Context, Error, ErrorKind, Origin, Plugin, Request, Response};
use http::{HeaderMap, Method};
use serde_json::{Map, Value, json};

use crate::Responses;

/// What the upstream says to one chat request.
pub(super) enum Script {
    Refuses(Error),
    Says(Vec<Result<Value, Error>>),
}

/// A host that answers with `scripts`, one by one.
pub(super) fn host(scripts: Vec<Script>) -> FakeHost {
    let host =
        FakeHost::new().answers_by(|_| Box::pin(std::future::ready(Response::json(&json!({})))));
    scripts.into_iter().fold(host, |host, script| match script {
        Script::Refuses(error) => host.refuses_chat(error),
        Script::Says(chunks) => {
            let chunks = chunks.into_iter().map(|chunk| {
                let mut read = testing::chunks(&json!([chunk?]));
                read.remove(0)
            });
            host.chats(chunks.collect())
        }
    })
}

/// The last chat request, as JSON.
pub(super) fn asked(host: &FakeHost) -> Value {
    serde_json::to_value(host.asked().last().unwrap()).unwrap()
}

/// What was written to the log.
pub(super) fn warnings(host: &FakeHost) -> Vec<String> {
    host.logged().into_iter().map(|(_, text)| text).collect()
}

/// How long what is kept is kept.
const MONTH: Duration = Duration::from_hours(30 * 24);

/// One client of the plugin.
pub(super) struct Caller {
    host: FakeHost,
    pub(super) cx: Context,
}

impl Caller {
    pub(super) fn new(host: &FakeHost, owner: &str) -> Self {
        let host = host.clone().client(owner);
        Self {
            cx: host.context(),
            host,
        }
    }

    pub(super) fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response, Error> {
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (path, None),
        };
        let request = Request {
            method,
            path: path.to_owned(),
            query,
            headers: HeaderMap::new().into(),
            body: body.map_or_else(Body::empty, |body| body.to_string().into()),
            max_body: 1 << 20,
        };
        let handler = Responses.build(&self.host.plugin_host(), &Map::new());
        let answered = wait(handler.unwrap().handle(&self.cx, request));
        for key in self.host.keys() {
            assert_eq!(self.host.kept_for(&key), Some(MONTH));
        }
        answered
    }

    /// Creates a response; its object.
    pub(super) fn create(&self, body: &Value) -> Value {
        json_of(
            self.call(Method::POST, "/v1/responses", Some(body))
                .unwrap(),
        )
    }

    /// Why a response is not created.
    pub(super) fn refused(&self, body: &Value) -> Error {
        self.call(Method::POST, "/v1/responses", Some(body))
            .unwrap_err()
    }

    /// Creates a response; its events and what broke the stream off.
    pub(super) fn stream(&self, body: &Value) -> (Vec<Value>, Option<Error>) {
        let response = self
            .call(Method::POST, "/v1/responses", Some(body))
            .unwrap();
        assert_eq!(response.content_type(), "text/event-stream");
        assert_eq!(response.headers["x-accel-buffering"], "no");
        let mut body = response.body;
        let mut text = String::new();
        let mut broken = None;
        while let Some(chunk) = wait(body.chunk()) {
            match chunk {
                Ok(bytes) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
                Err(error) => broken = Some(error),
            }
        }
        let events = text.split_terminator("\n\n").map(event).collect();
        (events, broken)
    }

    pub(super) fn get(&self, path: &str) -> Result<Value, Error> {
        self.call(Method::GET, path, None).map(json_of)
    }
}

fn event(text: &str) -> Value {
    let (name, data) = text.split_once('\n').unwrap();
    let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(data["type"], name.strip_prefix("event: ").unwrap());
    data
}

pub(super) fn json_of(response: Response) -> Value {
    let bytes = wait(response.body.read_all(1 << 20)).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// A chat answer of text.
pub(super) fn says(text: &str) -> Script {
    Script::Says(vec![
        Ok(json!({"choices": [{"delta": {"role": "assistant", "content": text}}]})),
        Ok(json!({"choices": [{"delta": {}, "finish_reason": "stop"}]})),
        Ok(
            json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}),
        ),
    ])
}

/// A chat answer that breaks off.
pub(super) fn breaks_off(text: &str) -> Script {
    Script::Says(vec![
        Ok(json!({"choices": [{"delta": {"content": text}}]})),
        Err(Error::new(
            ErrorKind::BadGateway,
            Origin::Upstream,
            "stream_truncated",
            "cut",
        )),
    ])
}

/// A chat answer that calls a function.
pub(super) fn calls(id: &str, name: &str, arguments: &str) -> Script {
    let call = json!({"index": 0, "id": id, "function": {"name": name, "arguments": arguments}});
    Script::Says(vec![
        Ok(json!({"choices": [{"delta": {"tool_calls": [call]}}]})),
        Ok(json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})),
    ])
}
