//! The host of one request: the way from its handler to the route's upstreams.

mod chat;
mod models;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aurora_config::target_order;
use aurora_openai::chat::ChatRequest;
use aurora_openai::models::Model;
use aurora_sdk::{
    BoxFuture, ChatStream, Error, ErrorKind, Facts, Host, Level, Operation, Origin, Response,
    State, UpstreamRequest,
};
use http::Method;

use super::access::Access;
use super::gateway::Chosen;
use super::lasting::Lasting;
use super::visitor::Admitted;
use crate::providers::Visitor;
use crate::shared::Shared;
use crate::snapshot::{Admission, Route, Snapshot};
use crate::store::ScopedStore;
use crate::upstream::trace::Trace;
use crate::upstream::{Audience, Exchange, Upstream, order, send};

/// See the module.
#[derive(Clone)]
pub(super) struct RequestHost {
    shared: Arc<Shared>,
    snapshot: Arc<Snapshot>,
    route: Arc<Route>,
    admission: Arc<Admission>,
    trace: Arc<Trace>,
    facts: Facts,
    plugin: Arc<str>,
    state: ScopedStore,
    visitor: Arc<Visitor>,
    lasting: Arc<Lasting>,
}

impl RequestHost {
    pub(super) fn new(
        shared: &Arc<Shared>,
        snapshot: &Arc<Snapshot>,
        routed: &Chosen,
        admitted: Admitted,
        access: &Access,
    ) -> Self {
        let client = admitted.client();
        let Admitted { admission, visitor } = admitted;
        let facts = Facts {
            request_id: Arc::clone(&access.request_id),
            route: Arc::clone(&routed.route.path),
            client,
            params: routed.params.clone(),
            stream: snapshot.config().server.stream,
        };
        let plugin = Arc::clone(&routed.built.name);
        Self {
            visitor: Arc::new(visitor),
            shared: Arc::clone(shared),
            snapshot: Arc::clone(snapshot),
            route: Arc::clone(&routed.route),
            admission,
            trace: Arc::clone(&access.trace),
            facts,
            state: shared.store.scoped(&plugin),
            plugin,
            lasting: Arc::default(),
        }
    }

    /// The same request as the filter `name` sees it: what it logs and keeps is its own.
    pub(super) fn of_filter(&self, name: &Arc<str>) -> Self {
        Self {
            state: self.shared.store.scoped(name),
            plugin: Arc::clone(name),
            ..self.clone()
        }
    }

    /// How long the request goes on without its client.
    pub(super) fn lasting(&self) -> &Arc<Lasting> {
        &self.lasting
    }

    /// The route's upstreams in the order in which they should be tried for `model`.
    fn targets(&self, model: Option<&str>) -> Vec<Arc<Upstream>> {
        let settings = &self.route.settings;
        let targets = target_order(settings, &self.snapshot.config().upstreams, model);
        order(targets, settings.weighted)
            .into_iter()
            .filter_map(|target| self.snapshot.upstreams.get(&target.name))
            .map(Arc::clone)
            .collect()
    }

    fn exchange(&self, targets: Vec<Arc<Upstream>>) -> Exchange {
        Exchange {
            targets,
            retry: self.route.settings.retry.clone(),
            hold: self.route.settings.hold,
            ending: self.shared.ending.clone(),
            trace: Arc::clone(&self.trace),
            visitor: Arc::clone(&self.visitor),
        }
    }

    async fn send_to(
        &self,
        audience: Audience,
        request: UpstreamRequest,
    ) -> Result<Response, Error> {
        self.check_model(&request)?;
        let exchange = self.exchange(self.targets(request.model.as_deref()));
        send(&exchange, audience, request).await
    }

    /// A key that is limited to some models must not get around that by not naming one.
    fn check_model(&self, request: &UpstreamRequest) -> Result<(), Error> {
        match &request.model {
            Some(model) => self.admission.check_model(model),
            None if self.admission.is_limited_to_models()
                && request.method == Method::POST
                && !matches!(request.operation, Operation::Files | Operation::Auth) =>
            {
                Err(Error::new(
                    ErrorKind::Forbidden,
                    Origin::Downstream,
                    "model_not_allowed",
                    "this API key may use some models only, and the request names none (in a form, send `model` before the files)",
                )
                .with_param("model"))
            }
            None => Ok(()),
        }
    }
}

impl fmt::Debug for RequestHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHost")
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}

impl Host for RequestHost {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn send(&self, request: UpstreamRequest) -> BoxFuture<'_, Result<Response, Error>> {
        Box::pin(self.send_to(Audience::Client, request))
    }

    fn native(&self, operation: Operation) -> bool {
        self.targets(None)
            .iter()
            .all(|upstream| upstream.provider.native(operation))
    }

    fn routes_by_model(&self) -> bool {
        self.admission.is_limited_to_models()
            || self
                .targets(None)
                .iter()
                .any(|upstream| !upstream.settings.models.is_empty())
    }

    fn chat(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatStream, Error>> {
        Box::pin(chat::stream(self, request))
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<Model>, Error>> {
        Box::pin(models::merged(self))
    }

    fn state(&self) -> &dyn State {
        &self.state
    }

    fn log(&self, level: Level, message: &str) {
        let (request_id, plugin) = (&*self.facts.request_id, &*self.plugin);
        match level {
            Level::Error => tracing::error!(request_id, plugin, message, "plugin"),
            Level::Warn => tracing::warn!(request_id, plugin, message, "plugin"),
            Level::Info => tracing::info!(request_id, plugin, message, "plugin"),
            Level::Debug => tracing::debug!(request_id, plugin, message, "plugin"),
        }
    }

    fn keep_running(&self, time: Duration) {
        self.lasting.keep(time);
    }

    fn client_gone(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.lasting.client_gone())
    }

    fn usage(&self, name: &str, amount: u64) {
        self.trace.usage(name, amount);
    }
}
