//! Listening sockets: bound before anything is torn down, changed while the others serve, drained one by one.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use salvo::conn::tcp::TcpAcceptor;
use salvo::conn::{Accepted, Acceptor, Holding};
use salvo::fuse::{ArcFusePolicy, FuseConfig};
use salvo::server::ServerHandle;
use salvo::{Router, Server, Service};
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

/// HTTP/2 requests at once on one connection.
const MAX_STREAMS: u32 = 1024;

/// The most of a request head.
const MAX_HEAD: usize = 64 * 1024;

/// What a listener serves with.
#[derive(Clone)]
pub(crate) struct Serve<H> {
    /// Answers every request.
    pub(crate) handler: H,
    /// Time for a request head.
    pub(crate) header_read: Duration,
    /// Time that an idle connection is kept.
    pub(crate) idle: Duration,
    /// The certificate; `None` serves without TLS.
    pub(crate) tls: Option<TlsAcceptor>,
}

/// All listeners of one kind (public or admin), by the address as configured.
#[derive(Default)]
pub(crate) struct Listeners {
    running: BTreeMap<String, Running>,
    tasks: TaskTracker,
}

struct Running {
    local: SocketAddr,
    handle: ServerHandle,
    close: CancellationToken,
    closed: CancellationToken,
    tls: Option<Arc<ArcSwapOption<TlsAcceptor>>>,
}

/// Sockets that are bound but do not serve yet.
pub(crate) struct Bound {
    new: Vec<(String, TcpListener)>,
}

impl Listeners {
    /// The addresses that they got.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.running.values().map(|running| running.local).collect()
    }

    /// Whether any listener serves TLS.
    pub(crate) fn is_tls(&self) -> Option<bool> {
        self.running
            .values()
            .next()
            .map(|running| running.tls.is_some())
    }

    /// Binds those of `addresses` that are new. Nothing changes yet.
    ///
    /// # Errors
    /// The address that cannot be bound, and why.
    pub(crate) async fn bind(&self, addresses: &[String]) -> Result<Bound, (String, io::Error)> {
        let mut new = Vec::new();
        for address in addresses {
            if !self.running.contains_key(address) {
                let listener = bind(address)
                    .await
                    .map_err(|error| (address.clone(), error))?;
                new.push((address.clone(), listener));
            }
        }
        Ok(Bound { new })
    }

    /// Serves on `bound`, gives all listeners the certificate, and drains those that are not in `addresses`.
    ///
    /// # Errors
    /// Where a socket fails at the last moment.
    pub(crate) fn commit<H>(
        &mut self,
        bound: Bound,
        addresses: &[String],
        serve: &Serve<H>,
    ) -> io::Result<()>
    where
        H: salvo::Handler + Clone,
    {
        for (address, listener) in bound.new {
            let running = start(listener, serve, &self.tasks)?;
            self.running.insert(address, running);
        }
        for running in self.running.values() {
            if let (Some(cell), Some(tls)) = (&running.tls, &serve.tls) {
                cell.store(Some(Arc::new(tls.clone())));
            }
        }
        let gone: Vec<String> = self
            .running
            .keys()
            .filter(|address| !addresses.contains(address))
            .cloned()
            .collect();
        for address in gone {
            if let Some(running) = self.running.remove(&address) {
                self.tasks.spawn(running.drain());
            }
        }
        Ok(())
    }

    /// Stops accepting everywhere. Running requests go on.
    pub(crate) async fn stop_accepting(&mut self) {
        for running in std::mem::take(&mut self.running).into_values() {
            running.drain().await;
        }
        self.tasks.close();
    }

    /// Waits until the last connection has ended, after [`Self::stop_accepting`].
    pub(crate) async fn finished(&self) {
        self.tasks.wait().await;
    }
}

impl Running {
    async fn drain(self) {
        self.close.cancel();
        self.closed.cancelled().await;
        self.handle.stop_graceful(None);
    }
}

async fn bind(address: &str) -> io::Result<TcpListener> {
    let mut last = None;
    for resolved in tokio::net::lookup_host(address).await? {
        match listen(resolved) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::other("the name has no address")))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit it on Linux. salvo sets it nowhere, and without it a streamed answer on a kept-alive
    // connection waits 40 ms for the client's delayed acknowledgement.
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn start<H>(listener: TcpListener, serve: &Serve<H>, tasks: &TaskTracker) -> io::Result<Running>
where
    H: salvo::Handler + Clone,
{
    let local = listener.local_addr()?;
    let (close, closed) = (CancellationToken::new(), CancellationToken::new());
    let acceptor = TcpAcceptor::try_from(listener)?;
    let holdings = acceptor.holdings().to_vec();
    let door = Door {
        tcp: Some(acceptor),
        holdings,
        close: close.clone(),
        closed: closed.clone(),
    };
    let service = Service::new(Router::with_path("{**path}").goal(serve.handler.clone()));
    let cell = serve
        .tls
        .clone()
        .map(|tls| Arc::new(ArcSwapOption::from_pointee(tls)));
    let handle = match &cell {
        None => run(door, service, serve, tasks),
        Some(cell) => {
            let acceptor = salvo::conn::rustls::RustlsAcceptor::new(
                door,
                Arc::clone(cell),
                CancellationToken::new(),
            );
            run(acceptor, service, serve, tasks)
        }
    };
    Ok(Running {
        local,
        handle,
        close,
        closed,
        tls: cell,
    })
}

fn run<A, H>(acceptor: A, service: Service, serve: &Serve<H>, tasks: &TaskTracker) -> ServerHandle
where
    A: Acceptor + Send + 'static,
    A::Stream: Send + 'static,
    H: salvo::Handler + Clone,
{
    // Not the strict preset: it cuts streams that are silent for 30 s.
    let fuse = FuseConfig::disabled()
        .with_tls_handshake_timeout(serve.header_read)
        .with_http1_header_timeout(serve.header_read);
    let mut server = Server::new(acceptor).fuse_config(fuse);
    server.http1_mut().max_buf_size(MAX_HEAD).half_close(false);
    server
        .http2_mut()
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .timer(salvo::rt::tokio::TokioTimer::new())
        .keep_alive_interval(serve.idle / 4)
        .keep_alive_timeout(serve.header_read);
    let handle = server.handle();
    tasks.spawn(async move {
        if let Err(error) = server.try_serve(service).await {
            tracing::error!(%error, "listener failed");
        }
    });
    handle
}

/// An acceptor that can close its socket while running requests go on: salvo's own keeps it until the last one ends,
/// and new clients would hang in the backlog.
struct Door {
    tcp: Option<TcpAcceptor>,
    holdings: Vec<Holding>,
    close: CancellationToken,
    closed: CancellationToken,
}

impl Acceptor for Door {
    type Coupler = <TcpAcceptor as Acceptor>::Coupler;
    type Stream = <TcpAcceptor as Acceptor>::Stream;

    fn holdings(&self) -> &[Holding] {
        &self.holdings
    }

    async fn accept(
        &mut self,
        fuse: Option<ArcFusePolicy>,
    ) -> io::Result<Accepted<Self::Coupler, Self::Stream>> {
        if let Some(tcp) = &mut self.tcp {
            tokio::select! {
                biased;
                () = self.close.cancelled() => {}
                accepted = tcp.accept(fuse) => return accepted,
            }
            self.tcp = None;
        }
        self.closed.cancel();
        std::future::pending().await
    }
}
