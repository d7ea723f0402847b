//! The plugin as its clients see it, on a host in memory.

mod answers;
mod errors;
mod requests;

use aurora_openai::chat::ChatRequest;
use aurora_sdk::testing::{self, Answer, FakeHost};
use aurora_sdk::{Error, Request};
use serde_json::{Value, json};

use super::Messages;

/// A request with what is needed and `more`.
fn body(more: &Value) -> Value {
    let mut body = json!({
        "model": "m",
        "max_tokens": 9,
        "messages": [{ "role": "user", "content": "hello" }],
    });
    let members = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(members);
    body
}

fn post(body: &Value) -> Request {
    testing::request("POST", "/v1/messages").json(body).into()
}

fn send(host: &FakeHost, body: &Value) -> Answer {
    host.call(&Messages, json!({}), post(body)).unwrap()
}

/// The chat request that `body` becomes.
fn asked(body: &Value) -> ChatRequest {
    let host = FakeHost::new().chats(testing::says("hi"));
    let answer = send(&host, body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    host.asked().remove(0)
}

/// The answer to a chat of which the upstream says `chunks`, and then perhaps breaks off.
fn answer(more: &Value, chunks: &Value, end: Option<Error>) -> (Answer, FakeHost) {
    let mut said = testing::chunks(chunks);
    said.extend(end.map(Err));
    let host = FakeHost::new().chats(said);
    (send(&host, &body(more)), host)
}

fn events(answer: &Answer) -> Vec<Value> {
    let events = answer.events().into_iter();
    events
        .map(|(name, data)| {
            let data: Value = serde_json::from_str(&data).unwrap();
            assert_eq!(data["type"], name.as_str());
            data
        })
        .collect()
}
