//! What a plugin can answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, StatusCode};

use super::asked;
use super::{Asking, Phase, RequestSide, Told};
use crate::abi::import::direct::{self, Direct};
use crate::abi::import::fetch;
use crate::abi::import::host::line;
use crate::abi::import::pipe::ReaderGone;
use crate::abi::import::wait::wait;
use crate::abi::memory::{guard, guarded};
use crate::abi::raw::{
    Buf, E_CANCELLED, E_INVALID, E_STATE, Fault, Fetch, Header, OK, PENDING, Rc, Req, Str, Waker,
};
use crate::abi::{fault, numbers};

pub(super) unsafe extern "C" fn head(
    req: *mut Req,
    status: u16,
    headers: *const Header,
    count: usize,
) -> Rc {
    guarded(|| {
        // SAFETY: the request is held, and the headers are there for the call.
        let (side, headers) = unsafe {
            (
                RequestSide::of(req),
                asked::headers(headers, count, is_framing),
            )
        };
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(|status| !status.is_informational());
        let (Some(status), Some(headers)) = (status, headers) else {
            return E_INVALID;
        };
        if side.is_over() {
            return E_CANCELLED;
        }
        // Whoever comes first begins the answer; the others are told that it has begun.
        if direct::is_polled(side) {
            // Another thread that begins it at this very moment is a plugin at odds with itself: what is at hand goes out.
            if side.is_answered() {
                return E_STATE;
            }
            side.phase.store(Phase::Answered as u8, Ordering::Release);
            direct::with(side, |direct| {
                direct.status = status;
                direct.headers = Some(headers);
            });
            return OK;
        }
        let mut inner = side.inner();
        if !side.claim() {
            return E_STATE;
        }
        inner.rest().answer = Some((status, headers));
        drop(inner);
        side.pipe.nudge();
        OK
    })
}

/// How a body is framed is the gateway's affair.
fn is_framing(name: &HeaderName) -> bool {
    [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE].contains(name)
}

/// Whether more can be written now.
fn may_write(side: &RequestSide) -> Rc {
    if side.is_over() {
        return E_CANCELLED;
    }
    if side.phase() == Phase::Answered as u8 {
        OK
    } else {
        E_STATE
    }
}

/// Writes by `write` what goes straight to who polls. What is in the pipe goes out first.
fn at_hand(side: &RequestSide, write: impl FnOnce(&mut Direct) -> bool) -> bool {
    let is_written = direct::with(side, |direct| {
        let is_written = side.pipe.is_idle() && write(direct);
        if !is_written {
            direct.spill(&side.pipe);
        }
        is_written
    });
    is_written.unwrap_or(false)
}

fn written(written: Result<(), ReaderGone>) -> Rc {
    written.map_or(E_CANCELLED, |()| OK)
}

pub(super) unsafe extern "C" fn write(req: *mut Req, waker: *const Waker, data: Str) -> Rc {
    guarded(|| {
        // SAFETY: the request is held, and the data is there for the call.
        let (side, data) = unsafe { (RequestSide::of(req), data.bytes()) };
        let code = may_write(side);
        if code != OK {
            return code;
        }
        if at_hand(side, |direct| direct.copy(data)) {
            return OK;
        }
        let mut poll = |cx: &mut std::task::Context<'_>| {
            Poll::Ready(written(ready!(side.pipe.poll_copy(data, cx))))
        };
        // SAFETY: the waker is there for the call, or null.
        unsafe { wait(&side.host, Some(side), waker, &mut poll) }
    })
}

pub(super) unsafe extern "C" fn write_buf(req: *mut Req, waker: *const Waker, buf: *mut Buf) -> Rc {
    guarded(|| {
        // SAFETY: the request is held.
        let side = unsafe { RequestSide::of(req) };
        let code = may_write(side);
        if code != OK {
            return code;
        }
        let take = || {
            // SAFETY: the buffer is moved: its place is emptied.
            unsafe {
                let bytes = buf
                    .read()
                    .into_bytes(Some(Arc::clone(&side.host.library.keep)));
                buf.write(Buf::EMPTY);
                bytes
            }
        };
        // SAFETY: it is there for the call.
        if unsafe { (*buf).len } == 0 {
            drop(take());
            return OK;
        }
        if at_hand(side, |direct| direct.take_over(take)) {
            return OK;
        }
        let mut poll = |cx: &mut std::task::Context<'_>| {
            Poll::Ready(written(ready!(side.pipe.poll_move(take, cx))))
        };
        // SAFETY: the waker is there for the call, or null.
        unsafe { wait(&side.host, Some(side), waker, &mut poll) }
    })
}

pub(super) unsafe extern "C" fn forward(req: *mut Req, fetch: *mut Fetch) -> Rc {
    guarded(|| {
        // SAFETY: the request is held, and the exchange is open.
        let side = unsafe { RequestSide::of(req) };
        let code = may_write(side);
        if code != OK {
            return code;
        }
        // SAFETY: as above.
        match unsafe { fetch::take_body(fetch) } {
            Ok(body) => {
                let mut body = Some(body);
                direct::with(side, |direct| direct.forwarded = body.take());
                if body.is_some() {
                    side.inner().rest().forwarded = body;
                }
                side.phase.store(Phase::Forwarded as u8, Ordering::Release);
                OK
            }
            Err(code) => code,
        }
    })
}

pub(super) unsafe extern "C" fn flush_poll(req: *mut Req, waker: *const Waker) -> Rc {
    guarded(|| {
        // SAFETY: the request is held.
        let side = unsafe { RequestSide::of(req) };
        direct::with(side, |direct| direct.spill(&side.pipe));
        let mut poll = |cx: &mut std::task::Context<'_>| {
            Poll::Ready(written(ready!(side.pipe.poll_empty(cx))))
        };
        // SAFETY: the waker is there for the call, or null.
        unsafe { wait(&side.host, Some(side), waker, &mut poll) }
    })
}

pub(super) unsafe extern "C" fn cancel_poll(req: *mut Req, waker: *const Waker) -> Rc {
    guarded(|| {
        // SAFETY: the request is held.
        let side = unsafe { RequestSide::of(req) };
        let mut poll = |cx: &mut std::task::Context<'_>| {
            if side.is_over() {
                return Poll::Ready(E_CANCELLED);
            }
            // Out of its place while it is polled: it takes the plugin's waker.
            let gone = side.inner().rest().gone.take();
            let mut gone = gone.unwrap_or_else(|| {
                let cx = side.cx.clone();
                Box::pin(async move { cx.host().client_gone().await })
            });
            if gone.as_mut().poll(cx).is_ready() {
                return Poll::Ready(E_CANCELLED);
            }
            let former = side.inner().rest().gone.replace(gone);
            drop(former);
            Poll::Pending
        };
        // SAFETY: the waker is there for the call, or null.
        let code = unsafe { wait(&side.host, Some(side), waker, &mut poll) };
        if code == PENDING {
            // SAFETY: as above.
            unsafe { side.remember(Asking::Gone, waker) };
        }
        code
    })
}

pub(super) unsafe extern "C" fn keep_running(req: *mut Req, max_ms: u32) -> Rc {
    guarded(|| {
        // SAFETY: the request is held.
        let side = unsafe { RequestSide::of(req) };
        if side.is_over() {
            return E_CANCELLED;
        }
        side.cx
            .host()
            .keep_running(Duration::from_millis(max_ms.into()));
        OK
    })
}

pub(super) unsafe extern "C" fn fail(req: *mut Req, fault: *const Fault) {
    guard((), || {
        // SAFETY: the request is held, and the fault is there for the call.
        let (side, error) = unsafe { (RequestSide::of(req), fault::read(fault)) };
        if let Some(error) = error {
            side.inner().rest().fault = Some(Told::Said(error));
        }
    });
}

pub(super) unsafe extern "C" fn usage(req: *mut Req, key: Str, amount: i64) -> Rc {
    guarded(|| {
        // SAFETY: the request is held, and the key is there for the call.
        let (side, key) = unsafe { (RequestSide::of(req), key.as_text()) };
        let (Some(key), Ok(amount)) = (key, u64::try_from(amount)) else {
            return E_INVALID;
        };
        if side.is_over() {
            return E_CANCELLED;
        }
        side.cx.host().usage(key, amount);
        OK
    })
}

pub(super) unsafe extern "C" fn log(req: *mut Req, level: i32, message: Str) {
    guard((), || {
        // SAFETY: the request is held, and the text is there for the call.
        let (side, message) = unsafe { (RequestSide::of(req), line(message)) };
        side.cx.host().log(numbers::level(level), &message);
    });
}
