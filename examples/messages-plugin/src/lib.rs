//! A plugin for Aurora: the Anthropic Messages API in front of upstreams of any protocol.
//!
//! A request becomes a chat turn, which the host holds with whatever upstream the route has; what the model says becomes a
//! message, whole or in events. Errors are told in the words of that API, too.

mod answer;
mod at;
mod events;
mod failure;
mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use aurora_sdk::{
    BoxFuture, BuildError, Context, Error, ErrorKind, Handler, Level, Manifest, Origin, Plugin,
    PluginHost, Request, Response,
};
use http::HeaderValue;
use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::events::Events;

aurora_sdk::export_plugin!(Messages);

struct Messages;

impl Plugin for Messages {
    fn manifest(&self) -> Manifest {
        Manifest::json(include_str!("../plugin.json"))
    }

    fn build(
        &self,
        _: &Arc<dyn PluginHost>,
        options: &Map<String, Value>,
    ) -> Result<Box<dyn Handler>, BuildError> {
        BuildError::unknown_options(options, &[])?;
        Ok(Box::new(MessagesHandler))
    }
}

struct MessagesHandler;

impl Handler for MessagesHandler {
    fn handle<'a>(
        &'a self,
        cx: &'a Context,
        request: Request,
    ) -> BoxFuture<'a, Result<Response, Error>> {
        Box::pin(async move {
            let mut response = match serve(cx, request).await {
                Ok(response) => response,
                Err(error) => failure::response(cx, &error),
            };
            // The official SDKs show it with every message and error.
            if let Ok(id) = HeaderValue::from_str(cx.request_id()) {
                response.headers.insert("request-id", id);
            }
            Ok(response)
        })
    }
}

async fn serve(cx: &Context, mut request: Request) -> Result<Response, Error> {
    let path = request.path.trim_end_matches('/');
    if path.ends_with("/messages/count_tokens") {
        return Err(uncounted());
    }
    if !path.ends_with("/messages") {
        return Err(not_found(path));
    }
    let body: Value = request.json().await?;
    let asked = request::read(&body)?;
    if !asked.left_out.is_empty() {
        let names = asked.left_out.join(", ");
        let line = format!("left out, since chats have no such thing: {names}");
        cx.host().log(Level::Info, &line);
    }
    let answer = Answer::new(id(cx), asked.chat.model.clone(), asked.stop_sequences);
    let chat = cx.host().chat(asked.chat).await?;
    let events = Events::new(cx.clone(), chat, answer);
    if asked.stream && cx.stream() {
        Ok(events.into_response())
    } else {
        Response::json(&events.into_message().await?)
    }
}

/// The id of the message, made of the request's.
fn id(cx: &Context) -> String {
    let id = cx.request_id().trim_start_matches("req_").chars();
    let id = id.filter(char::is_ascii_alphanumeric);
    "msg_".chars().chain(id).collect()
}

fn uncounted() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        Origin::Gateway,
        "unsupported_operation",
        "tokens are not counted beforehand here, because each upstream counts in its own way; \
         `usage` of an answer says how many there were",
    )
}

fn not_found(path: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        Origin::Downstream,
        "not_found",
        format!("{path} is no part of the Messages API that is served here"),
    )
}
