//! Answers whose rest is had elsewhere.

use aurora_chatgpt::stream::{Event, Handoff};
use aurora_testkit::chatgpt::Reply;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, Reading, ask, ask_delta};

/// A client of the websocket.
pub(crate) struct Socket {
    stream: WebSocketStream<TcpStream>,
    seen: Vec<Value>,
}

impl Socket {
    pub(crate) async fn open(client: &Client) -> Self {
        let (status, answer) = client.get("/celsius/ws/user").await;
        assert_eq!(status, 200);
        let url = answer["websocket_url"].as_str().unwrap();
        let address = url.trim_start_matches("ws://").split('/').next().unwrap();
        let tcp = TcpStream::connect(address).await.unwrap();
        let (stream, _) = tokio_tungstenite::client_async(url, tcp).await.unwrap();
        Self {
            stream,
            seen: Vec::new(),
        }
    }

    async fn send(&mut self, commands: &Value) {
        let text = commands.to_string();
        self.stream.send(Message::Text(text.into())).await.unwrap();
    }

    pub(crate) async fn subscribe(&mut self, id: u64, topic: &str, offset: Option<&str>) {
        let command = json!({"type": "subscribe", "topic_id": topic, "offset": offset});
        self.send(&json!([{"id": id, "command": command}])).await;
        self.wait(|frame| frame["id"] == id).await;
    }

    /// The next frame object; `None` where the connection has ended.
    async fn next(&mut self) -> Option<Value> {
        while self.seen.is_empty() {
            let message = self.stream.next().await?.ok()?;
            if let Message::Text(text) = message {
                match serde_json::from_str(text.as_str()).unwrap() {
                    Value::Array(frames) => self.seen.extend(frames),
                    frame => self.seen.push(frame),
                }
            }
        }
        Some(self.seen.remove(0))
    }

    /// The first frame that is meant.
    pub(crate) async fn wait(&mut self, is_meant: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self.next().await.unwrap();
            if is_meant(&frame) {
                return frame;
            }
        }
    }
}

/// What a topic tells, up to the end.
#[derive(Default)]
struct Gathered {
    body: String,
    known: Vec<String>,
    foreign: usize,
    repeated: usize,
}

impl Gathered {
    async fn read(socket: &mut Socket, catchups: Vec<Value>, topic: &str) -> Self {
        let mut gathered = Self::default();
        for item in &catchups {
            gathered.add(item, topic);
        }
        while !gathered.body.contains("data: [DONE]") {
            let item = socket.next().await.unwrap();
            gathered.add(&item, topic);
        }
        gathered
    }

    fn add(&mut self, item: &Value, topic: &str) {
        let payload = &item["payload"]["payload"];
        let id = payload["stream_item_id"].as_str().unwrap().to_owned();
        if item["topic_id"] != topic {
            self.foreign += 1;
        } else if self.known.contains(&id) {
            self.repeated += 1;
        } else {
            self.known.push(id);
            self.body
                .push_str(payload["encoded_item"].as_str().unwrap());
        }
    }
}

fn handoff(reading: &Reading) -> Handoff {
    let Event::Handoff(handoff) = reading.last() else {
        unreachable!("no handoff but {:?}", reading.last())
    };
    handoff.clone()
}

async fn resume(client: &Client, handoff: &Handoff, token: &str, offset: u64) -> (u16, Vec<u8>) {
    let body = json!({"conversation_id": handoff.conversation_id, "offset": offset});
    let request = client.call("POST", "/f/conversation/resume");
    let request = request
        .header("x-conduit-token", token)
        .body(body.to_string());
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn the_rest_is_had_by_resume() {
    let client = Client::start().await;
    for (reply, body, text) in [
        (
            Reply::handoff("After thought: 42."),
            ask("why?"),
            "After thought: 42.",
        ),
        (
            Reply::handoff("After thought: 42.").partial("After"),
            ask_delta("why?"),
            "After thought: 42.",
        ),
        (Reply::transcript("18"), ask("why?"), "After thought: 42."),
    ] {
        client.web.reply(reply);
        let head = client.stream(&body).await;
        let found = handoff(&Reading::of(&[&head]));
        let token = found.resume_token.clone().unwrap();
        assert_eq!(resume(&client, &found, "wrong", 0).await.0, 403);
        assert_eq!(resume(&client, &found, &token, 99).await.0, 404);

        let (status, rest) = resume(&client, &found, &token, 0).await;

        assert_eq!(status, 200);
        let whole = Reading::of(&[head, rest.clone()]);
        assert_eq!(whole.text(), text);
        let (_, later) = resume(&client, &found, &token, 1).await;
        assert!(rest.ends_with(&later) && later.len() < rest.len());
    }
}

#[tokio::test]
async fn resume_can_end_too_early() {
    let client = Client::start().await;
    client
        .web
        .reply(Reply::handoff("After thought: 42.").resume_cut_after(900));
    let head = client.stream(&ask_delta("why?")).await;
    let found = handoff(&Reading::of(&[&head]));
    let token = found.resume_token.clone().unwrap();

    let (status, rest) = resume(&client, &found, &token, 0).await;

    assert_eq!((status, rest.len()), (200, 900));
    let path = format!("/conversation/{}/stream_status", found.conversation_id);
    assert_eq!(client.get(&path).await.1["status"], "IS_STREAMING");
}

#[tokio::test]
async fn the_rest_is_had_over_the_websocket_with_all_its_manners() {
    let client = Client::start().await;
    client
        .web
        .reply(Reply::handoff("one two three four five").resume_status(404));
    let mut socket = Socket::open(&client).await;
    let hello = json!([{"id": 1, "command": {"type": "connect", "presence": {"type": "presence", "state": "background"}}}]);
    socket.send(&hello).await;
    assert_eq!(
        socket.wait(|frame| frame["id"] == 1).await["reply"]["type"],
        "connect"
    );
    let head = client.stream(&ask_delta("why?")).await;
    let found = handoff(&Reading::of(&[&head]));
    let token = found.resume_token.clone().unwrap();
    assert_eq!(resume(&client, &found, &token, 0).await.0, 404);
    let topic = found.topic_id.unwrap();

    let command = json!({"type": "subscribe", "topic_id": topic, "offset": "0"});
    socket.send(&json!({"id": 2, "command": command})).await;
    let reply = socket.wait(|frame| frame["id"] == 2).await;
    let catchups = reply["reply"]["catchups"].as_array().unwrap().clone();
    assert!(catchups.len() > 2);

    let gathered = Gathered::read(&mut socket, catchups, &topic).await;

    assert_eq!((gathered.foreign, gathered.repeated), (1, 1));
    assert_eq!(
        Reading::of(&[head, gathered.body.into_bytes()]).text(),
        "one two three four five"
    );
    assert_eq!(client.web.websocket_commands().len(), 2);
}

#[tokio::test]
async fn a_subscription_may_come_before_the_handoff() {
    let client = Client::start().await;
    client.web.reply(Reply::transcript("18").verbatim());
    let mut socket = Socket::open(&client).await;
    let topic = "conversation-turn-0f4c1d52-77aa-4b55-9b0e-1d3e5a7c9b11";
    socket.subscribe(1, topic, Some("0")).await;
    client.stream(&ask("why?")).await;

    let last = socket.wait(|frame| {
        let item = frame["payload"]["payload"]["encoded_item"].as_str();
        item.is_some_and(|item| item.contains("[DONE]"))
    });

    assert_eq!(last.await["topic_id"], topic);
}

#[tokio::test]
async fn the_rest_is_had_by_looking_at_the_conversation() {
    let client = Client::start().await;
    client
        .web
        .reply(Reply::handoff("42.").resume_status(410).no_topic().polls(2));
    let found = handoff(&Reading::of(&[client.stream(&ask("why?")).await]));
    let token = found.resume_token.clone().unwrap();
    assert_eq!(resume(&client, &found, &token, 0).await.0, 410);
    let path = format!("/conversation/{}", found.conversation_id);
    assert_eq!(
        client.get(&format!("{path}/stream_status")).await.1["status"],
        "IS_STREAMING"
    );

    let mut seen = Vec::new();
    for _ in 0..3 {
        let (_, conversation) = client.get(&path).await;
        let node = conversation["current_node"].as_str().unwrap();
        let message = &conversation["mapping"][node]["message"];
        let text = message["content"]["parts"][0].as_str().unwrap().to_owned();
        seen.push((message["status"].as_str().unwrap().to_owned(), text));
    }

    let open = || ("in_progress".to_owned(), String::new());
    let done = ("finished_successfully".to_owned(), "42.".to_owned());
    assert_eq!(seen, [open(), open(), done]);
    assert_eq!(
        client.get(&format!("{path}/stream_status")).await.1["status"],
        "COMPLETE"
    );
}

#[tokio::test]
async fn websockets_need_their_signed_address_and_may_close() {
    let client = Client::start().await;
    let base = client.web.base_url().replace("/backend-api", "");
    let plain = client.http.get(format!("{base}/p7/ws/user/fake?verify=x"));
    assert_eq!(plain.send().await.unwrap().status().as_u16(), 426);
    let address = base.trim_start_matches("http://").to_owned();
    let tcp = TcpStream::connect(&address).await.unwrap();
    let forged = format!("ws://{address}/p7/ws/user/fake?verify=x");
    assert!(tokio_tungstenite::client_async(forged, tcp).await.is_err());

    client.web.websocket_closes_after(1);
    let mut socket = Socket::open(&client).await;
    socket.subscribe(1, "conversations", None).await;
    assert_eq!(socket.next().await, None);
    client.web.websockets(false);
    assert_eq!(client.get("/celsius/ws/user").await.0, 503);
}
