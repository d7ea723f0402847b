//! Connections to an upstream that speaks HTTP/1.1 without TLS and is reached without a proxy, as most servers of one's own
//! do. hyper speaks on each of them; which one takes the next request is decided here. reqwest would do it as well, at twice
//! the cost of the whole request.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use aurora_sdk::Body;
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;
use tower_service::Service as _;

use super::client::{MAX_HEADERS, POOL_IDLE, USER_AGENT_VALUE, Upload, causes};
use crate::providers::Fault;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    authority: Authority,
    host: HeaderValue,
    connector: HttpConnector,
    connect: Duration,
    idle: Arc<Idle>,
    /// Connections that move on by themselves.
    tasks: TaskTracker,
}

/// What an upstream is asked.
#[derive(Debug)]
pub(crate) struct Ask {
    /// The method.
    pub(crate) method: Method,
    /// Where on the server, with the query.
    pub(crate) path: PathAndQuery,
    /// The headers, but for those that name the server and this gateway.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Body,
}

/// Connections that wait for a request, the one used last at the back.
#[derive(Debug, Default)]
struct Idle(Mutex<VecDeque<Waiting>>);

#[derive(Debug)]
struct Waiting {
    link: Link,
    since: Instant,
}

impl Waiting {
    fn is_fresh(&self) -> bool {
        self.since.elapsed() < POOL_IDLE
    }
}

impl Idle {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that was used last, if it is still open.
    fn take(&self) -> Option<Link> {
        loop {
            let mut last = self.waiting().pop_back()?;
            if last.is_fresh() && last.link.is_ready() {
                return Some(last.link);
            }
        }
    }

    fn put(&self, link: Link) {
        let since = Instant::now();
        self.waiting().push_back(Waiting { link, since });
    }

    fn trim(&self) {
        self.waiting()
            .retain_mut(|waiting| waiting.is_fresh() && waiting.link.is_ready());
    }
}

/// A connection. No task of its own moves it on, but whoever waits for its answer: neither has to wake the other.
#[derive(Debug)]
struct Link {
    sender: SendRequest<Upstreamed>,
    /// Until it has ended.
    connection: Option<Pin<Box<Moving>>>,
}

type Moving = Connection<TokioIo<TcpStream>, Upstreamed>;

impl Link {
    /// Reads and writes what can be read and written now.
    fn drive(&mut self, cx: &mut Context<'_>) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            // Who waits for something of it is told by that.
            self.connection = None;
            if let Err(error) = ended {
                tracing::debug!(%error, "connection to an upstream ended");
            }
        }
    }

    /// Whether it takes a request now.
    fn is_ready(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.sender.is_ready()
    }

    async fn send(
        &mut self,
        request: Request<Upstreamed>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Upstreamed>>> {
        let mut sending = pin!(self.sender.try_send_request(request));
        poll_fn(|cx| {
            self.drive(cx);
            sending.as_mut().poll(cx)
        })
        .await
    }

    /// Moves on by itself from here on.
    fn let_go(self, tasks: &TaskTracker) -> SendRequest<Upstreamed> {
        if let Some(connection) = self.connection {
            tasks.spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "connection to an upstream ended");
                }
            });
        }
        self.sender
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
            tasks: TaskTracker::new(),
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
        ask: Ask,
        upload: &Arc<Upload>,
    ) -> Result<Response<Answered>, Fault> {
        let Ask {
            method,
            path,
            mut headers,
            body,
        } = ask;
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
        if is_streamed {
            // What is uploaded must not wait until somebody reads the answer.
            let mut sender = Box::pin(self.connect()).await?.let_go(&self.tasks);
            let sent = sender.send_request(request).await;
            let response = sent.map_err(|error| fault(&error))?;
            return Ok(response.map(Answered::alone));
        }
        while let Some(mut link) = self.idle.take() {
            match link.send(request).await {
                Ok(response) => return Ok(self.answered(response, link)),
                Err(mut error) => match error.take_message() {
                    // It was closed before anything of the request was sent.
                    Some(unsent) => request = unsent,
                    None => return Err(fault(error.error())),
                },
            }
        }
        // Boxed, so that requests that find a connection do not carry the room for it.
        let mut link = Box::pin(self.connect()).await?;
        match link.send(request).await {
            Ok(response) => Ok(self.answered(response, link)),
            Err(error) => Err(fault(error.error())),
        }
    }

    async fn connect(&self) -> Result<Link, Fault> {
        let mut connector = self.connector.clone();
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(self.authority.clone());
        uri.path_and_query = Some(PathAndQuery::from_static("/"));
        let uri = Uri::from_parts(uri).map_err(|error| Fault::Unreachable(error.to_string()))?;
        let connecting = tokio::time::timeout(self.connect, connector.call(uri));
        let stream = match connecting.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) if !is_late(&error) => return Err(Fault::Unreachable(causes(&error))),
            // The connector's own clock is for each of several addresses.
            Ok(Err(_)) | Err(_) => return Err(Fault::ConnectTimeout),
        };
        let mut builder = Builder::new();
        builder.max_headers(MAX_HEADERS);
        let (sender, connection) = builder
            .handshake(stream)
            .await
            .map_err(|error| fault(&error))?;
        Ok(Link {
            sender,
            connection: Some(Box::pin(connection)),
        })
    }

    fn answered(&self, response: Response<Incoming>, link: Link) -> Response<Answered> {
        response.map(|body| {
            let mut answered = Answered {
                body,
                link: Some((link, Arc::clone(&self.idle))),
                is_behind: false,
                end: Poll::Pending,
            };
            answered.go_home(false);
            answered
        })
    }
}

/// Pieces that are there at the same moment are joined up to so many bytes.
const JOINED: usize = 16 * 1024;

/// A piece of that many bytes goes alone.
const LARGE: usize = 4 * 1024;

/// The body of an answer. Its connection takes the next request as soon as all of it is read.
#[derive(Debug)]
pub(super) struct Answered {
    body: Incoming,
    link: Option<(Link, Arc<Idle>)>,
    /// Whether pieces came since it was last waited for: then more may be there. One that comes alone is not held up by looking.
    is_behind: bool,
    /// How it ended, where a piece goes out before that.
    end: Poll<Piece>,
}

type Piece = Option<Result<Bytes, Fault>>;

impl Answered {
    /// One whose connection moves on by itself.
    fn alone(body: Incoming) -> Self {
        Self {
            body,
            link: None,
            is_behind: false,
            end: Poll::Pending,
        }
    }

    /// Gives the connection back, where there is nothing left to read; `is_over` where the body has said so.
    fn go_home(&mut self, is_over: bool) {
        if (is_over || self.body.is_end_stream())
            && let Some((mut link, idle)) = self.link.take()
            && link.is_ready()
        {
            idle.put(link);
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        loop {
            let mut polled = Pin::new(&mut self.body).poll_frame(cx);
            if polled.is_pending()
                && let Some((link, _)) = &mut self.link
            {
                link.drive(cx);
                polled = Pin::new(&mut self.body).poll_frame(cx);
            }
            match ready!(polled) {
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

impl Stream for Answered {
    type Item = Result<Bytes, Fault>;

    /// Small pieces that are there already come as one, so that they go out as one; more is never waited for.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Piece> {
        if let end @ Poll::Ready(_) = std::mem::replace(&mut self.end, Poll::Pending) {
            return end;
        }
        let polled = self.poll_piece(cx);
        let was_behind = std::mem::replace(&mut self.is_behind, polled.is_ready());
        let first = match ready!(polled) {
            Some(Ok(first)) if was_behind && first.len() < LARGE => first,
            other => return Poll::Ready(other),
        };
        let mut joined = BytesMut::new();
        while joined.len() < JOINED {
            match self.poll_piece(cx) {
                Poll::Ready(Some(Ok(piece))) => {
                    if joined.is_empty() {
                        joined.reserve(first.len() + piece.len().max(LARGE));
                        joined.extend_from_slice(&first);
                    }
                    joined.extend_from_slice(&piece);
                }
                end @ Poll::Ready(_) => self.end = end,
                Poll::Pending => {
                    self.is_behind = false;
                    break;
                }
            }
            if self.end.is_ready() {
                break;
            }
        }
        let piece = if joined.is_empty() {
            first
        } else {
            joined.freeze()
        };
        Poll::Ready(Some(Ok(piece)))
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

/// Whether a connection did not stand in time.
fn is_late(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn fault(error: &hyper::Error) -> Fault {
    if error.is_parse() || error.is_parse_too_large() || error.is_parse_status() {
        return Fault::Garbled(error.to_string());
    }
    Fault::Unreachable(causes(error))
}
