//! The websocket: subscriptions, catch-ups, and frames as awkward as the service's.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::BytesMut;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::record::Recorded;
use super::world::Shared;

/// A frame for the websockets of an account; it waits until one of them has subscribed to its topic.
#[derive(Debug, Clone)]
pub(super) struct Push {
    pub(super) account: String,
    pub(super) topic: String,
    /// Its place in the topic, from 1; 0 where the topic has none.
    pub(super) offset: usize,
    pub(super) payload: Value,
    pub(super) is_sent: bool,
}

impl Push {
    fn to_json(&self) -> Value {
        let mut frame = json!({"type": "message", "topic_id": self.topic, "payload": self.payload});
        if self.offset > 0 {
            frame["offset"] = self.offset.to_string().into();
        }
        frame
    }
}

/// One connection.
struct Line {
    socket: WebSocketStream<TcpStream>,
    shared: Arc<Shared>,
    account: String,
    topics: BTreeSet<String>,
    sent: usize,
}

/// Answers the handshake and talks until either side has enough.
pub(super) async fn talk(
    mut socket: TcpStream,
    buffer: BytesMut,
    shared: &Arc<Shared>,
    (request, account): (&Recorded, String),
) -> std::io::Result<()> {
    let key = request.header("sec-websocket-key").unwrap_or_default();
    let accept = derive_accept_key(key.as_bytes());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await?;
    let socket =
        WebSocketStream::from_partially_read(socket, buffer.to_vec(), Role::Server, None).await;
    let mut line = Line {
        socket,
        shared: Arc::clone(shared),
        account,
        topics: BTreeSet::new(),
        sent: 0,
    };
    // A peer that goes away is the usual end.
    let _ended = line.run().await;
    Ok(())
}

type Ended = Result<(), Error>;

impl Line {
    async fn run(&mut self) -> Ended {
        let mut changes = self.shared.changes();
        loop {
            tokio::select! {
                message = self.socket.next() => match message {
                    Some(Ok(Message::Text(text))) => self.command(text.as_str()).await?,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                    Some(Ok(_)) => {}
                },
                changed = changes.changed() => if changed.is_err() { return Ok(()) },
            }
            self.flush().await?;
        }
    }

    /// Commands come one or several a frame.
    async fn command(&mut self, text: &str) -> Ended {
        let frame: Value = serde_json::from_str(text).unwrap_or_default();
        let commands = match frame {
            Value::Array(commands) => commands,
            other => vec![other],
        };
        for command in commands {
            self.shared.world().commands.push(command.clone());
            let (id, command) = (&command["id"], &command["command"]);
            let kind = command["type"].as_str().unwrap_or_default();
            let topic = command["topic_id"].as_str().unwrap_or_default();
            match kind {
                "subscribe" => self.subscribe(id, command, topic).await?,
                "unsubscribe" => {
                    self.topics.remove(topic);
                }
                _ => {
                    let reply = json!({"id": id, "type": "reply", "reply": {"type": kind}});
                    self.send(&reply).await?;
                }
            }
        }
        Ok(())
    }

    /// Subscribes; the first half of what the topic holds comes with the reply, the rest frame by frame.
    async fn subscribe(&mut self, id: &Value, command: &Value, topic: &str) -> Ended {
        let offset = command["offset"].as_str().map(str::parse::<usize>);
        let offset = offset.and_then(Result::ok).unwrap_or_default();
        let catchups: Vec<Value> = {
            let mut world = self.shared.world();
            let mut held: Vec<&mut Push> = world
                .pushes
                .iter_mut()
                .filter(|push| {
                    push.account == self.account && push.topic == topic && push.offset > offset
                })
                .collect();
            let half = held.len().div_ceil(2);
            held.iter_mut()
                .take(half)
                .for_each(|push| push.is_sent = true);
            held.iter_mut()
                .skip(half)
                .for_each(|push| push.is_sent = false);
            held.iter().take(half).map(|push| push.to_json()).collect()
        };
        self.topics.insert(topic.to_owned());
        let repeated = catchups.last().cloned();
        let reply = json!({"id": id, "type": "reply", "reply": {"type": "subscribe", "topic_id": topic, "catchups": catchups}});
        self.send(&json!([reply])).await?;
        self.socket.send(Message::Ping("fake".into())).await?;
        if let Some(repeated) = repeated {
            // The service repeats items, and tells of other topics too.
            self.send(&json!([repeated, foreign()])).await?;
        }
        Ok(())
    }

    /// Sends what has come up for the topics.
    async fn flush(&mut self) -> Ended {
        loop {
            let frame = {
                let mut world = self.shared.world();
                let push = world.pushes.iter_mut().find(|push| {
                    !push.is_sent
                        && push.account == self.account
                        && self.topics.contains(&push.topic)
                });
                let Some(push) = push else { return Ok(()) };
                push.is_sent = true;
                push.to_json()
            };
            self.send(&frame).await?;
        }
    }

    /// Sends a frame, every third one in two fragments, and closes when enough were sent.
    async fn send(&mut self, frame: &Value) -> Ended {
        self.sent += 1;
        let text = frame.to_string();
        if self.sent.is_multiple_of(3) {
            let (head, tail) = text.as_bytes().split_at(text.len() / 2);
            let head = Frame::message(head.to_vec(), OpCode::Data(Data::Text), false);
            let tail = Frame::message(tail.to_vec(), OpCode::Data(Data::Continue), true);
            self.socket.send(Message::Frame(head)).await?;
            self.socket.send(Message::Frame(tail)).await?;
        } else {
            self.socket.send(Message::Text(text.into())).await?;
        }
        let limit = self.shared.world().settings.websocket_frames;
        if limit.is_some_and(|limit| self.sent >= limit) {
            self.socket.close(None).await?;
            return Err(Error::ConnectionClosed);
        }
        Ok(())
    }
}

fn foreign() -> Value {
    json!({"type": "message", "topic_id": "conversation-turn-some-other-turn", "offset": "1", "payload": {
        "type": "conversation-turn-stream", "payload": {"type": "stream-item", "conversation_id": "another",
            "stream_item_id": "si-foreign", "encoded_item": "event: delta\ndata: {\"v\": \"NOT OURS\"}\n\n"}}})
}
