//! The service's websocket: a turn that goes on there, and news of a conversation.

use std::collections::HashSet;
use std::time::Duration;

use aurora_accounts::Lease;
use aurora_chatgpt::socket::{self, Item};
use bytes::Bytes;
use futures_util::stream::{self, SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;
use url::Url;

use super::failure::Failure;
use super::turn::unexpected;
use super::web::{Ask, Web};
use crate::providers::{Chunks, Fault};
use crate::upstream::client::Socket;

/// How often the connection is kept alive.
const PING: Duration = Duration::from_secs(25);

/// How long the connection may take to stand and to hear the first commands.
const CONNECT: Duration = Duration::from_secs(20);

/// Topics that the web application listens to as well.
const COMMON: [&str; 3] = ["calpico-chatgpt", "conversations", "app_notifications"];

/// A connection with its subscriptions.
pub(super) struct Connection {
    sink: SplitSink<Socket, Message>,
    frames: SplitStream<Socket>,
    ping: tokio::time::Interval,
}

impl Connection {
    /// Connects and subscribes to the usual topics and `topic`.
    pub(super) async fn open(
        web: &Web,
        lease: &Lease,
        topic: Option<&str>,
    ) -> Result<Self, Failure> {
        let opening = async {
            let answer = web.value(lease, Ask::get("celsius/ws/user")).await?;
            let url = answer
                .get("websocket_url")
                .and_then(Value::as_str)
                .and_then(|url| Url::parse(url).ok())
                .ok_or_else(|| unexpected("named no websocket"))?;
            // The URL is signed: the host sees nothing of the account.
            let mut socket = web.websocket(url).await?;
            let topics: Vec<&str> = COMMON.into_iter().chain(topic).collect();
            let hello = Message::text(socket::hello(&topics));
            socket.send(hello).await.map_err(|error| broken(&error))?;
            Ok::<_, Failure>(socket)
        };
        let socket = match tokio::time::timeout(CONNECT, opening).await {
            Ok(socket) => socket?,
            Err(_) => return Err(unexpected("did not open its websocket in time")),
        };
        let (sink, frames) = socket.split();
        let mut ping = tokio::time::interval(PING);
        ping.reset();
        Ok(Self { sink, frames, ping })
    }

    /// The items of the next frame; `None` when the connection is closed. A frame may bring none.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Item>>, Failure> {
        loop {
            tokio::select! {
                frame = self.frames.next() => return match frame {
                    Some(Ok(Message::Text(text))) => Ok(Some(socket::items(&text))),
                    Some(Ok(Message::Close(_))) | None => Ok(None),
                    Some(Ok(_)) => Ok(Some(Vec::new())),
                    Some(Err(error)) => Err(broken(&error)),
                },
                _ = self.ping.tick() => {
                    let ping = Message::Ping(Bytes::new());
                    self.sink.send(ping).await.map_err(|error| broken(&error))?;
                }
            }
        }
    }
}

fn broken(error: &tokio_tungstenite::tungstenite::Error) -> Failure {
    Failure::Transport(Fault::Truncated(format!("websocket: {error}")))
}

/// The event stream of a turn as its topic brings it. Ends when the connection closes.
pub(super) async fn turn(
    web: &Web,
    lease: &Lease,
    conversation_id: &str,
    topic: &str,
) -> Result<Chunks, Failure> {
    let connection = Connection::open(web, lease, Some(topic)).await?;
    let pieces = Pieces {
        connection,
        topic: topic.to_owned(),
        conversation_id: conversation_id.to_owned(),
        seen: HashSet::new(),
    };
    Ok(Box::pin(stream::unfold(pieces, async |mut pieces| {
        let piece = pieces.next().await?;
        Some((piece, pieces))
    })))
}

/// The pieces of one turn's stream, each once.
struct Pieces {
    connection: Connection,
    topic: String,
    conversation_id: String,
    seen: HashSet<String>,
}

impl Pieces {
    /// The next piece; empty for a frame that is about something else.
    async fn next(&mut self) -> Option<Result<Bytes, Fault>> {
        let items = match self.connection.next().await {
            Ok(items) => items?,
            Err(Failure::Transport(fault)) => return Some(Err(fault)),
            Err(_) => return None,
        };
        let mut bytes = Vec::new();
        for item in items {
            let Item::Stream {
                id,
                topic,
                conversation_id,
                encoded,
            } = item
            else {
                continue;
            };
            let is_ours = topic.is_none_or(|topic| topic == self.topic)
                && conversation_id.is_none_or(|id| id == self.conversation_id);
            if is_ours && id.is_none_or(|id| self.seen.insert(id)) {
                bytes.extend_from_slice(encoded.as_bytes());
            }
        }
        Some(Ok(bytes.into()))
    }
}
