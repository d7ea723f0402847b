//! Waiting: by being polled again, or, where a plugin may block, by blocking.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker as StdWaker};
use std::thread::Thread;

use super::blocking;
use super::host::HostSide;
use super::request::RequestSide;
use crate::abi::raw::{E_CANCELLED, E_STATE, PENDING, Rc, Waker};
use crate::abi::waker;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls once and gives [`PENDING`]. With a null waker it waits until there is a code, in a plugin that may block; in others it
/// refuses to wait.
///
/// Who waits inside of a request is woken when its client has gone. Once the instance is destroyed, nothing is waited for.
///
/// # Safety
/// `waker` is null or points to a waker that is there for the call.
pub(super) unsafe fn wait(
    host: &HostSide,
    request: Option<&RequestSide>,
    waker: *const Waker,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<Rc>,
) -> Rc {
    if host.is_over() {
        return E_CANCELLED;
    }
    if !waker.is_null() {
        let poll = |waker: &StdWaker| poll(&mut Context::from_waker(waker));
        // SAFETY: the caller vouches for it.
        return match unsafe { waker::with(waker, Some(&host.library.keep), poll) } {
            Poll::Ready(code) => code,
            Poll::Pending => PENDING,
        };
    }
    if host.is_blocking() {
        return block(host, request, poll);
    }
    match poll(&mut Context::from_waker(StdWaker::noop())) {
        Poll::Ready(code) => code,
        Poll::Pending => E_STATE,
    }
}

/// Waits on this thread.
fn block(
    host: &HostSide,
    request: Option<&RequestSide>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<Rc>,
) -> Rc {
    // SAFETY: it is used in this call alone, which is made by what this thread runs for the request.
    let request = request.or_else(|| unsafe { blocking::served() });
    let unpark = StdWaker::from(Arc::new(Unpark(std::thread::current())));
    let mut listening = None;
    loop {
        if host.is_over() || request.is_some_and(RequestSide::is_over) {
            return E_CANCELLED;
        }
        if let Poll::Ready(code) = poll(&mut Context::from_waker(&unpark)) {
            return code;
        }
        let Some(request) = request.filter(|_| listening.is_none()) else {
            std::thread::park();
            continue;
        };
        // From here on its end wakes us; it may have come before.
        listening = Some(Listening::to(request, &unpark));
    }
}

/// A thread that is woken when a request ends, until it waits no more.
struct Listening<'a> {
    request: &'a RequestSide,
    waker: &'a StdWaker,
}

impl<'a> Listening<'a> {
    fn to(request: &'a RequestSide, waker: &'a StdWaker) -> Self {
        request.listen(waker.clone());
        Self { request, waker }
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.request.leave(self.waker);
    }
}
