//! The service's API over HTTP: which headers go to whom, and what a refusal means.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aurora_accounts::Lease;
use aurora_chatgpt::fault::{Fault, FaultKind, Refusal};
use aurora_config::{ChatGptWeb, Timeouts, Upstream};
use aurora_sdk::{Body, Error};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use url::Url;

use super::failure::Failure;
use crate::providers::{Answer, Chunks};
use crate::upstream::client::{Client, Needs, Socket};

/// The largest JSON answer that is read: saved conversations hold everything that was said.
const MAX_JSON: usize = 64 << 20;

/// The largest refusal that is looked at.
const MAX_REFUSAL: usize = 1 << 20;

const ACCOUNT: HeaderName = HeaderName::from_static("chatgpt-account-id");
const DEVICE: HeaderName = HeaderName::from_static("oai-device-id");
const LANGUAGE: HeaderName = HeaderName::from_static("oai-language");
const CONDUIT: HeaderName = HeaderName::from_static("x-conduit-token");

/// The way to the service.
#[derive(Debug)]
pub(super) struct Web {
    /// The upstream's name, for messages.
    pub(super) name: String,
    /// Its settings.
    pub(super) settings: ChatGptWeb,
    /// Its clocks.
    pub(super) timeouts: Timeouts,
    /// How often a challenge was demanded.
    challenges: AtomicU64,
    client: Client,
}

/// One call.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    /// Below the base, without a leading slash, with the query.
    pub(super) path: String,
    pub(super) accept: &'static str,
    pub(super) content_type: Option<HeaderValue>,
    pub(super) conduit: Option<String>,
    pub(super) body: Body,
}

impl Ask {
    /// A GET that wants JSON.
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            accept: "application/json",
            content_type: None,
            conduit: None,
            body: Body::empty(),
        }
    }

    /// A call with a JSON body that wants JSON.
    pub(super) fn json(method: Method, path: impl Into<String>, body: &Value) -> Self {
        Self {
            method,
            content_type: Some(HeaderValue::from_static("application/json")),
            body: body.to_string().into_bytes().into(),
            ..Self::get(path)
        }
    }

    /// A call with a JSON body that wants an event stream.
    pub(super) fn events(path: impl Into<String>, body: &Value, conduit: Option<String>) -> Self {
        Self {
            accept: "text/event-stream",
            conduit,
            ..Self::json(Method::POST, path, body)
        }
    }
}

impl Web {
    /// # Errors
    /// A sentence for the config's diagnostics.
    pub(super) fn new(
        name: &str,
        settings: &ChatGptWeb,
        upstream: &Upstream,
    ) -> Result<Self, String> {
        let urls = [
            &settings.base_url,
            &settings.oauth_url,
            &settings.session_url,
        ];
        let needs = Needs {
            tls: urls.iter().any(|url| url.scheme() == "https"),
            decoding: true,
            websockets: true,
        };
        Ok(Self {
            name: name.to_owned(),
            settings: settings.clone(),
            timeouts: upstream.timeouts.clone(),
            challenges: AtomicU64::new(0),
            client: Client::new(needs, upstream)?,
        })
    }

    /// `path` below the base; devices have a base of their own.
    fn url(&self, lease: &Lease, path: &str) -> Url {
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        let mut url = self.settings.base_url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        let base = if lease.access_token().is_none() {
            base.replace("backend-api", "backend-anon")
        } else {
            base
        };
        url.set_path(&format!("{base}/{path}"));
        url.set_query(query);
        url
    }

    /// Makes a call in the account's name; any status is an answer.
    pub(super) async fn send(&self, lease: &Lease, ask: Ask) -> Result<Answer, Failure> {
        let mut headers = account_headers(lease)?;
        headers.insert(ACCEPT, HeaderValue::from_static(ask.accept));
        if let Some(content_type) = ask.content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        if let Some(conduit) = ask.conduit {
            headers.insert(CONDUIT, header(&conduit)?);
        }
        let url = self.url(lease, &ask.path);
        Ok(self
            .client
            .exchange(ask.method, url, headers, ask.body)
            .await?)
    }

    /// Makes a call that must succeed, in the account's name.
    pub(super) async fn accepted(&self, lease: &Lease, ask: Ask) -> Result<Answer, Failure> {
        let answer = self.send(lease, ask).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(self.refusal(answer).await)
    }

    /// Makes a call that must succeed with JSON.
    pub(super) async fn value(&self, lease: &Lease, ask: Ask) -> Result<Value, Failure> {
        let answer = self.accepted(lease, ask).await?;
        let bytes = self.read(answer.body, MAX_JSON).await?;
        serde_json::from_slice(&bytes).map_err(|_| {
            Failure::of_kind(
                FaultKind::Unexpected,
                "the ChatGPT service answered with something that is not JSON",
            )
        })
    }

    /// Makes a call that must be answered with an event stream.
    pub(super) async fn events(&self, lease: &Lease, ask: Ask) -> Result<Chunks, Failure> {
        let answer = self.send(lease, ask).await?;
        let content_type = text(&answer.headers, CONTENT_TYPE.as_str()).to_ascii_lowercase();
        if answer.status.is_success() && content_type.starts_with("text/event-stream") {
            return Ok(answer.body);
        }
        Err(self.refusal(answer).await)
    }

    /// Opens a websocket, which sees nothing of the account.
    pub(super) async fn websocket(&self, url: Url) -> Result<Socket, Failure> {
        Ok(self.client.websocket(url).await?)
    }

    /// A call to a host that must see nothing of the account.
    pub(super) async fn foreign(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Body,
    ) -> Result<Answer, Failure> {
        Ok(self.client.exchange(method, url, headers, body).await?)
    }

    /// GETs a link that the service gave: with the account's headers on its own host, without them elsewhere.
    pub(super) async fn link(&self, lease: &Lease, url: Url) -> Result<Answer, Failure> {
        let is_own = url.origin() == self.settings.base_url.origin();
        let headers = if is_own {
            account_headers(lease)?
        } else {
            HeaderMap::new()
        };
        self.foreign(Method::GET, url, headers, Body::empty()).await
    }

    /// What an answer that is no success means.
    pub(super) async fn refusal(&self, answer: Answer) -> Failure {
        let Answer {
            status,
            headers,
            body,
            ..
        } = answer;
        let body = match self.read(body, MAX_REFUSAL).await {
            Ok(body) => body,
            // The status alone says enough.
            Err(_) => Bytes::new(),
        };
        let content_type = text(&headers, CONTENT_TYPE.as_str()).to_ascii_lowercase();
        let fault = Refusal {
            status: status.as_u16(),
            content_type: &content_type,
            retry_after: headers
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok()),
            is_mitigated: text(&headers, "cf-mitigated").contains("challenge"),
            body: &body,
        }
        .classify();
        self.count(&fault);
        tracing::warn!(
            upstream = self.name,
            status = status.as_u16(),
            content_type,
            upstream_request_id = text(&headers, "x-oai-request-id"),
            kind = ?fault.kind,
            upstream_code = fault.upstream_code,
            "the ChatGPT service refused"
        );
        Failure::Service(fault)
    }

    /// Counts challenges, which an operator must see.
    pub(super) fn count(&self, fault: &Fault) {
        if fault.kind == FaultKind::Challenge {
            self.challenges.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often a challenge was demanded since the start.
    pub(super) fn challenges(&self) -> u64 {
        self.challenges.load(Ordering::Relaxed)
    }

    /// Reads a body of at most `max` bytes, with the upstream's idle clock.
    pub(super) async fn read(&self, mut body: Chunks, max: usize) -> Result<Bytes, Failure> {
        let mut read = BytesMut::new();
        while let Some(chunk) = next_chunk(&mut body, self.timeouts.idle).await? {
            if read.len() + chunk.len() > max {
                return Err(Failure::of_kind(
                    FaultKind::TooLarge,
                    "the ChatGPT service sent more than this gateway holds in memory",
                ));
            }
            read.extend_from_slice(&chunk);
        }
        Ok(read.freeze())
    }
}

/// The next piece of a body; silence for longer than `idle` is a fault.
pub(super) async fn next_chunk(
    body: &mut Chunks,
    idle: Duration,
) -> Result<Option<Bytes>, Failure> {
    match tokio::time::timeout(idle, body.next()).await {
        Ok(None) => Ok(None),
        Ok(Some(chunk)) => Ok(Some(chunk?)),
        Err(_) => Err(silent()),
    }
}

/// 504: nothing came for too long.
pub(super) fn silent() -> Failure {
    Failure::Transport(crate::providers::Fault::Judged {
        error: Error::new(
            aurora_sdk::ErrorKind::GatewayTimeout,
            aurora_sdk::Origin::Upstream,
            "upstream_idle_timeout",
            "the ChatGPT service fell silent for longer than the upstream's `idle` timeout",
        ),
        retry_on: None,
    })
}

/// The headers of the account: they go to the service's own host only.
fn account_headers(lease: &Lease) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    if let Some(token) = lease.access_token() {
        let mut value = header(&format!("Bearer {}", token.expose_secret()))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    if let Some(workspace) = lease.workspace() {
        headers.insert(ACCOUNT, header(workspace)?);
    }
    if let Some(device) = lease.device_id() {
        headers.insert(DEVICE, header(device)?);
    }
    headers.insert(LANGUAGE, HeaderValue::from_static("en-US"));
    Ok(headers)
}

fn header(value: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(value).map_err(|_| {
        Failure::of_kind(
            FaultKind::TokenInvalid,
            "a token or workspace has characters that no header can carry",
        )
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}
