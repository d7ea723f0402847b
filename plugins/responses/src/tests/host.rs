//! A host whose upstream says what a test tells it to.

use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use aurora_openai::chat::{ChatChunk, ChatRequest};
use aurora_openai::models::Model;
use aurora_sdk::{
    Body, BoxFuture, ChatStream, Client, Context, Error, ErrorKind, Host, Level, Operation, Origin,
    Params, Plugin, Request, Response, State, UpstreamRequest,
};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method};
use serde_json::{Map, Value, json};

use crate::Responses;

/// What the upstream says to one chat request.
pub(super) enum Script {
    Refuses(Error),
    Says(Vec<Result<Value, Error>>),
}

#[derive(Default)]
pub(super) struct FakeHost {
    pub(super) native: bool,
    pub(super) scripts: Mutex<Vec<Script>>,
    pub(super) asked: Mutex<Vec<ChatRequest>>,
    pub(super) sent: Mutex<Vec<UpstreamRequest>>,
    pub(super) kept: Mutex<HashMap<String, Bytes>>,
    pub(super) warnings: Mutex<Vec<String>>,
}

impl FakeHost {
    /// A host that answers with `scripts`, one by one.
    pub(super) fn new(scripts: Vec<Script>) -> Arc<Self> {
        Arc::new(Self {
            scripts: Mutex::new(scripts.into_iter().rev().collect()),
            ..Self::default()
        })
    }

    /// The last chat request, as JSON.
    pub(super) fn asked(&self) -> Value {
        serde_json::to_value(self.asked.lock().unwrap().last().unwrap()).unwrap()
    }
}

impl Host for FakeHost {
    fn send(&self, request: UpstreamRequest) -> BoxFuture<'_, Result<Response, Error>> {
        self.sent.lock().unwrap().push(request);
        Box::pin(async { Response::json(&json!({})) })
    }

    fn native(&self, _: Operation) -> bool {
        self.native
    }

    fn chat(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatStream, Error>> {
        self.asked.lock().unwrap().push(request);
        let script = self.scripts.lock().unwrap().pop().unwrap();
        Box::pin(async move {
            let chunks = match script {
                Script::Refuses(error) => return Err(error),
                Script::Says(chunks) => chunks,
            };
            let chunks = chunks.into_iter().map(|chunk| {
                chunk.map(|chunk| serde_json::from_value::<ChatChunk>(chunk).unwrap())
            });
            Ok(Box::pin(stream::iter(chunks)) as ChatStream)
        })
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<Model>, Error>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn state(&self) -> &dyn State {
        self
    }

    fn log(&self, _: Level, message: &str) {
        self.warnings.lock().unwrap().push(message.to_owned());
    }
}

impl State for FakeHost {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, Error>> {
        Box::pin(async { Ok(self.kept.lock().unwrap().get(key).cloned()) })
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        value: Bytes,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        assert_eq!(keep, Duration::from_hours(30 * 24));
        Box::pin(async move {
            self.kept.lock().unwrap().insert(key.to_owned(), value);
            Ok(())
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async { Ok(self.kept.lock().unwrap().remove(key).is_some()) })
    }
}

/// One client of the plugin.
pub(super) struct Caller {
    pub(super) cx: Context,
}

impl Caller {
    pub(super) fn new(host: &Arc<FakeHost>, owner: &str) -> Self {
        let client = Client {
            name: owner.into(),
            owner: owner.into(),
        };
        let host = Arc::clone(host) as Arc<dyn Host>;
        Self {
            cx: Context::new("req-1".into(), client, Params::default(), true, host),
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
            headers: HeaderMap::new(),
            body: body.map_or_else(Body::empty, |body| body.to_string().into()),
            max_body: 1 << 20,
        };
        let handler = Responses.build(&Map::new()).unwrap();
        wait(handler.handle(&self.cx, request))
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

/// Nothing here ever waits, so that one poll after the other is all that it takes.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut cx = std::task::Context::from_waker(Waker::noop());
    for _ in 0..1000 {
        if let Poll::Ready(value) = Pin::as_mut(&mut future).poll(&mut cx) {
            return value;
        }
    }
    panic!("nothing here should ever wait");
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
