//! One client connection: TLS where it is wanted, HTTP/1.1 or HTTP/2 as the client speaks, and its clocks.
//!
//! hyper has one timer for request heads and idle connections, so that a short one cuts kept-alive connections and a
//! long one lets slow heads in. Here the connection knows which of the two it is in.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::task::AtomicWaker;
use http::uri::Scheme;
use http::{Method, Request, Response, Version};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use salvo::http::ResBody;
use salvo::{Depot, FlowCtrl};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// HTTP/2 requests at once on one connection.
const MAX_STREAMS: u32 = 1024;

/// The most of a request head, bytes.
const MAX_HEAD: usize = 64 * 1024;

/// The most headers of a request.
const MAX_HEADERS: usize = 128;

/// How long a connection may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    /// For a request head, and for the first byte on a new connection.
    pub(super) header_read: Duration,
    /// Between requests.
    pub(super) idle: Duration,
}

/// Requests under way on a connection; beyond all counting once it speaks HTTP/2, which has pings for this.
#[derive(Debug, Default)]
struct Busy {
    count: AtomicUsize,
    /// Woken when the last request has ended: until then no clock of the connection runs.
    idle: AtomicWaker,
}

const HTTP2: usize = usize::MAX / 2;

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
        let builder = self.builder(clocks);
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

    fn builder(&self, clocks: Clocks) -> auto::Builder<Tracked> {
        let mut builder = auto::Builder::new(Tracked(self.tasks.clone()));
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

/// Runs HTTP/2 streams where shutdown waits for them.
#[derive(Debug, Clone)]
struct Tracked(TaskTracker);

impl<F> Executor<F> for Tracked
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
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
        if request.version() == Version::HTTP_2 {
            self.busy.count.fetch_max(HTTP2, Ordering::Relaxed);
        }
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
            Ok(answer
                .into_hyper()
                .map(|body| CountedBody { body, _slot: slot }))
        })
    }
}

/// One request under way, until its response has gone.
struct Slot(Arc<Busy>);

impl Slot {
    fn take(busy: &Arc<Busy>) -> Self {
        busy.count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(busy))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.wake();
        }
    }
}

/// A response body that holds its request's slot.
struct CountedBody {
    body: ResBody,
    _slot: Slot,
}

impl http_body::Body for CountedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A client's stream that fails when a clock runs out.
struct ClockedIo<S> {
    inner: S,
    busy: Arc<Busy>,
    clocks: Clocks,
    timer: Pin<Box<Sleep>>,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A request is under way: it has clocks of its own.
    Serving,
    /// Nothing of the next head has come.
    Idle,
    /// Part of it has.
    Head,
}

impl<S> ClockedIo<S> {
    fn new(inner: S, busy: Arc<Busy>, clocks: Clocks) -> Self {
        let timer = Box::pin(tokio::time::sleep(clocks.header_read));
        Self {
            inner,
            busy,
            clocks,
            timer,
            phase: Phase::Head,
        }
    }

    /// Follows the requests: sets the clock when the last one has ended.
    fn follow(&mut self) {
        let serving = self.busy.count.load(Ordering::Acquire) > 0;
        if serving {
            self.phase = Phase::Serving;
        } else if self.phase == Phase::Serving {
            self.phase = Phase::Idle;
            self.timer.as_mut().reset(Instant::now() + self.clocks.idle);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClockedIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Before the look at the count: a request that ends in between wakes this task again.
        self.busy.idle.register(cx.waker());
        self.follow();
        match Pin::new(&mut self.inner).poll_read(cx, buf) {
            Poll::Pending => {}
            ready @ Poll::Ready(_) => {
                if self.phase == Phase::Idle {
                    self.phase = Phase::Head;
                    let due = Instant::now() + self.clocks.header_read;
                    self.timer.as_mut().reset(due);
                }
                return ready;
            }
        }
        if self.phase != Phase::Serving && self.timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ClockedIo<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
