//! What a host in memory does for plugins.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use aurora_openai::chat::{ChatChunk, ChatRequest};
use aurora_openai::models::Model;
use bytes::Bytes;
use futures_core::Stream;
use serde_json::{Map, Value};

use super::host::{Defined, Recorded, Sent};
use super::{Answer, FakeHost, background};
use crate::{
    BoxFuture, BuildError, ChatStream, Error, ErrorKind, Facts, Handler, Host, Level, Metric,
    MetricId, Operation, Origin, Plugin, PluginHost, Request, Response, State, UpstreamRequest,
};

impl FakeHost {
    /// Builds `plugin` with `options` and lets it answer `request`.
    ///
    /// # Errors
    /// What the client would read. An option that the plugin refuses is told by the code `build_failed`.
    #[track_caller]
    pub fn call(
        &self,
        plugin: &dyn Plugin,
        options: Value,
        request: impl Into<Request>,
    ) -> Result<Answer, Error> {
        let handler = plugin.build(&self.plugin_host(), &options_of(options)?);
        self.ask(handler.map_err(not_built)?.as_ref(), request)
    }

    /// Lets `handler` answer `request`.
    ///
    /// # Errors
    /// What the client would read.
    #[track_caller]
    pub fn ask(&self, handler: &dyn Handler, request: impl Into<Request>) -> Result<Answer, Error> {
        let (cx, request) = (self.context(), request.into());
        self.wait(async {
            let response = handler.handle(&cx, request).await?;
            Ok(Answer::of(response).await)
        })
    }

    async fn send_to(
        self,
        upstream: Option<String>,
        request: UpstreamRequest,
    ) -> Result<Response, Error> {
        let by = self.inner().answering.clone();
        let by = by.filter(|_| self.inner().answers.is_empty());
        let mut sent = Sent {
            upstream,
            operation: request.operation,
            method: request.method.clone(),
            path: request.path.clone(),
            headers: (*request.headers).clone(),
            // Copied: a record holds nothing of the plugin's.
            body: request
                .body
                .as_bytes()
                .map(|body| Bytes::copy_from_slice(body))
                .unwrap_or_default(),
            model: request.model.clone(),
        };
        if let Some(answering) = by {
            self.inner().sent.push(sent);
            return answering(request).await;
        }
        sent.body = Bytes::copy_from_slice(&request.body.read_all(u64::MAX).await?);
        let mut inner = self.inner();
        inner.sent.push(sent);
        inner.answers.pop_front().unwrap_or_else(|| {
            let message = "the test said nothing of what an upstream answers to this request";
            Err(unexpected(message))
        })
    }
}

pub(super) fn options_of(options: Value) -> Result<Map<String, Value>, Error> {
    match options {
        Value::Object(options) => Ok(options),
        _ => Err(not_built(BuildError::new("", "options are a JSON object"))),
    }
}

pub(super) fn not_built(error: BuildError) -> Error {
    let BuildError {
        option, message, ..
    } = error;
    Error::new(
        ErrorKind::Internal,
        Origin::Gateway,
        "build_failed",
        message,
    )
    .with_param(option)
}

fn unexpected(message: &str) -> Error {
    Error::new(ErrorKind::Internal, Origin::Gateway, "unexpected", message)
}

impl Host for FakeHost {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn send(&self, request: UpstreamRequest) -> BoxFuture<'_, Result<Response, Error>> {
        Box::pin(self.clone().send_to(None, request))
    }

    fn native(&self, operation: Operation) -> bool {
        let inner = self.inner();
        inner.native || inner.spoken.contains(&operation)
    }

    fn routes_by_model(&self) -> bool {
        !self.inner().any_model
    }

    fn chat(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatStream, Error>> {
        Box::pin(async {
            let mut inner = self.inner();
            inner.asked.push(request);
            let chunks = inner.chats.pop_front().unwrap_or_else(|| {
                Err(unexpected(
                    "the test said nothing of what an upstream says to this chat",
                ))
            })?;
            Ok(Box::pin(Chunks(chunks.into())) as ChatStream)
        })
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<Model>, Error>> {
        Box::pin(async { Ok(self.inner().models.clone()) })
    }

    fn state(&self) -> &dyn State {
        self
    }

    fn log(&self, level: Level, message: &str) {
        self.inner().logged.push((level, message.to_owned()));
    }

    fn keep_running(&self, time: Duration) {
        self.inner().kept_running = Some(time);
    }

    fn client_gone(&self) -> BoxFuture<'_, ()> {
        Box::pin(Gone {
            host: self,
            number: None,
        })
    }

    fn usage(&self, name: &str, amount: u64) {
        self.inner().used.push((name.to_owned(), amount));
    }
}

/// Ready when the client has gone.
struct Gone<'a> {
    host: &'a FakeHost,
    number: Option<u64>,
}

impl Future for Gone<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let (this, waker) = (&mut *self, cx.waker().clone());
        let mut inner = this.host.inner();
        if inner.is_gone {
            return Poll::Ready(());
        }
        inner.waits_for_gone.add(&mut this.number, waker);
        Poll::Pending
    }
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        let waker = self.host.inner().waits_for_gone.remove(self.number);
        drop(waker);
    }
}

/// What an upstream says, piece by piece.
struct Chunks(VecDeque<Result<ChatChunk, Error>>);

impl Stream for Chunks {
    type Item = Result<ChatChunk, Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.pop_front())
    }
}

impl PluginHost for FakeHost {
    fn log(&self, level: Level, message: &str) {
        Host::log(self, level, message);
    }

    fn state(&self) -> &dyn State {
        self
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(self.sleep_for(time))
    }

    fn spawn(&self, _: &str, task: BoxFuture<'static, ()>) {
        self.begin(task);
    }

    fn offload(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, Result<(), Error>> {
        background::offload(work)
    }

    fn metric(&self, metric: &Metric<'_>) -> Result<MetricId, Error> {
        let mut inner = self.inner();
        let labels: Vec<String> = metric.labels.iter().copied().map(str::to_owned).collect();
        let id = inner.metrics.iter().position(|one| one.name == metric.name);
        let id = id.unwrap_or_else(|| {
            inner.metrics.push(Defined {
                kind: metric.kind,
                name: metric.name.to_owned(),
                labels: labels.clone(),
            });
            inner.metrics.len() - 1
        });
        let is_same = inner
            .metrics
            .get(id)
            .is_some_and(|one| one.kind == metric.kind && one.labels == labels);
        if !is_same {
            let message = format!("another form of metric `{}` is there already", metric.name);
            return Err(unexpected(&message));
        }
        u32::try_from(id).map(MetricId).map_err(Error::internal)
    }

    fn record(&self, metric: MetricId, value: f64, labels: &[&str]) {
        let mut inner = self.inner();
        let Some(defined) = inner.metrics.get(metric.0 as usize) else {
            return;
        };
        if defined.labels.len() != labels.len() {
            return;
        }
        let labels = labels.iter().copied().map(str::to_owned);
        let recorded = Recorded {
            metric: defined.name.clone(),
            kind: defined.kind,
            value,
            labels: defined.labels.iter().cloned().zip(labels).collect(),
        };
        inner.recorded.push(recorded);
    }

    fn send<'a>(
        &'a self,
        upstream: &'a str,
        request: UpstreamRequest,
    ) -> BoxFuture<'a, Result<Response, Error>> {
        let is_granted = self
            .inner()
            .granted
            .iter()
            .any(|granted| granted == upstream);
        if is_granted {
            return Box::pin(self.clone().send_to(Some(upstream.to_owned()), request));
        }
        let message = format!("the plugin may not call upstream `{upstream}`");
        let error = Error::new(
            ErrorKind::Forbidden,
            Origin::Gateway,
            "plugin_denied",
            message,
        );
        Box::pin(std::future::ready(Err(error)))
    }
}
