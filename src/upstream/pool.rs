//! Connections to an upstream that speaks HTTP/1.1 without TLS and is reached without a proxy, as most servers of one's own
//! do. hyper speaks on each of them; which one takes the next request is decided here. reqwest would do it as well, for a quarter
//! of all instructions of a request.

mod bodies;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use aurora_sdk::Body;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;
use tower_service::Service as _;

use self::bodies::{Answered, Upstreamed};
use super::client::{MAX_HEADERS, POOL_IDLE, USER_AGENT_VALUE, Upload, causes, is_garbled};
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
        response.map(|body| Answered::over(body, link, Arc::clone(&self.idle)))
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
    if is_garbled(error) {
        return Fault::Garbled(error.to_string());
    }
    Fault::Unreachable(causes(error))
}
