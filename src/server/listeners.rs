//! Listening sockets: bound before anything is torn down, changed while the others serve, drained one by one.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{Clocks, Connections};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

/// A pause after a failed accept: out of descriptors stays so for a while.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A warning while accepting goes on failing: at most so often.
const ACCEPT_WARNING: Duration = Duration::from_secs(10);

/// What the system holds of answers that a client has not taken, bytes by connection. By itself it takes up to 4 MiB, so that clients
/// that stop reading could fill the system's memory, and one that reads slowly would not be seen to read at all for minutes.
const SEND_BUFFER: u32 = 256 * 1024;

/// What a listener serves with.
#[derive(Clone)]
pub(crate) struct Serve<H> {
    /// Answers every request.
    pub(crate) handler: H,
    /// Time for a request head.
    pub(crate) header_read: Duration,
    /// Time that an idle connection is kept.
    pub(crate) idle: Duration,
    /// Time that a client may take nothing of an answer.
    pub(crate) write_gap: Duration,
    /// The certificate; `None` serves without TLS.
    pub(crate) tls: Option<TlsAcceptor>,
}

impl<H> Serve<H> {
    fn clocks(&self) -> Clocks {
        Clocks {
            header_read: self.header_read,
            idle: self.idle,
            write_gap: self.write_gap,
        }
    }
}

/// An address as configured, and how often it was listed before: port 0 gives another port each time.
type Place = (String, usize);

/// All listeners of one kind (public or admin), by their place in the config.
#[derive(Default)]
pub(crate) struct Listeners {
    running: BTreeMap<Place, Running>,
    tasks: TaskTracker,
}

struct Running {
    local: SocketAddr,
    close: CancellationToken,
    /// Of the connections to come.
    clocks: Arc<ArcSwap<Clocks>>,
    tls: Option<Arc<ArcSwapOption<TlsAcceptor>>>,
}

/// Sockets that are bound but do not serve yet.
pub(crate) struct Bound {
    new: Vec<(Place, TcpListener)>,
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
        for place in places(addresses) {
            if !self.running.contains_key(&place) {
                let listener = bind(&place.0)
                    .await
                    .map_err(|error| (place.0.clone(), error))?;
                new.push((place, listener));
            }
        }
        Ok(Bound { new })
    }

    /// Serves on `bound`, gives all listeners clocks and certificate, and drains those that are not in `addresses`.
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
        for (place, listener) in bound.new {
            let running = start(listener, serve, &self.tasks)?;
            self.running.insert(place, running);
        }
        for running in self.running.values() {
            running.clocks.store(Arc::new(serve.clocks()));
            if let (Some(cell), Some(tls)) = (&running.tls, &serve.tls) {
                cell.store(Some(Arc::new(tls.clone())));
            }
        }
        let wanted = places(addresses);
        self.running.retain(|place, running| {
            let stays = wanted.contains(place);
            if !stays {
                running.close.cancel();
            }
            stays
        });
        Ok(())
    }

    /// Stops accepting everywhere. Running requests go on.
    pub(crate) fn stop_accepting(&mut self) {
        for running in std::mem::take(&mut self.running).into_values() {
            running.close.cancel();
        }
        self.tasks.close();
    }

    /// Waits until the last connection has ended, after [`Self::stop_accepting`].
    pub(crate) async fn finished(&self) {
        self.tasks.wait().await;
    }
}

fn places(addresses: &[String]) -> Vec<Place> {
    addresses
        .iter()
        .enumerate()
        .map(|(at, address)| {
            let before = addresses.iter().take(at).filter(|other| *other == address);
            (address.clone(), before.count())
        })
        .collect()
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
    // Inherited as well.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn start<H>(listener: TcpListener, serve: &Serve<H>, tasks: &TaskTracker) -> io::Result<Running>
where
    H: salvo::Handler + Clone,
{
    let local = listener.local_addr()?;
    let close = CancellationToken::new();
    let clocks = Arc::new(ArcSwap::from_pointee(serve.clocks()));
    let tls = serve
        .tls
        .clone()
        .map(|tls| Arc::new(ArcSwapOption::from_pointee(tls)));
    let connections = Arc::new(Connections {
        handler: serve.handler.clone(),
        clocks: Arc::clone(&clocks),
        close: close.clone(),
        tasks: tasks.clone(),
    });
    tasks.spawn(accept(listener, connections, tls.clone()));
    Ok(Running {
        local,
        close,
        clocks,
        tls,
    })
}

/// Accepts until the listener closes; its socket closes with it.
async fn accept<H: salvo::Handler>(
    listener: TcpListener,
    connections: Arc<Connections<H>>,
    tls: Option<Arc<ArcSwapOption<TlsAcceptor>>>,
) {
    let mut failures = Failures::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = connections.close.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, remote)) => {
                let acceptor = tls.as_ref().and_then(|tls| tls.load_full());
                let serving = Arc::clone(&connections);
                match acceptor {
                    None => connections.tasks.spawn(serving.serve(socket, remote)),
                    Some(tls) => connections
                        .tasks
                        .spawn(serving.serve_tls(socket, remote, tls)),
                };
            }
            Err(error) => {
                failures.tell(&error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Failed accepts, of which the log gets a few.
#[derive(Default)]
struct Failures {
    told: Option<Instant>,
    untold: u64,
}

impl Failures {
    fn tell(&mut self, error: &io::Error) {
        if self
            .told
            .is_some_and(|told| told.elapsed() < ACCEPT_WARNING)
        {
            self.untold += 1;
            return;
        }
        self.told = Some(Instant::now());
        let untold = std::mem::take(&mut self.untold);
        tracing::warn!(%error, untold, "accept failed");
    }
}
