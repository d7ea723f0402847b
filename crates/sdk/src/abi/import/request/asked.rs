//! What a plugin can ask of a request.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, ready};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::incoming::Read;
use super::{Asking, Head, RequestSide, Told};
use crate::Headers;
use crate::abi::import::wait::wait;
use crate::abi::memory::{guard, guarded, size};
use crate::abi::raw::{
    Buf, E_CANCELLED, E_INVALID, E_NOT_FOUND, E_STATE, Header, OK, PENDING, REQ_HAS_QUERY,
    REQ_STREAM, Rc, Req, ReqInfo, Str, Waker,
};

pub(super) unsafe extern "C" fn retain(req: *mut Req) {
    // SAFETY: who retains holds it.
    unsafe { Arc::increment_strong_count(req.cast::<RequestSide>()) };
}

pub(super) unsafe extern "C" fn release(req: *mut Req) {
    // SAFETY: who releases has retained.
    guard((), || unsafe {
        Arc::decrement_strong_count(req.cast::<RequestSide>());
    });
}

pub(super) unsafe extern "C" fn info(req: *mut Req, out: *mut ReqInfo) -> Rc {
    guarded(|| {
        // SAFETY: the request is held, and the struct says its size.
        let (side, known) = unsafe { (RequestSide::of(req), out.cast::<u32>().read()) };
        if (known as usize) < size_of::<ReqInfo>() {
            return E_INVALID;
        }
        let (head, facts) = (side.head(), side.cx.host().facts());
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let has_query = if head.query.is_some() {
            REQ_HAS_QUERY
        } else {
            0
        };
        let info = ReqInfo {
            size: size::<ReqInfo>(),
            flags: has_query | if facts.stream { REQ_STREAM } else { 0 },
            header_count: count(head.headers.len()),
            param_count: count(facts.params.iter().count()),
            method: Str::text(side.method.as_str()),
            path: Str::text(&head.path),
            query: Str::text(head.query.as_deref().unwrap_or_default()),
            route: Str::text(&facts.route),
            request_id: Str::text(&facts.request_id),
            client: Str::text(&facts.client.name),
            owner: Str::text(&facts.client.owner),
            body_len: side
                .body_len
                .map_or(-1, |length| i64::try_from(length).unwrap_or(-1)),
            max_body: side.max_body,
        };
        // SAFETY: it is large enough.
        unsafe { out.write(info) };
        OK
    })
}

/// Fills `out`, or says that there is nothing.
///
/// # Safety
/// `out` is to be filled.
unsafe fn found<T>(out: *mut T, value: Option<T>) -> Rc {
    let Some(value) = value else {
        return E_NOT_FOUND;
    };
    // SAFETY: the caller vouches for it.
    unsafe { out.write(value) };
    OK
}

pub(super) unsafe extern "C" fn header(req: *mut Req, name: Str, out: *mut Str) -> Rc {
    guarded(|| {
        // SAFETY: the request is held, the name is there for the call, and `out` is to be filled.
        unsafe {
            let name = HeaderName::from_bytes(name.bytes()).ok();
            let value = name.and_then(|name| RequestSide::of(req).head().headers.get(name));
            found(out, value.map(|value| Str::of(value.as_bytes())))
        }
    })
}

pub(super) unsafe extern "C" fn header_at(req: *mut Req, index: u32, out: *mut Header) -> Rc {
    guarded(|| {
        // SAFETY: the request is held, and `out` is to be filled.
        unsafe {
            let header = RequestSide::of(req)
                .head()
                .headers
                .iter()
                .nth(index as usize);
            found(
                out,
                header.map(|(name, value)| Header {
                    name: Str::text(name.as_str()),
                    value: Str::of(value.as_bytes()),
                }),
            )
        }
    })
}

pub(super) unsafe extern "C" fn param(req: *mut Req, name: Str, out: *mut Str) -> Rc {
    guarded(|| {
        // SAFETY: the request is held, the name is there for the call, and `out` is to be filled.
        unsafe {
            let params = &RequestSide::of(req).cx.host().facts().params;
            let value = name.as_text().and_then(|name| params.get(name));
            found(out, value.map(Str::text))
        }
    })
}

pub(super) unsafe extern "C" fn param_at(req: *mut Req, index: u32, out: *mut Header) -> Rc {
    guarded(|| {
        // SAFETY: the request is held, and `out` is to be filled.
        unsafe {
            let param = RequestSide::of(req)
                .cx
                .host()
                .facts()
                .params
                .iter()
                .nth(index as usize);
            found(
                out,
                param.map(|(name, value)| Header {
                    name: Str::text(name),
                    value: Str::text(value),
                }),
            )
        }
    })
}

/// The code of what was read; where it broke off, the plugin may return it as it is.
fn told(side: &RequestSide, (code, error): Read) -> Rc {
    if let Some(error) = error {
        side.inner().rest().fault = Some(Told::Seen(code, error));
    }
    code
}

pub(super) unsafe extern "C" fn body_poll(req: *mut Req, waker: *const Waker, out: *mut Str) -> Rc {
    guarded(|| {
        // SAFETY: the request is held.
        let side = unsafe { RequestSide::of(req) };
        let former = std::mem::take(&mut side.incoming().piece);
        // Not under the lock: it may be a buffer of the plugin's.
        drop(former);
        let mut poll = |cx: &mut std::task::Context<'_>| {
            if side.is_over() {
                return Poll::Ready(E_CANCELLED);
            }
            let read = ready!(side.incoming().poll_piece(cx));
            Poll::Ready(told(side, read))
        };
        // SAFETY: the waker is there for the call, or null.
        let code = unsafe { wait(&side.host, Some(side), waker, &mut poll) };
        match code {
            // SAFETY: `out` is to be filled; the piece stays until the next call.
            OK => unsafe { out.write(side.incoming().lent_piece()) },
            // SAFETY: the waker is there for the call, or null.
            PENDING => unsafe { side.remember(Asking::Piece, waker) },
            _ => {}
        }
        code
    })
}

pub(super) unsafe extern "C" fn body_retain(req: *mut Req, out: *mut Buf) -> Rc {
    guarded(|| {
        // SAFETY: the request is held.
        let piece = unsafe { RequestSide::of(req) }.incoming().piece.clone();
        let piece = piece.unwrap_or_default();
        // SAFETY: `out` is to be filled.
        unsafe { out.write(Buf::owning(piece)) };
        OK
    })
}

pub(super) unsafe extern "C" fn body_all_poll(
    req: *mut Req,
    waker: *const Waker,
    max: u64,
    out: *mut Str,
) -> Rc {
    guarded(|| {
        // SAFETY: the request is held.
        let side = unsafe { RequestSide::of(req) };
        let max = max.min(side.max_body);
        let mut poll = |cx: &mut std::task::Context<'_>| {
            if side.is_over() {
                return Poll::Ready(E_CANCELLED);
            }
            let read = ready!(side.incoming().poll_whole(max, cx));
            Poll::Ready(told(side, read))
        };
        // SAFETY: the waker is there for the call, or null.
        let code = unsafe { wait(&side.host, Some(side), waker, &mut poll) };
        if code == PENDING {
            // SAFETY: as above.
            unsafe { side.remember(Asking::Whole, waker) };
        }
        if code == OK {
            let incoming = side.incoming();
            let whole = incoming.last_whole().map_or(Str::EMPTY, |all| Str::of(all));
            // SAFETY: `out` is to be filled; the body stays as long as the request is held.
            unsafe { out.write(whole) };
        }
        code
    })
}

/// Headers but for those that are dropped; `None` where one is none.
///
/// # Safety
/// `count` headers are there for the call.
pub(in crate::abi::import) unsafe fn headers(
    headers: *const Header,
    count: usize,
    is_dropped: impl Fn(&HeaderName) -> bool,
) -> Option<Headers> {
    /// More than any server accepts.
    const MAX_HEADERS: usize = 1000;
    if count > MAX_HEADERS || (headers.is_null() && count > 0) {
        return None;
    }
    let pair = |index: usize| {
        // SAFETY: the caller vouches for it.
        unsafe {
            let header = *headers.add(index);
            (header.name.bytes(), header.value.bytes())
        }
    };
    // Most answers have one, and always the same.
    if count == 1 {
        let (name, value) = pair(0);
        if name == CONTENT_TYPE.as_str().as_bytes() {
            return Some(Headers::one(CONTENT_TYPE, value_of(value)?));
        }
    }
    let mut map = HeaderMap::with_capacity(count);
    for index in 0..count {
        let (name, value) = pair(index);
        let (name, value) = (HeaderName::from_bytes(name).ok()?, value_of(value)?);
        if !is_dropped(&name) {
            map.append(name, value);
        }
    }
    Some(map.into())
}

/// A header's value; the commonest ones need no memory.
fn value_of(value: &[u8]) -> Option<HeaderValue> {
    static COMMON: [HeaderValue; 4] = [
        HeaderValue::from_static("application/json"),
        HeaderValue::from_static("text/event-stream"),
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
        HeaderValue::from_static("no-cache, no-transform"),
    ];
    let common = COMMON.iter().find(|common| common.as_bytes() == value);
    common
        .cloned()
        .or_else(|| HeaderValue::from_bytes(value).ok())
}

pub(super) unsafe extern "C" fn set_head(
    req: *mut Req,
    path: Str,
    query: Str,
    headers: *const Header,
    count: usize,
) -> Rc {
    guarded(|| {
        // SAFETY: the request is held.
        let side = unsafe { RequestSide::of(req) };
        if !side.is_filtered || side.is_over() {
            return E_STATE;
        }
        // SAFETY: the texts are there for the call.
        let (path, has_query, query, headers) = unsafe {
            (
                path.as_text(),
                !query.ptr.is_null(),
                query.as_text(),
                self::headers(headers, count, |_| false),
            )
        };
        let (Some(path), Some(query), Some(headers)) = (path, query, headers) else {
            return E_INVALID;
        };
        if !path.starts_with('/') {
            return E_INVALID;
        }
        let head = Head {
            path: path.to_owned(),
            query: has_query.then(|| query.to_owned()),
            headers,
        };
        side.inner().rest().heads.push(Box::new(head));
        side.is_changed.store(true, Ordering::Release);
        OK
    })
}

pub(super) unsafe extern "C" fn set_body(req: *mut Req, buf: *mut Buf) -> Rc {
    guarded(|| {
        // SAFETY: the request is held.
        let side = unsafe { RequestSide::of(req) };
        if !side.is_filtered || side.is_over() {
            return E_STATE;
        }
        // SAFETY: the buffer is moved: its place is emptied.
        let body = unsafe {
            let body = buf
                .read()
                .into_bytes(Some(Arc::clone(&side.host.library.keep)));
            buf.write(Buf::EMPTY);
            body
        };
        let former = side.incoming().replace(body.into());
        // Not under the lock: it may be a buffer of the plugin's.
        drop(former);
        OK
    })
}
