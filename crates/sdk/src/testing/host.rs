//! The host itself: what a test tells it beforehand, and what it remembers.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use aurora_openai::chat::{ChatChunk, ChatRequest};
use aurora_openai::models::Model;
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

use super::background::{Clock, Job};
use super::signal::{Signal, Waiting};
use super::{kept, must};
use crate::{
    BoxFuture, Client, Context, Error, Facts, Host, Level, MetricKind, Operation, Params,
    PluginHost, Response, UpstreamRequest,
};

/// A host in memory: [`Host`], [`PluginHost`] and [`crate::State`] in one.
///
/// Clones are one host. What `client`, `param` and the like change is the clone's own: requests of several clients can be made
/// on one host.
#[derive(Clone)]
pub struct FakeHost {
    pub(super) facts: Facts,
    inner: Arc<Mutex<Inner>>,
    signal: Arc<Signal>,
}

type Answering =
    dyn Fn(UpstreamRequest) -> BoxFuture<'static, Result<Response, Error>> + Send + Sync;
type Chunks = Vec<Result<ChatChunk, Error>>;

#[derive(Default)]
pub(super) struct Inner {
    pub(super) answers: VecDeque<Result<Response, Error>>,
    pub(super) answering: Option<Arc<Answering>>,
    pub(super) chats: VecDeque<Result<Chunks, Error>>,
    pub(super) models: Vec<Model>,
    pub(super) native: bool,
    pub(super) spoken: Vec<Operation>,
    pub(super) any_model: bool,
    pub(super) granted: Vec<String>,
    pub(super) sent: Vec<Sent>,
    pub(super) asked: Vec<ChatRequest>,
    pub(super) logged: Vec<(Level, String)>,
    pub(super) used: Vec<(String, u64)>,
    pub(super) metrics: Vec<Defined>,
    pub(super) recorded: Vec<Recorded>,
    pub(super) kept: kept::Values,
    pub(super) kept_running: Option<Duration>,
    pub(super) is_gone: bool,
    pub(super) waits_for_gone: Waiting,
    pub(super) clock: Clock,
    pub(super) jobs: Vec<Job>,
}

/// A metric as it was defined.
pub(super) struct Defined {
    pub(super) kind: MetricKind,
    pub(super) name: String,
    pub(super) labels: Vec<String>,
}

/// A request that went to an upstream.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The upstream's name, where it was not the route's own.
    pub upstream: Option<String>,
    /// What was asked for.
    pub operation: Operation,
    /// The method.
    pub method: Method,
    /// The path, with the query.
    pub path: String,
    /// The headers that were offered.
    pub headers: HeaderMap,
    /// The body; empty where it was a stream that [`FakeHost::answers_by`] had to read.
    pub body: Bytes,
    /// The client's name of the model.
    pub model: Option<String>,
}

impl Sent {
    /// The body as JSON.
    ///
    /// # Panics
    /// Where it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        must(
            serde_json::from_slice(&self.body),
            "what was sent is no JSON",
        )
    }
}

/// A value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The metric's name, as the plugin gave it.
    pub metric: String,
    /// How its values add up.
    pub kind: MetricKind,
    /// The value.
    pub value: f64,
    /// Names and values of its labels.
    pub labels: HashMap<String, String>,
}

impl Default for FakeHost {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeHost {
    /// A host that expects nothing: a client without a key, no upstream that answers.
    pub fn new() -> Self {
        let facts = Facts {
            request_id: "req-1".into(),
            route: "/".into(),
            client: Client {
                name: "anonymous".into(),
                owner: "anonymous".into(),
            },
            params: Params::default(),
            stream: true,
        };
        Self {
            facts,
            inner: Arc::default(),
            signal: Arc::default(),
        }
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn signal(&self) -> &Arc<Signal> {
        &self.signal
    }

    /// As the client called `name`, who also owns its things under that name.
    #[must_use]
    pub fn client(mut self, name: &str) -> Self {
        self.facts.client = Client {
            name: name.into(),
            owner: name.into(),
        };
        self
    }

    /// On the route that is configured as `path`.
    #[must_use]
    pub fn route(mut self, path: &str) -> Self {
        self.facts.route = path.into();
        self
    }

    /// With one more parameter in the route's path.
    #[must_use]
    pub fn param(mut self, name: &str, value: &str) -> Self {
        let params = self.facts.params.iter();
        let params = params.chain(std::iter::once((name, value)));
        self.facts.params = params
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        self
    }

    /// With this id in `x-request-id`.
    #[must_use]
    pub fn request_id(mut self, id: &str) -> Self {
        self.facts.request_id = id.into();
        self
    }

    /// Whether answers may be streamed.
    #[must_use]
    pub fn stream(mut self, stream: bool) -> Self {
        self.facts.stream = stream;
        self
    }

    /// Whether the route's upstreams speak the client's own API, whatever the operation.
    #[must_use]
    pub fn native(self, native: bool) -> Self {
        self.inner().native = native;
        self
    }

    /// The route's upstreams speak the client's own API for this operation.
    #[must_use]
    pub fn speaks(self, operation: Operation) -> Self {
        self.inner().spoken.push(operation);
        self
    }

    /// Whether the name of the model decides anything on the route.
    #[must_use]
    pub fn routes_by_model(self, routes: bool) -> Self {
        self.inner().any_model = !routes;
        self
    }

    /// The upstream answers the next request with this; after what was said before.
    #[must_use]
    pub fn answers(self, response: Response) -> Self {
        self.inner().answers.push_back(Ok(response));
        self
    }

    /// No upstream answers the next request; after what was said before.
    #[must_use]
    pub fn fails(self, error: Error) -> Self {
        self.inner().answers.push_back(Err(error));
        self
    }

    /// What upstreams answer where nothing else was said.
    #[must_use]
    pub fn answers_by(
        self,
        answering: impl Fn(UpstreamRequest) -> BoxFuture<'static, Result<Response, Error>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.inner().answering = Some(Arc::new(answering));
        self
    }

    /// The upstream says this to the next chat request; after what was said before.
    #[must_use]
    pub fn chats(self, chunks: Vec<Result<ChatChunk, Error>>) -> Self {
        self.inner().chats.push_back(Ok(chunks));
        self
    }

    /// The upstream refuses the next chat request; after what was said before.
    #[must_use]
    pub fn refuses_chat(self, error: Error) -> Self {
        self.inner().chats.push_back(Err(error));
        self
    }

    /// The route's upstreams have these models.
    #[must_use]
    pub fn models(self, models: Vec<Model>) -> Self {
        self.inner().models = models;
        self
    }

    /// The plugin may call the upstream of that name outside of requests.
    #[must_use]
    pub fn grants(self, upstream: &str) -> Self {
        self.inner().granted.push(upstream.to_owned());
        self
    }

    /// The client leaves.
    pub fn leave(&self) {
        let mut inner = self.inner();
        inner.is_gone = true;
        let waiting = inner.waits_for_gone.take();
        drop(inner);
        waiting.for_each(Waker::wake);
    }

    /// A context of a request on this host.
    pub fn context(&self) -> Context {
        Context::new(Arc::new(self.clone()) as Arc<dyn Host>)
    }

    /// This host, as plugins are built with.
    pub fn plugin_host(&self) -> Arc<dyn PluginHost> {
        Arc::new(self.clone())
    }

    /// What was sent to upstreams.
    pub fn sent(&self) -> Vec<Sent> {
        self.inner().sent.clone()
    }

    /// What was asked for by [`Host::chat`].
    pub fn asked(&self) -> Vec<ChatRequest> {
        self.inner().asked.clone()
    }

    /// What was written to the log.
    pub fn logged(&self) -> Vec<(Level, String)> {
        self.inner().logged.clone()
    }

    /// What the access log says of the request.
    pub fn used(&self) -> Vec<(String, u64)> {
        self.inner().used.clone()
    }

    /// What metrics were given.
    pub fn recorded(&self) -> Vec<Recorded> {
        self.inner().recorded.clone()
    }

    /// For how long it goes on when the client leaves.
    pub fn kept_running(&self) -> Option<Duration> {
        self.inner().kept_running
    }
}

impl fmt::Debug for FakeHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeHost")
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}
