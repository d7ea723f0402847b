//! Connections to an upstream that speaks HTTP/1.1 without TLS and is reached without a proxy, as most servers of one's own
//! do. hyper speaks on each of them; which one takes the next request is decided here. reqwest would do it as well, at twice
//! the cost of the whole request.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use aurora_sdk::Body;
use bytes::Bytes;
use futures_core::Stream;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::client::legacy::connect::HttpConnector;
use tower_service::Service as _;

use super::client::{MAX_HEADERS, POOL_IDLE, USER_AGENT_VALUE, Upload, causes};
use crate::providers::Fault;

/// How long a connection may take to be free for the next request when its last answer has been read.
const SETTLE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    authority: Authority,
    host: HeaderValue,
    connector: HttpConnector,
    connect: Duration,
    idle: Arc<Idle>,
}

/// Connections that wait for a request, the one used last at the back.
#[derive(Debug, Default)]
struct Idle(Mutex<VecDeque<Waiting>>);

#[derive(Debug)]
struct Waiting {
    sender: Sender,
    since: Instant,
}

type Sender = SendRequest<Upstreamed>;

impl Idle {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that was used last, if it may still be open.
    fn take(&self) -> Option<Sender> {
        let mut waiting = self.waiting();
        while let Some(last) = waiting.pop_back() {
            if !last.sender.is_closed() && last.since.elapsed() < POOL_IDLE {
                return Some(last.sender);
            }
        }
        None
    }

    fn put(&self, sender: Sender) {
        let since = Instant::now();
        self.waiting().push_back(Waiting { sender, since });
    }

    fn trim(&self) {
        self.waiting()
            .retain(|waiting| !waiting.sender.is_closed() && waiting.since.elapsed() < POOL_IDLE);
    }
}

impl Pool {
    /// A pool for the server at `authority`, which answers a connection within `connect`.
    ///
    /// # Errors
    /// Where no header can carry the authority.
    pub(crate) fn new(authority: &str, connect: Duration) -> Result<Self, String> {
        let authority: Authority = authority
            .parse()
            .map_err(|_| format!("`{authority}` is no host and port"))?;
        let host = HeaderValue::from_str(authority.as_str())
            .map_err(|_| format!("no header can carry `{authority}`"))?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(connect));
        Ok(Self {
            authority,
            host,
            connector,
            connect,
            idle: Arc::default(),
        })
    }

    /// Closes what nobody used for a while.
    pub(crate) fn trim(&self) {
        self.idle.trim();
    }

    /// Sends a request and waits for the response head. `upload` follows a streamed body.
    ///
    /// A body that can be sent again goes over a connection that is kept; a streamed one over a new one: a kept one may be
    /// closing just then, and what was sent of the stream into it would be gone.
    pub(super) async fn send(
        &self,
        method: Method,
        path: PathAndQuery,
        mut headers: http::HeaderMap,
        body: Body,
        upload: &Arc<Upload>,
    ) -> Result<Response<Answered>, Fault> {
        headers
            .entry(ACCEPT)
            .or_insert(HeaderValue::from_static("*/*"));
        headers
            .entry(USER_AGENT)
            .or_insert(HeaderValue::from_static(USER_AGENT_VALUE));
        headers.insert(HOST, self.host.clone());
        let is_streamed = body.is_stream();
        let mut request = Request::new(Upstreamed::new(body, upload));
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from(path);
        *request.headers_mut() = headers;
        while !is_streamed && let Some(mut sender) = self.idle.take() {
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(self.answered(response, Some(sender))),
                Err(mut error) => match error.take_message() {
                    // It was closed before anything of the request was sent.
                    Some(unsent) => request = unsent,
                    None => return Err(fault(error.error())),
                },
            }
        }
        let mut sender = self.connect().await?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| fault(&error))?;
        Ok(self.answered(response, (!is_streamed).then_some(sender)))
    }

    async fn connect(&self) -> Result<Sender, Fault> {
        let mut connector = self.connector.clone();
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(self.authority.clone());
        uri.path_and_query = Some(PathAndQuery::from_static("/"));
        let uri = Uri::from_parts(uri).map_err(|error| Fault::Unreachable(error.to_string()))?;
        let connecting = tokio::time::timeout(self.connect, connector.call(uri));
        let stream = match connecting.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Fault::Unreachable(causes(&error))),
            Err(_) => return Err(Fault::ConnectTimeout),
        };
        let mut builder = Builder::new();
        builder.max_headers(MAX_HEADERS);
        let (sender, connection) = builder
            .handshake(stream)
            .await
            .map_err(|error| fault(&error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to an upstream ended");
            }
        });
        Ok(sender)
    }

    fn answered(&self, response: Response<Incoming>, sender: Option<Sender>) -> Response<Answered> {
        response.map(|body| {
            let mut answered = Answered {
                body,
                home: sender.map(|sender| (sender, Arc::clone(&self.idle))),
            };
            answered.go_home(false);
            answered
        })
    }
}

/// The body of an answer. Its connection takes the next request as soon as all of it is read.
#[derive(Debug)]
pub(super) struct Answered {
    body: Incoming,
    home: Option<(Sender, Arc<Idle>)>,
}

impl Answered {
    /// Gives the connection back, where there is nothing left to read; `is_over` where the body has said so.
    fn go_home(&mut self, is_over: bool) {
        if !is_over && !self.body.is_end_stream() {
            return;
        }
        let Some((mut sender, idle)) = self.home.take() else {
            return;
        };
        if sender.is_ready() {
            return idle.put(sender);
        }
        if sender.is_closed() {
            return;
        }
        // It has to read the end of the message first.
        tokio::spawn(async move {
            if let Ok(Ok(())) = tokio::time::timeout(SETTLE, sender.ready()).await {
                idle.put(sender);
            }
        });
    }
}

impl Stream for Answered {
    type Item = Result<Bytes, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    self.go_home(false);
                    // Trailers mean nothing here.
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(Fault::Truncated(causes(&error)))));
                }
                None => {
                    self.go_home(true);
                    return Poll::Ready(None);
                }
            }
        }
    }
}

/// A request's body on its way to the upstream. One of known length is sent with that length, since some servers refuse
/// chunked uploads.
pub(super) struct Upstreamed {
    body: Body,
    length: Option<u64>,
    upload: Arc<Upload>,
}

impl Upstreamed {
    fn new(body: Body, upload: &Arc<Upload>) -> Self {
        Self {
            length: body.length(),
            body,
            upload: Arc::clone(upload),
        }
    }
}

impl http_body::Body for Upstreamed {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let Some(piece) = ready!(Pin::new(&mut this.body).poll_next(cx)) else {
            return Poll::Ready(None);
        };
        let piece = this.upload.passed(piece)?;
        this.length = this
            .length
            .map(|left| left.saturating_sub(piece.len() as u64));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn fault(error: &hyper::Error) -> Fault {
    if error.is_parse() || error.is_parse_too_large() || error.is_parse_status() {
        return Fault::Garbled(error.to_string());
    }
    Fault::Unreachable(causes(error))
}
