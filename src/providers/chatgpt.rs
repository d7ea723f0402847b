//! `protocol = "chatgpt-web"`: the ChatGPT web backend with the operator's own tokens, or those that clients bring.
//!
//! Every operation of the OpenAI API that the service can do is translated here, so that handlers, fallback and the
//! emulated Responses see an upstream like any other. A browser challenge is reported, never answered.

mod answer;
mod auth;
mod chat;
mod content;
mod failure;
mod files;
mod handoff;
mod images;
mod issuer;
mod models;
mod pins;
mod raw;
mod references;
mod serving;
mod speech;
mod stamp;
mod transcribe;
mod turn;
mod upload;
mod web;
mod websocket;
mod words;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aurora_accounts::{AccountPool, Externals, Issuer, PoolSettings};
use aurora_config::{ChatGptWeb, Upstream};
use aurora_sdk::{Body, BoxFuture, Error, Operation};
use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use url::Url;

use self::issuer::HttpIssuer;
use self::models::Catalog;
use self::pins::Pins;
use self::web::Web;
use super::{Answer, Call, Chunks, Fault, Provider};
use crate::gallery::Gallery;
use crate::spool;
use crate::store::ScopedStore;
use crate::upstream::fetch::Fetcher;

/// The largest streamed body that is held in memory, bytes.
const MAX_HELD: u64 = 32 << 20;

/// What a provider needs beside its settings.
pub(crate) struct Surroundings<'a> {
    /// The upstream's name.
    pub(crate) name: &'a str,
    /// Its accounts.
    pub(crate) accounts: Arc<AccountPool>,
    /// How clients' own accounts are held.
    pub(crate) externals: PoolSettings,
    /// Where it remembers whose files and conversations are.
    pub(crate) store: ScopedStore,
    /// Where uploads are held on their way.
    pub(crate) data_dir: PathBuf,
    /// Whether clients' URLs may point inside.
    pub(crate) fetch_private: bool,
    /// How clients reach the gateway, where the operator says so.
    pub(crate) public_url: Option<Url>,
    /// Where generated pictures are kept.
    pub(crate) gallery: Arc<Gallery>,
}

/// Speaks to the service.
#[derive(Debug)]
pub(crate) struct ChatGptProvider {
    service: Arc<Service>,
}

/// What all requests of one upstream share.
struct Service {
    web: Arc<Web>,
    accounts: Arc<AccountPool>,
    /// How long a request waits for an account's turn.
    queue_wait: Duration,
    externals: Arc<Externals>,
    issuer: HttpIssuer,
    /// The same, as the accounts take it.
    exchanges: Arc<dyn Issuer>,
    pins: Pins,
    catalog: Arc<Catalog>,
    gallery: Arc<Gallery>,
    fetcher: Fetcher,
    data_dir: PathBuf,
    public_url: Option<Url>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("web", &self.web)
            .finish_non_exhaustive()
    }
}

impl Service {
    /// Where uploads are held on their way.
    fn uploads(&self) -> PathBuf {
        spool::folder(&self.data_dir)
    }
}

impl ChatGptProvider {
    /// A provider; connections and clients' tokens of `previous` carry over.
    ///
    /// # Errors
    /// A sentence for the config's diagnostics.
    pub(crate) fn new(
        settings: &ChatGptWeb,
        upstream: &Upstream,
        around: Surroundings<'_>,
        previous: Option<&Self>,
    ) -> Result<Self, String> {
        let previous = previous.map(|previous| &previous.service);
        let web = match previous {
            Some(previous) => Arc::clone(&previous.web),
            None => Arc::new(Web::new(around.name, settings, upstream)?),
        };
        let issuer = HttpIssuer::new(Arc::clone(&web));
        let service = Service {
            exchanges: Arc::new(issuer.clone()),
            issuer,
            web,
            externals: match previous {
                Some(previous) => Arc::clone(&previous.externals),
                None => Arc::new(Externals::new(around.externals)),
            },
            catalog: previous.map_or_else(Arc::default, |previous| Arc::clone(&previous.catalog)),
            accounts: around.accounts,
            queue_wait: upstream.queue_wait,
            pins: Pins::new(around.name, around.store),
            gallery: around.gallery,
            fetcher: Fetcher::new(around.fetch_private),
            data_dir: around.data_dir,
            public_url: around.public_url,
        };
        Ok(Self {
            service: Arc::new(service),
        })
    }

    async fn answer(&self, call: Call) -> Result<Answer, Fault> {
        let service = &self.service;
        match call.operation {
            Operation::Chat => chat::answer(service, call).await,
            Operation::Models => models::answer(service, call).await,
            Operation::Files => files::answer(service, call).await,
            Operation::Images => images::answer(service, call).await,
            Operation::Speech => speech::answer(service, call).await,
            Operation::Transcribe => transcribe::answer(service, call).await,
            Operation::Auth => auth::answer(service, call).await,
            Operation::Responses | Operation::Other => raw::answer(service, call).await,
        }
    }
}

impl Provider for ChatGptProvider {
    fn native(&self, operation: Operation) -> bool {
        // Responses go through chat, which is translated.
        operation != Operation::Responses
    }

    fn forward(&self, call: Call) -> BoxFuture<'_, Result<Answer, Fault>> {
        Box::pin(self.answer(call))
    }

    fn challenges(&self) -> u64 {
        self.service.web.challenges()
    }

    fn tend(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.service.accounts.tend(&self.service.exchanges))
    }
}

/// A body that is needed as a whole. What the handler read is within the route's limit; what it left as a stream is held up
/// to a bound of our own.
async fn held(body: Body) -> Result<Bytes, Error> {
    let max = body.as_bytes().map_or(MAX_HELD, |bytes| bytes.len() as u64);
    body.read_all(max).await
}

/// An answer of JSON, which the client gets as it is.
fn json_answer(value: &Value) -> Answer {
    let body = Bytes::from(value.to_string());
    whole(
        StatusCode::OK,
        HeaderValue::from_static("application/json"),
        body,
    )
}

/// An answer that is there as a whole.
fn whole(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Answer {
    Answer {
        status,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, content_type)]),
        body: Box::pin(stream::iter([Ok(body)])),
        judged: true,
    }
}

/// An answer of events.
fn events_answer(body: Chunks) -> Answer {
    let content_type = HeaderValue::from_static("text/event-stream; charset=utf-8");
    Answer {
        status: StatusCode::OK,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, content_type)]),
        body,
        judged: true,
    }
}

/// A fault that no other upstream can mend.
fn decided(error: Error) -> Fault {
    Fault::Judged {
        error,
        retry_on: None,
    }
}
