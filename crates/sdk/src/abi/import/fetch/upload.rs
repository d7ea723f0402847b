//! The body of a request to an upstream, where the plugin sends it piece by piece.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker as StdWaker, ready};

use super::FetchSide;
use crate::abi::import::pipe::ReaderGone;
use crate::abi::memory::guarded;
use crate::abi::raw::{E_CANCELLED, E_STATE, Fetch, OK, Rc, Str, Waker};

/// Two parts of a plugin that wait for the same exchange.
struct Both(StdWaker, StdWaker);

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake_by_ref();
        self.1.wake_by_ref();
    }
}

impl FetchSide {
    /// Gets the request further, which nobody else may do; the code where that failed.
    fn drive(&mut self, cx: &mut Context<'_>) -> Option<Rc> {
        if let Some(settled) = self.answer.settled() {
            return settled.err();
        }
        let other = self.waiter.as_ref();
        let both = other
            .filter(|waiter| !waiter.will_wake(cx.waker()))
            .map(|waiter| StdWaker::from(Arc::new(Both(waiter.clone(), cx.waker().clone()))));
        let waker = both.as_ref().unwrap_or(cx.waker());
        let Poll::Ready(head) = self.answer.poll(&mut Context::from_waker(waker)) else {
            return None;
        };
        let failed = head.err();
        // It is there, or never will be; who waits for it may not be told by anybody else.
        self.wake_waiter();
        failed
    }

    fn wake_waiter(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }
}

pub(super) unsafe extern "C" fn body_write(
    fetch: *mut Fetch,
    waker: *const Waker,
    data: Str,
) -> Rc {
    guarded(|| {
        // SAFETY: the exchange is open, and the data is there for the call.
        let (side, data) = unsafe { (FetchSide::of(fetch), data.bytes()) };
        let Some(pipe) = side.upload.clone() else {
            return E_STATE;
        };
        side.wait(waker, |side, cx| {
            if let Some(code) = side.drive(cx) {
                return Poll::Ready(code);
            }
            let written = ready!(pipe.poll_copy(data, cx));
            Poll::Ready(written.map_or_else(|ReaderGone| E_CANCELLED, |()| OK))
        })
    })
}

pub(super) unsafe extern "C" fn body_end(fetch: *mut Fetch) -> Rc {
    guarded(|| {
        // SAFETY: the exchange is open.
        let side = unsafe { FetchSide::of(fetch) };
        let Some(pipe) = side.upload.take() else {
            return E_STATE;
        };
        pipe.end(Ok(()));
        // Who sent the body drives the request no more.
        side.wake_waiter();
        OK
    })
}
