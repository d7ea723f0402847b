//! What the host does for a handler, inside of one request.

use std::pin::Pin;
use std::time::Duration;

use aurora_openai::chat::{ChatChunk, ChatRequest};
use aurora_openai::models::Model;
use bytes::Bytes;
use futures_core::Stream;
use http::Method;
use serde_json::Value;

use crate::calls;
use crate::{Body, BoxFuture, Error, Facts, Headers, Response, Upload};

/// The canonical events of one chat answer, ending after the last chunk; an early end is an `Err`.
pub type ChatStream = Pin<Box<dyn Stream<Item = Result<ChatChunk, Error>> + Send>>;

/// The way to the route's upstreams, bound to one request.
///
/// Two levels. Raw: [`Host::send`] relays bytes to an upstream that speaks the client's own API. Semantic: canonical
/// operations such as [`Host::chat`] work whatever the upstream speaks. Neither shows a credential.
pub trait Host: Send + Sync {
    /// What there is to know about the request beside the request itself.
    fn facts(&self) -> &Facts;

    /// Sends through the route's upstreams: picks one, adds its credential, tries another where nothing is lost by it.
    ///
    /// The response is what the upstream said, errors of the client's making included, with headers that may reach
    /// the client. Its body is guarded: silence, truncation and shutdown end it with one error event and an `Err`.
    ///
    /// # Errors
    /// Where no upstream gave an answer that may reach the client.
    fn send(&self, request: UpstreamRequest) -> BoxFuture<'_, Result<Response, Error>>;

    /// Whether the route's upstreams speak the client's own API for `operation`, so that [`Host::send`] may be used.
    fn native(&self, operation: Operation) -> bool;

    /// Whether the name of the model decides anything on this route: which upstream is asked, what it is told, or
    /// whether the client may. Where it does not, a handler need not look for it inside a streamed body.
    fn routes_by_model(&self) -> bool {
        true
    }

    /// A chat turn on whatever protocol the upstream speaks, always streamed.
    ///
    /// # Errors
    /// As [`Host::send`]; an upstream's refusal of the request keeps its status and code.
    fn chat(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatStream, Error>>;

    /// The models of all the route's upstreams and their aliases, each once, sorted by id.
    ///
    /// # Errors
    /// Where no upstream could tell.
    fn models(&self) -> BoxFuture<'_, Result<Vec<Model>, Error>>;

    /// Makes pictures; request and answer as of `POST /v1/images/generations`.
    ///
    /// # Errors
    /// As [`Host::chat`].
    fn images(&self, request: Value) -> BoxFuture<'_, Result<Value, Error>> {
        let sent = self.send(calls::images(&request));
        Box::pin(async move { calls::json(sent.await?).await })
    }

    /// Speaks; request as of `POST /v1/audio/speech`. The answer is sound.
    ///
    /// # Errors
    /// As [`Host::chat`].
    fn speech(&self, request: Value) -> BoxFuture<'_, Result<Response, Error>> {
        let sent = self.send(calls::speech(&request));
        Box::pin(async move { calls::accepted(sent.await?).await })
    }

    /// Writes down what is said in `file`; `request` has the other fields of `POST /v1/audio/transcriptions`.
    ///
    /// # Errors
    /// As [`Host::chat`].
    fn transcribe(&self, file: Upload, request: Value) -> BoxFuture<'_, Result<Value, Error>> {
        let sent = self.send(calls::transcribe(file, &request));
        Box::pin(async move { calls::json(sent.await?).await })
    }

    /// Uploads `file`; `request` has the other fields of `POST /v1/files`. The answer is the file object.
    ///
    /// # Errors
    /// As [`Host::chat`].
    fn upload(&self, file: Upload, request: Value) -> BoxFuture<'_, Result<Value, Error>> {
        let sent = self.send(calls::upload(file, &request));
        Box::pin(async move { calls::json(sent.await?).await })
    }

    /// Small keyed state with expiry that outlives requests, reloads and restarts.
    fn state(&self) -> &dyn State;

    /// Writes to the gateway's log under the request's id.
    fn log(&self, level: Level, message: &str);

    /// Goes on for up to `time` when the client leaves before the end, for accounts that must be settled; what is still
    /// written then goes nowhere. By default everything is dropped the moment the client is gone.
    fn keep_running(&self, time: Duration) {
        let _ = time;
    }

    /// Ready when the client has gone. Only who keeps running lives to see it.
    fn client_gone(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    /// Adds to what the access log says of the request, such as `input_tokens`.
    fn usage(&self, name: &str, amount: u64) {
        let (_, _) = (name, amount);
    }
}

/// Small values with an expiry, shared by all requests of a plugin.
pub trait State: Send + Sync {
    /// The value of `key`, if it is there and has not expired.
    ///
    /// # Errors
    /// [`Error::internal`] where the store cannot be read.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, Error>>;

    /// Keeps `value` under `key` for `keep`.
    ///
    /// # Errors
    /// [`Error::internal`] where the store cannot be written.
    fn put<'a>(
        &'a self,
        key: &'a str,
        value: Bytes,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Forgets `key`; returns whether it was there.
    ///
    /// # Errors
    /// [`Error::internal`] where the store cannot be written.
    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<bool, Error>>;

    /// Keeps `value` under `key` for `keep` if what is there is `expected` (`None`: nothing); returns whether it was.
    /// Nobody writes in between.
    ///
    /// # Errors
    /// [`Error::internal`] where the store cannot be written.
    fn swap<'a>(
        &'a self,
        key: &'a str,
        expected: Option<Bytes>,
        value: Bytes,
        keep: Duration,
    ) -> BoxFuture<'a, Result<bool, Error>>;
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// A person must act.
    Error,
    /// Recovered by itself.
    Warn,
    /// What was asked for happened.
    Info,
    /// Per request.
    Debug,
}

/// What a request asks an upstream to do. Decides which event ends a stream and how an error event looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Chat completions: ends with `data: [DONE]`.
    Chat,
    /// Responses: ends with `response.completed`, `response.incomplete` or `response.failed`.
    Responses,
    /// The model list.
    Models,
    /// Files.
    Files,
    /// Image generation, edits and variations: streams end with a `*.completed` event.
    Images,
    /// Speech: event streams end with `speech.audio.done`.
    Speech,
    /// Transcription and translation: streams end with `transcript.text.done`.
    Transcribe,
    /// The exchange of a client's own long-lived token for an access token.
    Auth,
    /// Anything else: complete when the HTTP message is.
    Other,
}

/// A request for one of the route's upstreams.
#[derive(Debug)]
pub struct UpstreamRequest {
    /// What is asked for.
    pub operation: Operation,
    /// The method.
    pub method: Method,
    /// The path below the upstream's API root, such as `chat/completions`, with the query if there is one.
    pub path: String,
    /// Headers to offer; the host passes on only those that an upstream may see.
    pub headers: Headers,
    /// The body. A stream can be sent only once, so such a request is never retried.
    pub body: Body,
    /// The client's name of the model; the host replaces it in the body where it is an alias.
    pub model: Option<String>,
}
