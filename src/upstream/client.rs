//! The one door to reqwest: clients and a single exchange.

use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aurora_config::{Timeouts, Upstream, UpstreamTls};
use aurora_sdk::{Body, Error};
use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, Method};
use secrecy::ExposeSecret;
use std::sync::{Mutex, PoisonError};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use url::Url;

use super::pool::{Ask, Pool};
use crate::providers::{Answer, Fault};

/// Idle upstream connections are closed after this long, before most servers do.
pub(super) const POOL_IDLE: Duration = Duration::from_secs(55);

/// Response heads with more headers than this are refused.
pub(super) const MAX_HEADERS: usize = 200;

/// What upstreams are told about the sender.
pub(super) const USER_AGENT_VALUE: &str = concat!("aurora/", env!("CARGO_PKG_VERSION"));

/// The largest message of a websocket, bytes.
const MAX_MESSAGE: usize = 32 << 20;

/// A client for one upstream: its connections, proxy and clocks.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// For bodies that can be sent again: keeps connections for the next request.
    pooled: reqwest::Client,
    /// For streamed bodies, each on a connection of its own: a kept one may be closing just then, and what was sent of
    /// the stream into it would be gone.
    fresh: reqwest::Client,
    /// For websockets, which begin as HTTP/1.1.
    upgrading: Option<reqwest::Client>,
    timeouts: Timeouts,
}

/// A websocket to an upstream.
pub(crate) type Socket = WebSocketStream<reqwest::Upgraded>;

/// What a client must be able to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    /// Speak https to the upstream.
    pub(crate) tls: bool,
    /// Ask for compressed bodies and give them decoded; else they are given as they come.
    pub(crate) decoding: bool,
    /// Open websockets.
    pub(crate) websockets: bool,
}

impl Client {
    /// A client for one upstream, through its proxy where there is one.
    ///
    /// # Errors
    /// A sentence for the config's diagnostics: an unusable proxy or certificate, or no certificate authorities for https.
    pub(crate) fn new(needs: Needs, upstream: &Upstream) -> Result<Self, String> {
        let Upstream {
            proxy, timeouts, ..
        } = upstream;
        let proxy = proxy.as_ref();
        let settings = Settings {
            tls: needs.tls || proxy.is_some_and(|url| url.scheme() == "https"),
            decoding: needs.decoding,
            proxy,
            trust: upstream.tls.as_ref(),
            connect: timeouts.connect,
        };
        Ok(Self {
            pooled: settings.client(usize::MAX)?,
            fresh: settings.client(0)?,
            upgrading: needs
                .websockets
                .then(|| settings.upgrading_client())
                .transpose()?,
            timeouts: timeouts.clone(),
        })
    }

    /// Sends a request and waits for the response head.
    ///
    /// The first-byte clock stands still while the client still sends its body: a long upload is not a slow upstream.
    pub(crate) async fn exchange(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Body,
    ) -> Result<Answer, Fault> {
        let upload = Arc::new(Upload::default());
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = headers;
        let client = if body.is_stream() {
            &self.fresh
        } else {
            &self.pooled
        };
        attach(&mut request, body, &upload);
        let executing = async { client.execute(request).await.map_err(|error| fault(&error)) };
        let response = self.head(pin!(executing), &upload).await?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = response
            .bytes_stream()
            .map(|chunk| chunk.map_err(|error| Fault::Truncated(chain(&error))));
        Ok(Answer {
            status,
            headers,
            body: Box::pin(body),
            judged: false,
        })
    }

    /// As [`Client::exchange`], over the connections of `pool`.
    pub(crate) async fn plain_exchange(&self, pool: &Pool, ask: Ask) -> Result<Answer, Fault> {
        let upload = Arc::new(Upload::default());
        let sending = pin!(pool.send(ask, &upload));
        let (head, body) = self.head(sending, &upload).await?.into_parts();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: Box::pin(body),
            judged: false,
        })
    }

    /// Opens a websocket at `url` (`ws` or `wss`). Messages are bounded.
    pub(crate) async fn websocket(&self, mut url: Url) -> Result<Socket, Fault> {
        let Some(client) = &self.upgrading else {
            return Err(Fault::Garbled("no websockets here".to_owned()));
        };
        let scheme = match url.scheme() {
            "wss" | "https" => "https",
            _ => "http",
        };
        if url.set_scheme(scheme).is_err() {
            return Err(Fault::Garbled("not the URL of a websocket".to_owned()));
        }
        let key = generate_key();
        let request = client
            .get(url)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key)
            .build()
            .map_err(|error| fault(&error))?;
        let executing = async { client.execute(request).await.map_err(|error| fault(&error)) };
        let response = self.head(pin!(executing), &Upload::default()).await?;
        let accepted = response
            .headers()
            .get(SEC_WEBSOCKET_ACCEPT)
            .is_some_and(|accept| {
                accept.as_bytes() == derive_accept_key(key.as_bytes()).as_bytes()
            });
        if response.status() != http::StatusCode::SWITCHING_PROTOCOLS || !accepted {
            let status = response.status().as_u16();
            return Err(Fault::Garbled(format!("no websocket (status {status})")));
        }
        let upgraded = response.upgrade().await.map_err(|error| fault(&error))?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        Ok(WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await)
    }

    async fn head<T>(
        &self,
        mut execute: Pin<&mut (impl Future<Output = Result<T, Fault>> + Send)>,
        upload: &Upload,
    ) -> Result<T, Fault> {
        loop {
            let left = (upload.quiet_since() + self.timeouts.first_byte)
                .saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Fault::FirstByteTimeout);
            }
            match tokio::time::timeout(left, &mut execute).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(fault)) => return Err(upload.failure().unwrap_or(fault)),
                // The upload may have moved meanwhile.
                Err(_) => {}
            }
        }
    }
}

/// What both clients of an upstream have in common.
struct Settings<'a> {
    tls: bool,
    decoding: bool,
    proxy: Option<&'a Url>,
    /// Whom to trust, and what to show.
    trust: Option<&'a UpstreamTls>,
    connect: Duration,
}

impl Settings<'_> {
    /// A client that keeps at most `idle` connections for later.
    fn client(&self, idle: usize) -> Result<reqwest::Client, String> {
        self.builder(idle)?.build().map_err(|error| chain(&error))
    }

    fn upgrading_client(&self) -> Result<reqwest::Client, String> {
        let builder = self.builder(0)?.http1_only();
        builder.build().map_err(|error| chain(&error))
    }

    fn builder(&self, idle: usize) -> Result<reqwest::ClientBuilder, String> {
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT_VALUE)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(self.connect)
            .gzip(self.decoding)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(idle)
            .pool_idle_timeout(POOL_IDLE)
            .http1_max_headers(MAX_HEADERS)
            .no_proxy();
        if let Some(url) = self.proxy {
            let proxy = reqwest::Proxy::all(url.clone()).map_err(|error| chain(&error))?;
            builder = builder.proxy(proxy);
        }
        if !self.tls {
            // Saves reading the system's certificates, and works where there are none.
            return Ok(builder.tls_certs_only([]));
        }
        let Some(UpstreamTls { ca, identity }) = self.trust else {
            return Ok(builder);
        };
        if let Some(ca) = ca {
            let certificates = reqwest::Certificate::from_pem_bundle(&ca.pem);
            let certificates = certificates.map_err(|error| of_file(&ca.path, &error))?;
            builder = builder.tls_certs_only(certificates);
        }
        if let Some(identity) = identity {
            let key = identity.key_pem.expose_secret().as_bytes();
            let pem = [key, b"\n", identity.cert.pem.as_slice()].concat();
            let shown = reqwest::Identity::from_pem(&pem);
            builder =
                builder.identity(shown.map_err(|error| of_file(&identity.cert.path, &error))?);
        }
        Ok(builder)
    }
}

fn of_file(path: &Path, error: &reqwest::Error) -> String {
    format!("`{}` cannot be used: {}", path.display(), chain(error))
}

/// Gives the request its body; a stream of known length keeps that length, since some servers refuse chunked uploads.
fn attach(request: &mut reqwest::Request, body: Body, upload: &Arc<Upload>) {
    if let Some(bytes) = body.as_bytes() {
        *request.body_mut() = Some(reqwest::Body::from(bytes.clone()));
        return;
    }
    if body.is_empty() {
        return;
    }
    if let Some(length) = body.length() {
        request
            .headers_mut()
            .insert(http::header::CONTENT_LENGTH, length.into());
    }
    let upload = Arc::clone(upload);
    let stream = body.into_stream().map(move |piece| upload.passed(piece));
    *request.body_mut() = Some(reqwest::Body::wrap_stream(stream));
}

/// How far a streamed request body is.
#[derive(Debug)]
pub(super) struct Upload {
    started: Instant,
    moved_ms: AtomicU64,
    failure: Mutex<Option<Error>>,
}

impl Default for Upload {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            moved_ms: AtomicU64::new(0),
            failure: Mutex::new(None),
        }
    }
}

impl Upload {
    /// The next piece on its way to the upstream; what ended the body early is kept for the client.
    pub(super) fn passed(&self, piece: Result<Bytes, Error>) -> std::io::Result<Bytes> {
        self.moved();
        piece.map_err(|error| {
            let text = error.to_string();
            self.fail(error);
            std::io::Error::other(text)
        })
    }

    fn moved(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_ms.store(elapsed, Ordering::Relaxed);
    }

    fn quiet_since(&self) -> Instant {
        self.started + Duration::from_millis(self.moved_ms.load(Ordering::Relaxed))
    }

    fn fail(&self, error: Error) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    fn failure(&self) -> Option<Fault> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .map(Fault::Client)
    }
}

fn fault(error: &reqwest::Error) -> Fault {
    if error.is_connect() {
        return if error.is_timeout() {
            Fault::ConnectTimeout
        } else {
            Fault::Unreachable(chain(error))
        };
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(http) = cause.downcast_ref::<hyper::Error>()
            && is_garbled(http)
        {
            return Fault::Garbled(chain(error));
        }
        source = cause.source();
    }
    Fault::Unreachable(chain(error))
}

/// Whether what came is no HTTP.
pub(super) fn is_garbled(error: &hyper::Error) -> bool {
    error.is_parse() || error.is_parse_too_large() || error.is_parse_status()
}

/// The causes of an error, outermost first, without URLs: they may hold what is not for logs.
fn chain(error: &reqwest::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => causes(cause),
        None => "the exchange failed".to_owned(),
    }
}

/// An error and its causes, outermost first.
pub(super) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
