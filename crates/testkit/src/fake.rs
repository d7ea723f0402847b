//! A fake upstream over real sockets: records what it is sent, answers as it is told, byte by byte if need be.

mod reply;
pub(crate) mod wire;

pub use reply::{Reply, Step};

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// `GET`, `POST`, ...
    pub method: String,
    /// Path and query.
    pub target: String,
    /// In the order sent, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body without its transfer coding; empty where `keep_bodies(false)`.
    pub body: Bytes,
    /// How many bytes the body had.
    pub body_length: usize,
    /// Which connection, counted from 0.
    pub connection: usize,
}

impl Recorded {
    /// The first header called `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the upstream was sent JSON")
    }
}

type Answer = dyn Fn(&Recorded) -> Reply + Send + Sync;

#[derive(Default)]
struct State {
    requests: Mutex<Vec<Recorded>>,
    queue: Mutex<VecDeque<Reply>>,
    closed: Mutex<Vec<Instant>>,
    connections: Mutex<usize>,
    drop_bodies: Mutex<bool>,
}

/// See the module. Stops with the test's runtime.
#[derive(Clone)]
pub struct FakeUpstream {
    address: SocketAddr,
    state: Arc<State>,
}

impl std::fmt::Debug for FakeUpstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeUpstream")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl FakeUpstream {
    /// Answers every chat request with "pong", streamed where that is asked for, and any other with what it received.
    pub async fn start() -> Self {
        Self::with(default_answer).await
    }

    /// Answers with what `answer` says, unless something is queued by [`Self::next`].
    pub async fn with(answer: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let (shared, answer): (_, Arc<Answer>) = (Arc::clone(&state), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                socket.set_nodelay(true).unwrap();
                let number = {
                    let mut connections = shared.connections.lock().unwrap();
                    *connections += 1;
                    *connections - 1
                };
                let (state, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                tokio::spawn(async move {
                    // A peer that breaks off is what many tests are about.
                    let _ended = serve(socket, number, &state, answer.as_ref()).await;
                    state.closed.lock().unwrap().push(Instant::now());
                });
            }
        });
        Self { address, state }
    }

    /// The API root, for `base_url`.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The socket's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Queues the answer to the next request that has none yet.
    pub fn next(&self, reply: Reply) -> &Self {
        self.state.queue.lock().unwrap().push_back(reply);
        self
    }

    /// Whether request bodies are kept; for large ones their length is enough.
    pub fn keep_bodies(&self, keep: bool) {
        *self.state.drop_bodies.lock().unwrap() = !keep;
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.state.requests.lock().unwrap().clone()
    }

    /// Forgets all requests so far; for tests that go on for long.
    pub fn forget(&self) {
        self.state.requests.lock().unwrap().clear();
        self.state.closed.lock().unwrap().clear();
    }

    /// The last request.
    pub fn last(&self) -> Recorded {
        self.requests().pop().expect("the upstream was asked")
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        *self.state.connections.lock().unwrap()
    }

    /// When connections were closed, by either side.
    pub fn closed(&self) -> Vec<Instant> {
        self.state.closed.lock().unwrap().clone()
    }
}

fn default_answer(request: &Recorded) -> Reply {
    if !request.target.ends_with("/chat/completions") {
        let seen = serde_json::json!({
            "method": request.method, "target": request.target, "length": request.body_length,
        });
        return Reply::json(200, &seen);
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let model = body["model"].as_str().unwrap_or("none");
    if body["stream"] == true {
        return Reply::events(&chat_events(model, &["po", "ng"]));
    }
    Reply::json(
        200,
        &serde_json::json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "pong"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }),
    )
}

/// The events of a chat stream that says `words`.
pub(crate) fn chat_events(model: &str, words: &[&str]) -> Vec<String> {
    let event = |choices: Value, usage: Value| {
        let chunk = serde_json::json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model,
            "choices": choices, "usage": usage,
        });
        format!("data: {chunk}\n\n")
    };
    let delta = |delta: Value, finish: Value| serde_json::json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
    let mut events = vec![event(
        delta(
            serde_json::json!({"role": "assistant", "content": ""}),
            Value::Null,
        ),
        Value::Null,
    )];
    for word in words {
        events.push(event(
            delta(serde_json::json!({ "content": word }), Value::Null),
            Value::Null,
        ));
    }
    events.push(event(
        delta(serde_json::json!({}), "stop".into()),
        Value::Null,
    ));
    let usage = serde_json::json!({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3});
    events.push(event(serde_json::json!([]), usage));
    events.push("data: [DONE]\n\n".to_owned());
    events
}

impl FakeUpstream {
    /// The events of a chat stream that says `words`, `[DONE]` included.
    pub fn chat_events(model: &str, words: &[&str]) -> Vec<String> {
        chat_events(model, words)
    }
}

async fn serve(
    mut socket: TcpStream,
    connection: usize,
    state: &State,
    answer: &Answer,
) -> std::io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        let keep = !*state.drop_bodies.lock().unwrap();
        let Some(request) = wire::read_request(&mut socket, &mut buffer, connection, keep).await?
        else {
            return Ok(());
        };
        let queued = {
            state.requests.lock().unwrap().push(request.clone());
            state.queue.lock().unwrap().pop_front()
        };
        let reply = queued.unwrap_or_else(|| answer(&request));
        if !wire::play(&mut socket, reply).await? {
            return Ok(());
        }
    }
}
