//! `aurora.http.v1`.

mod begin;
mod upload;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker as StdWaker, ready};

use aurora_openai::sse::{Decoder, Event};
use bytes::Bytes;
use futures_core::Stream as _;
use http::{HeaderName, StatusCode};

use super::handles::Owner;
use super::later::Later;
use super::pipe::Pipe;
use super::request::RequestSide;
use super::wait::wait;
use crate::abi::memory::{guard, guarded, size};
use crate::abi::raw::{
    Buf, E_CANCELLED, E_NOT_FOUND, E_STATE, EOF, Fault, Fetch, Header, HttpApi, OK, Rc, Req, Str,
    Waker,
};
use crate::abi::{fault, numbers};
use crate::{Body, Error, Headers, Response};

pub(super) static API: HttpApi = HttpApi {
    size: size::<HttpApi>(),
    reserved: 0,
    open: begin::open,
    body_write: upload::body_write,
    body_end: upload::body_end,
    head_poll,
    header,
    header_at,
    chunk_poll,
    event_poll,
    chunk_retain,
    fault: fault_of,
    close,
    native,
    routes_by_model,
    body_len,
};

/// The largest event, bytes.
const MAX_EVENT: usize = 32 * 1024 * 1024;

struct FetchSide {
    owner: Owner,
    answer: Later<Response>,
    upload: Option<Arc<Pipe>>,
    /// Of who waits for the answer, while another part of the plugin sends the body.
    waiter: Option<StdWaker>,
    piece: Bytes,
    decoder: Option<Decoder>,
    event: Event,
}

impl FetchSide {
    /// # Safety
    /// `fetch` is open, and used by one thread at a time.
    unsafe fn of<'a>(fetch: *mut Fetch) -> &'a mut Self {
        // SAFETY: the caller vouches for it.
        unsafe { &mut *fetch.cast::<Self>() }
    }

    /// The next piece into its place.
    fn poll_piece(&mut self, cx: &mut TaskContext<'_>) -> Poll<Rc> {
        let response = match ready!(self.answer.poll(cx)) {
            Ok(response) => response,
            Err(code) => return Poll::Ready(code),
        };
        match ready!(Pin::new(&mut response.body).poll_next(cx)) {
            None => {
                // A stream that has ended is not asked again.
                response.body = Body::empty();
                Poll::Ready(EOF)
            }
            Some(Ok(piece)) => {
                self.piece = piece;
                Poll::Ready(OK)
            }
            Some(Err(error)) => Poll::Ready(self.answer.fail(error)),
        }
    }

    /// The next event into its place.
    fn poll_event(&mut self, cx: &mut TaskContext<'_>) -> Poll<Rc> {
        loop {
            let decoder = self.decoder.get_or_insert_with(|| Decoder::new(MAX_EVENT));
            if let Some(event) = decoder.next_event() {
                self.event = event;
                return Poll::Ready(OK);
            }
            let code = ready!(self.poll_piece(cx));
            if code != OK {
                return Poll::Ready(code);
            }
            let piece = std::mem::take(&mut self.piece);
            let fed = self
                .decoder
                .as_mut()
                .is_some_and(|decoder| decoder.feed(&piece).is_ok());
            if !fed {
                return Poll::Ready(
                    self.answer
                        .fail(Error::internal("an event is larger than 32 MiB")),
                );
            }
        }
    }

    fn wait(
        &mut self,
        waker: *const Waker,
        mut poll: impl FnMut(&mut Self, &mut TaskContext<'_>) -> Poll<Rc>,
    ) -> Rc {
        // SAFETY: the exchange is in use.
        let (host, request) = unsafe { (self.owner.of_host(), self.owner.of_request()) };
        let mut poll = |cx: &mut TaskContext<'_>| poll(self, cx);
        // SAFETY: the waker is there for the call, or null: it came from the plugin's call.
        unsafe { wait(host, request, waker, &mut poll) }
    }

    /// Waits for something of the answer.
    fn wait_for_answer(
        &mut self,
        waker: *const Waker,
        mut poll: impl FnMut(&mut Self, &mut TaskContext<'_>) -> Poll<Rc>,
    ) -> Rc {
        self.wait(waker, |side, cx| {
            let polled = poll(side, cx);
            // Whoever sends the body polls the same exchange, and must not take it away from who waits here.
            let waits = polled.is_pending() && side.upload.is_some();
            side.waiter = waits.then(|| cx.waker().clone());
            polled
        })
    }
}

impl Drop for FetchSide {
    fn drop(&mut self) {
        if let Some(upload) = &self.upload {
            upload.end(Err(fault::of_code(E_CANCELLED)));
        }
    }
}

/// Takes the answer's body out of an exchange, which is over then.
///
/// # Safety
/// `fetch` is open.
pub(super) unsafe fn take_body(fetch: *mut Fetch) -> Result<Body, Rc> {
    // SAFETY: the caller vouches for it.
    let side = unsafe { FetchSide::of(fetch) };
    let Some(response) = side.answer.open() else {
        return Err(E_STATE);
    };
    if side.decoder.is_some() {
        // Some of what follows the last event may have been read with it.
        return Err(E_STATE);
    }
    let body = std::mem::take(&mut response.body);
    // SAFETY: as above; it is not used again.
    unsafe { close(fetch) };
    Ok(body)
}

unsafe extern "C" fn head_poll(fetch: *mut Fetch, waker: *const Waker, out: *mut u16) -> Rc {
    guarded(|| {
        // SAFETY: the exchange is open.
        let side = unsafe { FetchSide::of(fetch) };
        let mut status = StatusCode::OK;
        let code = side.wait_for_answer(waker, |side, cx| {
            Poll::Ready(match ready!(side.answer.poll(cx)) {
                Ok(response) => {
                    status = response.status;
                    OK
                }
                Err(code) => code,
            })
        });
        if code == OK && !out.is_null() {
            // SAFETY: `out` is to be filled.
            unsafe { out.write(status.as_u16()) };
        }
        code
    })
}

/// The headers of the answer, when they are there.
///
/// # Safety
/// `fetch` is open.
unsafe fn headers<'a>(fetch: *mut Fetch) -> Option<&'a Headers> {
    // SAFETY: the caller vouches for it.
    let response = unsafe { FetchSide::of(fetch) }.answer.open();
    response.map(|response| &response.headers)
}

unsafe extern "C" fn header(fetch: *mut Fetch, name: Str, out: *mut Str) -> Rc {
    guarded(|| {
        // SAFETY: the exchange is open, and the name is there for the call.
        let (headers, name) = unsafe { (headers(fetch), HeaderName::from_bytes(name.bytes())) };
        let Some(headers) = headers else {
            return E_STATE;
        };
        let Some(value) = name.ok().and_then(|name| headers.get(name)) else {
            return E_NOT_FOUND;
        };
        // SAFETY: `out` is to be filled.
        unsafe { out.write(Str::of(value.as_bytes())) };
        OK
    })
}

unsafe extern "C" fn header_at(fetch: *mut Fetch, index: u32, out: *mut Header) -> Rc {
    guarded(|| {
        // SAFETY: the exchange is open.
        let Some(headers) = (unsafe { headers(fetch) }) else {
            return E_STATE;
        };
        let Some((name, value)) = headers.iter().nth(index as usize) else {
            return E_NOT_FOUND;
        };
        let header = Header {
            name: Str::text(name.as_str()),
            value: Str::of(value.as_bytes()),
        };
        // SAFETY: `out` is to be filled.
        unsafe { out.write(header) };
        OK
    })
}

unsafe extern "C" fn chunk_poll(fetch: *mut Fetch, waker: *const Waker, out: *mut Str) -> Rc {
    guarded(|| {
        // SAFETY: the exchange is open.
        let side = unsafe { FetchSide::of(fetch) };
        let code = side.wait_for_answer(waker, FetchSide::poll_piece);
        if code == OK {
            // SAFETY: `out` is to be filled; the piece stays until the next call.
            unsafe { out.write(Str::of(&side.piece)) };
        }
        code
    })
}

unsafe extern "C" fn event_poll(
    fetch: *mut Fetch,
    waker: *const Waker,
    name: *mut Str,
    data: *mut Str,
) -> Rc {
    guarded(|| {
        // SAFETY: the exchange is open.
        let side = unsafe { FetchSide::of(fetch) };
        let code = side.wait_for_answer(waker, FetchSide::poll_event);
        if code != OK {
            return code;
        }
        let event = &side.event;
        for (place, text) in [(name, event.name.as_str()), (data, event.data.as_str())] {
            if !place.is_null() {
                // SAFETY: the place is to be filled; the event stays until the next call.
                unsafe { place.write(Str::text(text)) };
            }
        }
        OK
    })
}

unsafe extern "C" fn chunk_retain(fetch: *mut Fetch, out: *mut Buf) -> Rc {
    guarded(|| {
        // SAFETY: the exchange is open, and `out` is to be filled.
        unsafe { out.write(Buf::owning(FetchSide::of(fetch).piece.clone())) };
        OK
    })
}

unsafe extern "C" fn fault_of(fetch: *mut Fetch, out: *mut Fault) -> Rc {
    guarded(|| {
        // SAFETY: the exchange is open, and the struct says its size; the texts stay until the next call.
        unsafe { FetchSide::of(fetch).answer.fault(out) }
    })
}

unsafe extern "C" fn close(fetch: *mut Fetch) {
    guard((), || {
        // SAFETY: the exchange is open.
        let open = unsafe { FetchSide::of(fetch).owner.open() };
        drop(open.take(fetch.cast::<FetchSide>()));
    });
}

unsafe extern "C" fn native(req: *mut Req, operation: i32) -> i32 {
    guard(0, || {
        // SAFETY: the request is held.
        let side = unsafe { RequestSide::of(req) };
        let native =
            numbers::operation(operation).is_some_and(|operation| side.cx.host().native(operation));
        i32::from(native)
    })
}

unsafe extern "C" fn routes_by_model(req: *mut Req) -> i32 {
    guard(1, || {
        // SAFETY: the request is held.
        let side = unsafe { RequestSide::of(req) };
        i32::from(side.cx.host().routes_by_model())
    })
}

unsafe extern "C" fn body_len(fetch: *mut Fetch) -> i64 {
    guard(-1, || {
        // SAFETY: the exchange is open.
        let response = unsafe { FetchSide::of(fetch) }.answer.open();
        let length = response.and_then(|response| response.body.length());
        length.map_or(-1, |length| i64::try_from(length).unwrap_or(-1))
    })
}
