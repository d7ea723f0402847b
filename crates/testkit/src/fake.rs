//! A fake upstream over real sockets: records what it is sent, answers as it is told, byte by byte if need be.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

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

/// One step of an answer.
#[derive(Debug, Clone)]
pub enum Step {
    /// Writes bytes.
    Send(Bytes),
    /// Waits.
    Wait(Duration),
    /// Waits until the test says so.
    Until(Arc<Notify>),
    /// Says nothing more and keeps the connection open until the peer closes it.
    Hang,
    /// Closes the connection with a reset.
    Reset,
    /// Closes the connection.
    Close,
}

/// What to answer.
#[derive(Debug, Clone)]
pub struct Reply {
    steps: Vec<Step>,
    reuse: bool,
}

impl Reply {
    /// Raw steps, and then the connection closes.
    pub fn raw(steps: Vec<Step>) -> Self {
        Self {
            steps,
            reuse: false,
        }
    }

    /// A whole answer with a known length.
    pub fn new(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut head = format!(
            "HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head = head
                + name
                + ": "
                + value
                + "
";
        }
        head.push_str("\r\n");
        let steps = vec![Step::Send([head.as_bytes(), body].concat().into())];
        Self { steps, reuse: true }
    }

    /// A whole JSON answer.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(
            status,
            &[("content-type", "application/json")],
            body.to_string(),
        )
    }

    /// An event stream, one step a piece, ended as HTTP wants it.
    pub fn events<P: AsRef<[u8]>>(pieces: &[P]) -> Self {
        let mut reply = Self::open_events(pieces);
        reply
            .steps
            .push(Step::Send(Bytes::from_static(b"0\r\n\r\n")));
        reply.reuse = true;
        reply
    }

    /// An event stream whose HTTP message is not ended; further steps can follow.
    pub fn open_events<P: AsRef<[u8]>>(pieces: &[P]) -> Self {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut steps = vec![Step::Send(Bytes::from_static(head.as_bytes()))];
        steps.extend(pieces.iter().map(|piece| Self::chunk(piece.as_ref())));
        Self {
            steps,
            reuse: false,
        }
    }

    /// One chunk of the chunked coding.
    pub fn chunk(bytes: &[u8]) -> Step {
        let framed = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        Step::Send(framed.into())
    }

    /// Adds a step.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Puts a step before the whole answer.
    #[must_use]
    pub fn after(mut self, step: Step) -> Self {
        self.steps.insert(0, step);
        self
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
    while let Some(request) = read_request(&mut socket, &mut buffer, connection, state).await? {
        let queued = {
            state.requests.lock().unwrap().push(request.clone());
            state.queue.lock().unwrap().pop_front()
        };
        let reply = queued.unwrap_or_else(|| answer(&request));
        if !play(&mut socket, reply).await? {
            break;
        }
    }
    Ok(())
}

/// Plays the steps; whether the connection can be used again.
async fn play(socket: &mut TcpStream, reply: Reply) -> std::io::Result<bool> {
    let mut void = [0; 1024];
    for step in reply.steps {
        match step {
            Step::Send(bytes) => {
                socket.write_all(&bytes).await?;
                socket.flush().await?;
            }
            Step::Wait(time) => {
                // A peer that goes away while nothing is said is noticed at once.
                tokio::select! {
                    () = tokio::time::sleep(time) => {}
                    read = socket.read(&mut void) => if read? == 0 { return Ok(false) },
                }
            }
            Step::Until(notify) => {
                tokio::select! {
                    () = notify.notified() => {}
                    read = socket.read(&mut void) => if read? == 0 { return Ok(false) },
                }
            }
            Step::Hang => while socket.read(&mut void).await? > 0 {},
            Step::Reset => {
                socket.set_zero_linger()?;
                return Ok(false);
            }
            Step::Close => return Ok(false),
        }
    }
    Ok(reply.reuse)
}

async fn read_request(
    socket: &mut TcpStream,
    buffer: &mut BytesMut,
    connection: usize,
    state: &State,
) -> std::io::Result<Option<Recorded>> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = buffer.split_to(end);
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut request = Recorded {
        method: first.next().unwrap_or_default().to_owned(),
        target: first.next().unwrap_or_default().to_owned(),
        headers,
        body: Bytes::new(),
        body_length: 0,
        connection,
    };
    let keep = !*state.drop_bodies.lock().unwrap();
    read_body(socket, buffer, &mut request, keep).await?;
    Ok(Some(request))
}

async fn read_body(
    socket: &mut TcpStream,
    buffer: &mut BytesMut,
    request: &mut Recorded,
    keep: bool,
) -> std::io::Result<()> {
    let mut kept = BytesMut::new();
    if request
        .header("transfer-encoding")
        .is_some_and(|coding| coding.contains("chunked"))
    {
        loop {
            let line = read_line(socket, buffer).await?;
            let size = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
            take(socket, buffer, size, keep.then_some(&mut kept)).await?;
            request.body_length += size;
            read_line(socket, buffer).await?;
            if size == 0 {
                break;
            }
        }
    } else {
        let length = request
            .header("content-length")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        take(socket, buffer, length, keep.then_some(&mut kept)).await?;
        request.body_length = length;
    }
    request.body = kept.freeze();
    Ok(())
}

async fn read_line(socket: &mut TcpStream, buffer: &mut BytesMut) -> std::io::Result<String> {
    loop {
        if let Some(at) = buffer.windows(2).position(|window| window == b"\r\n") {
            let line = buffer.split_to(at + 2);
            return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
        }
        if socket.read_buf(buffer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn take(
    socket: &mut TcpStream,
    buffer: &mut BytesMut,
    mut length: usize,
    mut kept: Option<&mut BytesMut>,
) -> std::io::Result<()> {
    while length > 0 {
        if buffer.is_empty() && socket.read_buf(buffer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let piece = buffer.split_to(length.min(buffer.len()));
        length -= piece.len();
        if let Some(kept) = &mut kept {
            kept.extend_from_slice(&piece);
        }
    }
    Ok(())
}
