//! A chat turn over an upstream that speaks chat completions: the canonical request out, canonical events in.

use aurora_openai::chat::{ChatChunk, ChatRequest};
use aurora_openai::sse::{self, DONE, Decoder};
use aurora_sdk::{
    Body, ChatStream, Error, ErrorKind, Operation, Origin, UpstreamRequest, accepted,
};
use futures_util::stream;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::{Value, json};

use super::RequestHost;
use crate::upstream::Audience;

/// The largest event of a chat stream that Aurora itself reads.
const MAX_EVENT: usize = 32 * 1024 * 1024;

pub(super) async fn stream(host: &RequestHost, request: ChatRequest) -> Result<ChatStream, Error> {
    let model = Some(request.model.clone());
    let mut body = serde_json::to_value(&request).map_err(Error::internal)?;
    if let Some(members) = body.as_object_mut() {
        members.insert("stream".to_owned(), Value::Bool(true));
        members.insert(
            "stream_options".to_owned(),
            json!({ "include_usage": true }),
        );
    }
    let headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (ACCEPT, HeaderValue::from_static("text/event-stream")),
    ]);
    let request = UpstreamRequest {
        operation: Operation::Chat,
        method: Method::POST,
        path: "chat/completions".to_owned(),
        headers: headers.into(),
        body: serde_json::to_vec(&body).map_err(Error::internal)?.into(),
        model,
    };
    let response = accepted(host.send_to(Audience::Aurora, request).await?).await?;
    if response.content_type() != "text/event-stream" {
        return Err(unexpected("it did not answer with an event stream"));
    }
    Ok(events(response.body))
}

fn unexpected(what: &str) -> Error {
    let message = format!("the upstream's chat answer cannot be read: {what}");
    Error::new(
        ErrorKind::BadGateway,
        Origin::Upstream,
        "upstream_error",
        message,
    )
}

struct Reading {
    body: Body,
    decoder: Decoder,
    over: bool,
}

/// The chunks of a chat stream. Ends after `[DONE]` or, where the upstream may leave it out, with the body.
fn events(body: Body) -> ChatStream {
    let reading = Reading {
        body,
        decoder: Decoder::new(MAX_EVENT),
        over: false,
    };
    Box::pin(stream::try_unfold(reading, |mut reading| async move {
        loop {
            if let Some(event) = reading.decoder.next_event() {
                if event.data == DONE {
                    reading.over = true;
                }
                // Some servers keep a stream alive with events that say nothing.
                if reading.over || event.data.is_empty() {
                    continue;
                }
                return Ok(Some((chunk(&event)?, reading)));
            }
            // Read to the very end, so that the connection can be used again.
            match reading.body.chunk().await.transpose()? {
                Some(bytes) => reading
                    .decoder
                    .feed(&bytes)
                    .map_err(|_| unexpected("an event is larger than 32 MiB"))?,
                None => return Ok(None),
            }
        }
    }))
}

fn chunk(event: &sse::Event) -> Result<ChatChunk, Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Message {
        Failed { error: Failure },
        Chunk(ChatChunk),
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Failure {
        Envelope { message: String },
        Text(String),
    }
    match serde_json::from_str(&event.data) {
        Ok(Message::Chunk(chunk)) => Ok(chunk),
        Ok(Message::Failed {
            error: Failure::Envelope { message } | Failure::Text(message),
        }) => Err(Error::new(
            ErrorKind::BadGateway,
            Origin::Upstream,
            "upstream_stream_error",
            message,
        )),
        Err(_) => Err(unexpected("an event is not a chat chunk")),
    }
}
