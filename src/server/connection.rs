//! One client connection: TLS where it is wanted, HTTP/1.1 or HTTP/2 as the client speaks, and its clocks.
//!
//! hyper has one timer for request heads and idle connections, so that a short one cuts kept-alive connections and a
//! long one lets slow heads in. Here the connection knows which of the two it is in.

mod busy;
mod clocked;
mod taking;
mod unparsed;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use http::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING};
use http::uri::Scheme;
use http::{Method, Request, Response, Version};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use salvo::{Depot, FlowCtrl};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::busy::{Busy, Slot};
use self::clocked::ClockedIo;
pub(super) use self::clocked::Clocks;
use self::taking::{CountedBody, Watched};
use crate::upstream::trace::Trace;

/// HTTP/2 requests at once on one connection.
const MAX_STREAMS: u32 = 1024;

/// The most of a request head, bytes.
const MAX_HEAD: usize = 64 * 1024;

/// The most headers of a request.
const MAX_HEADERS: usize = 128;

/// What all connections of a listener share.
pub(super) struct Connections<H> {
    /// Answers every request.
    pub(super) handler: H,
    /// Each connection keeps those that it began with.
    pub(super) clocks: Arc<ArcSwap<Clocks>>,
    /// Fires when kept-alive connections must end and running requests be their last.
    pub(super) close: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl<H: salvo::Handler> Connections<H> {
    /// Serves one client until it leaves, falls silent, or the listener closes.
    pub(super) async fn serve(self: Arc<Self>, socket: TcpStream, remote: SocketAddr) {
        let clocks = **self.clocks.load();
        self.http(socket, remote, Scheme::HTTP, clocks).await;
    }

    /// As [`Connections::serve`], behind TLS. Apart from it, because every connection takes the memory of the largest that its
    /// task may hold.
    pub(super) async fn serve_tls(
        self: Arc<Self>,
        socket: TcpStream,
        remote: SocketAddr,
        tls: Arc<TlsAcceptor>,
    ) {
        let clocks = **self.clocks.load();
        match timeout(clocks.header_read, tls.accept(socket)).await {
            Ok(Ok(stream)) => self.http(stream, remote, Scheme::HTTPS, clocks).await,
            Ok(Err(error)) => tracing::debug!(%remote, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(%remote, "TLS handshake timed out"),
        }
    }

    async fn http<S>(
        self: &Arc<Self>,
        stream: S,
        remote: SocketAddr,
        scheme: Scheme,
        clocks: Clocks,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let busy = Arc::new(Busy::default());
        let io = TokioIo::new(ClockedIo::new(stream, Arc::clone(&busy), clocks));
        let builder = self.builder(clocks, &busy);
        let answering = Answering {
            connections: Arc::clone(self),
            scheme,
            busy,
        };
        let mut connection = pin!(builder.serve_connection(io, answering));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.close.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%remote, %error, "connection ended");
        }
    }

    fn builder(&self, clocks: Clocks, busy: &Arc<Busy>) -> auto::Builder<Tracked> {
        let mut builder = auto::Builder::new(Tracked {
            tasks: self.tasks.clone(),
            busy: Arc::clone(busy),
            clocks,
        });
        builder
            .http1()
            .timer(TokioTimer::new())
            // Ours tell heads from idle times.
            .header_read_timeout(None)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
            .keep_alive_interval(clocks.idle / 4)
            .keep_alive_timeout(clocks.header_read);
        builder
    }
}

/// Runs HTTP/2 streams where shutdown waits for them, for as long as their client takes what is sent.
#[derive(Debug, Clone)]
struct Tracked {
    tasks: TaskTracker,
    busy: Arc<Busy>,
    clocks: Clocks,
}

impl<F> Executor<F> for Tracked
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        match self.busy.take_stream() {
            Some(taking) => self
                .tasks
                .spawn(Watched::new(task, taking, self.clocks.write_gap)),
            None => self.tasks.spawn(task),
        };
    }
}

/// Answers the requests of one connection, and counts those under way. All of them go to one handler, which has a router of its
/// own, so that salvo's service with its router, catcher and list of handlers would only stand in between.
struct Answering<H> {
    connections: Arc<Connections<H>>,
    scheme: Scheme,
    busy: Arc<Busy>,
}

impl<H: salvo::Handler> hyper::service::Service<Request<Incoming>> for Answering<H> {
    type Response = Response<CountedBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let taking = (request.version() == Version::HTTP_2).then(|| self.busy.stream());
        let ends = taking.is_none() && request.headers().contains_key(TRANSFER_ENCODING);
        let slot = Slot::take(&self.busy);
        let connections = Arc::clone(&self.connections);
        let mut request = salvo::Request::from_hyper(request, self.scheme.clone());
        Box::pin(async move {
            let (mut depot, mut flow) = (Depot::new(), FlowCtrl::new(Vec::new()));
            let mut answer = salvo::Response::new();
            let handler = &connections.handler;
            handler
                .handle(&mut request, &mut depot, &mut answer, &mut flow)
                .await;
            if *request.method() == Method::HEAD {
                // Over HTTP/2 hyper would send it.
                answer.take_body();
            }
            if ends {
                // hyper leaves a length out that stands beside a transfer coding. Whoever is in front may have gone by that length, and
                // what comes next here be part of the body to it, so nothing comes next (RFC 9112, 6.1).
                answer
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
            }
            let trace = answer.extensions.remove::<Arc<Trace>>();
            Ok(answer
                .into_hyper()
                .map(|body| CountedBody::new(body, taking, trace, slot)))
        })
    }
}
