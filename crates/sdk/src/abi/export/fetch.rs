//! Requests to upstreams, made by the host.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderMap, StatusCode};

use super::body::taken;
use super::hold::Hold;
use super::host::RemoteHost;
use super::request::{RemoteRequest, header_map, pairs};
use crate::abi::memory::size;
use crate::abi::raw::{
    Buf, E_UNSUPPORTED, Fault, Fetch, HTTP_CLIENT_BODY, HTTP_CLIENT_HEADERS, HTTP_HAS_MODEL,
    HTTP_STREAM_BODY, Header, HttpApi, HttpReq, OK, PENDING, Rc, Str,
};
use crate::abi::{fault, numbers, waker};
use crate::{Body, Error, Headers, Response, UpstreamRequest};

/// The most headers that an answer's head is asked for.
const MAX_HEADERS: u32 = 1000;

/// An exchange under way. Dropping it breaks it off.
pub(super) struct Exchange {
    api: &'static HttpApi,
    /// Null where it was moved.
    fetch: *mut Fetch,
    _inside: Hold,
}

// SAFETY: the contract lets one thread at a time use an exchange, and this is its only owner.
unsafe impl Send for Exchange {}
// SAFETY: sharing it gives no way to use it but polling, which the future or body that has it does.
unsafe impl Sync for Exchange {}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.fetch.is_null() {
            // SAFETY: it is closed once.
            unsafe { (self.api.close)(self.fetch) };
        }
    }
}

impl Exchange {
    fn fault(&self, code: Rc) -> Error {
        let mut found = Fault::NONE;
        // SAFETY: the exchange is open, and `found` is ours.
        let code_of_fault = unsafe { (self.api.fault)(self.fetch, &raw mut found) };
        // SAFETY: its texts are there until the next call.
        let error = (code_of_fault == OK).then(|| unsafe { fault::read(&raw const found) });
        error.flatten().unwrap_or_else(|| fault::of_code(code))
    }

    fn poll_head(&self, cx: &Context<'_>) -> Poll<Result<StatusCode, Error>> {
        let (lent, mut status) = (waker::lend(cx.waker()), 0);
        // SAFETY: the exchange is open, the waker is there for the call, and `status` is ours.
        match unsafe { (self.api.head_poll)(self.fetch, &raw const lent, &raw mut status) } {
            PENDING => Poll::Pending,
            OK => Poll::Ready(Ok(
                StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY)
            )),
            code => Poll::Ready(Err(self.fault(code))),
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut count = 0;
        let mut header = Header {
            name: Str::EMPTY,
            value: Str::EMPTY,
        };
        // SAFETY: the exchange is open, and `out` is ours.
        let at = |index, out| unsafe { (self.api.header_at)(self.fetch, index, out) };
        while count < MAX_HEADERS && at(count, &raw mut header) == OK {
            count += 1;
        }
        header_map(pairs(count, at))
    }

    fn poll_chunk(&self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let (lent, mut piece) = (waker::lend(cx.waker()), Str::EMPTY);
        // SAFETY: the exchange is open, the waker is there for the call, and `piece` is ours.
        let code = unsafe { (self.api.chunk_poll)(self.fetch, &raw const lent, &raw mut piece) };
        if code == PENDING {
            return Poll::Pending;
        }
        // SAFETY: the piece is there until the next call; the function belongs to the exchange it came from.
        let item = unsafe { taken(code, piece, |buf| (self.api.chunk_retain)(self.fetch, buf)) };
        Poll::Ready(item.map(|item| item.map_err(|code| self.fault(code))))
    }
}

/// A streamed request body on its way.
struct Uploading {
    body: Body,
    piece: Option<Bytes>,
}

impl Uploading {
    /// Ready when the body is over, or nobody wants more of it.
    fn poll(&mut self, exchange: &Exchange, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            if let Some(piece) = &self.piece {
                let lent = waker::lend(cx.waker());
                // SAFETY: the exchange is open; waker and piece are there for the call.
                let code = unsafe {
                    (exchange.api.body_write)(exchange.fetch, &raw const lent, Str::of(piece))
                };
                match code {
                    PENDING => return Poll::Pending,
                    OK => self.piece = None,
                    // The answer says why.
                    _ => return Poll::Ready(Ok(())),
                }
            }
            self.piece = ready!(Pin::new(&mut self.body).poll_next(cx)).transpose()?;
            if self.piece.is_none() {
                // SAFETY: the exchange is open. A refusal is told by the answer.
                let _code = unsafe { (exchange.api.body_end)(exchange.fetch) };
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// The body of an upstream's answer, which can also be sent on without coming here.
pub(crate) struct FetchBody {
    exchange: Exchange,
    uploading: Option<Box<Uploading>>,
    over: bool,
}

impl FetchBody {
    /// Whether all of it can be moved.
    pub(crate) fn is_movable(&self) -> bool {
        self.uploading.is_none() && !self.over
    }

    /// Gives the exchange away by `give`, where that goes well.
    pub(super) fn forward(mut self, give: impl FnOnce(*mut Fetch) -> Rc) -> Rc {
        let code = give(self.exchange.fetch);
        if code == OK {
            self.exchange.fetch = std::ptr::null_mut();
        }
        code
    }
}

impl Stream for FetchBody {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        if let Some(uploading) = &mut this.uploading
            && let Poll::Ready(uploaded) = uploading.poll(&this.exchange, cx)
        {
            this.uploading = None;
            uploaded?;
        }
        let item = ready!(this.exchange.poll_chunk(cx));
        this.over = !matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }
}

/// Sends `request`: to the upstreams of the route that it is `inside` of, or to the one called `upstream`.
pub(super) async fn send(
    host: &RemoteHost,
    inside: Option<&RemoteRequest>,
    upstream: &str,
    request: UpstreamRequest,
) -> Result<Response, Error> {
    let (exchange, mut uploading) = open(host, inside, upstream, request)?;
    let status = poll_fn(|cx| {
        if let Some(upload) = &mut uploading
            && let Poll::Ready(uploaded) = upload.poll(&exchange, cx)
        {
            uploading = None;
            uploaded?;
        }
        exchange.poll_head(cx)
    })
    .await?;
    let headers = exchange.headers();
    // SAFETY: the exchange is open.
    let length = unsafe { (exchange.api.body_len)(exchange.fetch) };
    let body = FetchBody {
        exchange,
        uploading,
        over: false,
    };
    Ok(Response {
        status,
        headers: headers.into(),
        body: Body::fetched(body, u64::try_from(length).ok()),
    })
}

fn lent_headers(headers: &Headers) -> Vec<Header> {
    let lend = |(name, value): (&http::HeaderName, &http::HeaderValue)| Header {
        name: Str::text(name.as_str()),
        value: Str::of(value.as_bytes()),
    };
    headers.iter().map(lend).collect()
}

fn open(
    host: &RemoteHost,
    inside: Option<&RemoteRequest>,
    upstream: &str,
    request: UpstreamRequest,
) -> Result<(Exchange, Option<Box<Uploading>>), Error> {
    let Some(api) = host.tables.http else {
        return Err(fault::of_code(E_UNSUPPORTED));
    };
    let req = inside.map_or(std::ptr::null_mut(), |inside| inside.req);
    let mut flags = 0;
    let is_clients = !req.is_null() && request.headers.untouched() == Some(req.addr());
    let headers = if is_clients {
        flags |= HTTP_CLIENT_HEADERS;
        Vec::new()
    } else {
        lent_headers(&request.headers)
    };
    let length = request.body.length();
    let (mut body, mut uploading) = (Buf::EMPTY, None);
    match request.body.into_requested(req) {
        Ok(()) => flags |= HTTP_CLIENT_BODY,
        Err(streamed) if streamed.is_stream() => {
            flags |= HTTP_STREAM_BODY;
            uploading = Some(Box::new(Uploading {
                body: streamed,
                piece: None,
            }));
        }
        Err(full) => body = Buf::owning(full.as_bytes().cloned().unwrap_or_default()),
    }
    if request.model.is_some() {
        flags |= HTTP_HAS_MODEL;
    }
    let mut asked = HttpReq {
        size: size::<HttpReq>(),
        flags,
        operation: numbers::of_operation(request.operation),
        reserved: 0,
        upstream: Str::text(upstream),
        method: Str::text(request.method.as_str()),
        path: Str::text(&request.path),
        model: Str::text(request.model.as_deref().unwrap_or_default()),
        headers: headers.as_ptr(),
        header_count: headers.len(),
        body,
        body_len: length.map_or(-1, |length| i64::try_from(length).unwrap_or(-1)),
    };
    let mut fetch = std::ptr::null_mut();
    // SAFETY: host and request are held, the texts are there for the call, and `fetch` is ours.
    let code = unsafe { (api.open)(host.table, req, &raw mut asked, &raw mut fetch) };
    if code != OK || fetch.is_null() {
        // SAFETY: what was not taken is still ours.
        drop(unsafe { asked.body.take_back() });
        return Err(fault::of_code(code));
    }
    let exchange = Exchange {
        api,
        fetch,
        _inside: inside.map_or_else(|| host.hold(), RemoteRequest::hold),
    };
    Ok((exchange, uploading))
}
