//! A client's stream that fails when a clock runs out.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::busy::Busy;
use super::unparsed;

/// How long the rest of what a client sends is read after its head was refused. A connection that is closed while its client
/// still sends is reset, and the client may never see why.
const LINGER: Duration = Duration::from_secs(1);

/// How long a connection may take.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct Clocks {
    /// For a request head, and for the first byte on a new connection.
    pub(in crate::server) header_read: Duration,
    /// Between requests.
    pub(in crate::server) idle: Duration,
    /// With something to send of which the client takes nothing.
    pub(in crate::server) write_gap: Duration,
}

/// See the module.
pub(super) struct ClockedIo<S> {
    inner: S,
    busy: Arc<Busy>,
    clocks: Clocks,
    timer: Pin<Box<Sleep>>,
    phase: Phase,
    /// Whether everything that was written has left the process.
    flushed: bool,
    /// Set while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    /// How many requests had begun when all of them were answered to the last byte: what is written before the next one
    /// begins is hyper's own answer.
    answered: usize,
    /// What is left of the answer to a head that is none.
    refusal: Option<Bytes>,
    /// Runs after that.
    linger: Option<Pin<Box<Sleep>>>,
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
    pub(super) fn new(inner: S, busy: Arc<Busy>, clocks: Clocks) -> Self {
        let timer = Box::pin(tokio::time::sleep(clocks.header_read));
        Self {
            inner,
            busy,
            clocks,
            timer,
            phase: Phase::Head,
            flushed: true,
            stalled: None,
            answered: 0,
            refusal: None,
            linger: None,
        }
    }

    /// Follows the requests: sets the clock when the last one has ended and its answer has left.
    fn follow(&mut self) {
        if self.busy.is_busy() || !self.flushed {
            self.phase = Phase::Serving;
        } else if self.phase == Phase::Serving {
            self.phase = Phase::Idle;
            self.answered = self.busy.begun();
            self.timer.as_mut().reset(Instant::now() + self.clocks.idle);
        }
    }

    /// Something is written. An answer that was there at once may be the first that is seen of its request.
    fn begin_writing(&mut self) {
        self.flushed = false;
        if self.answered != self.busy.begun() {
            self.phase = Phase::Serving;
        }
    }

    /// Watches what came of writing: fails where the client has taken nothing for too long.
    fn watch<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let gap = self.clocks.write_gap;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(gap)));
        ready!(stalled.as_mut().poll(cx));
        self.busy.stop();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Whether `bytes` are hyper's own answer to a head that is none.
    fn is_refusal(&self, bytes: &[u8]) -> bool {
        self.answered == self.busy.begun() && unparsed::is_answer(bytes)
    }
}

impl<S: AsyncWrite + Unpin> ClockedIo<S> {
    /// Writes in place of `head`, which is `length` bytes long with all that follows it.
    fn poll_refusal(
        &mut self,
        cx: &mut Context<'_>,
        head: &[u8],
        length: usize,
    ) -> Poll<io::Result<usize>> {
        let left = self.refusal.get_or_insert_with(|| unparsed::answer(head));
        while !left.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, left))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            left.advance(written);
        }
        Poll::Ready(Ok(length))
    }
}

impl<S: AsyncRead + Unpin> ClockedIo<S> {
    /// Reads what still comes, for a moment.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self
            .linger
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        let mut space = [0; 4096];
        while timer.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClockedIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Before the look at the count: a request that ends in between wakes this task again.
        self.busy.wake_when_idle(cx.waker());
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

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClockedIo<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.begin_writing();
        let written = if self.is_refusal(buf) {
            self.poll_refusal(cx, buf, buf.len())
        } else {
            Pin::new(&mut self.inner).poll_write(cx, buf)
        };
        self.watch(written, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        ready!(self.watch(flushed, cx))?;
        if !self.flushed {
            self.flushed = true;
            self.follow();
            if self.phase != Phase::Serving {
                // Nobody may read until it runs out; then that task reads, and learns of it.
                let _runs = self.timer.as_mut().poll(cx);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.inner).poll_shutdown(cx);
        ready!(self.watch(shut, cx))?;
        if self.refusal.is_some() {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.begin_writing();
        let first = bufs.iter().find(|buf| !buf.is_empty());
        let written = match first {
            Some(head) if self.is_refusal(head) => {
                let length = bufs.iter().map(|buf| buf.len()).sum();
                self.poll_refusal(cx, head, length)
            }
            _ => Pin::new(&mut self.inner).poll_write_vectored(cx, bufs),
        };
        self.watch(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
