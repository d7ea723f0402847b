//! How an exchange begins.

use std::sync::Arc;

use aurora_openai::sse::Event;
use bytes::Bytes;
use http::Method;

use super::super::later::Later;
use super::FetchSide;
use crate::abi::import::handles::Owner;
use crate::abi::import::host::HostSide;
use crate::abi::import::pipe::{Pipe, Reader};
use crate::abi::import::request::{self, RequestSide};
use crate::abi::memory::guarded;
use crate::abi::numbers;
use crate::abi::raw::{
    Buf, E_CANCELLED, E_INVALID, Fetch, HTTP_CLIENT_BODY, HTTP_CLIENT_HEADERS, HTTP_HAS_MODEL,
    HTTP_STREAM_BODY, HostTable, HttpReq, OK, Rc, Req,
};
use crate::{Body, BoxFuture, UpstreamRequest};

pub(super) unsafe extern "C" fn open(
    host: *const HostTable,
    req: *mut Req,
    asked: *mut HttpReq,
    out: *mut *mut Fetch,
) -> Rc {
    guarded(|| {
        // SAFETY: the host is held, and the struct says its size.
        let (host, size) = unsafe { (HostSide::shared(host), asked.cast::<u32>().read()) };
        let Some(host) = host else {
            return E_CANCELLED;
        };
        if (size as usize) < size_of::<HttpReq>() {
            return E_INVALID;
        }
        // SAFETY: the request is held, or null.
        let request = (!req.is_null()).then(|| unsafe { RequestSide::shared(req) });
        if request.as_ref().is_some_and(|request| request.is_over()) {
            return E_CANCELLED;
        }
        // SAFETY: it is large enough, and all in it is there for the call.
        let asked = unsafe { &mut *asked };
        // SAFETY: as above.
        let Some((upstream, mut ask)) = (unsafe { read(asked, request.as_deref()) }) else {
            return E_INVALID;
        };
        let upload = (asked.flags & HTTP_STREAM_BODY != 0).then(Arc::<Pipe>::default);
        ask.body = body(asked, request.as_deref(), upload.as_ref(), &host);
        let sending: BoxFuture<'static, _> = match &request {
            Some(request) if upstream.is_empty() => {
                let cx = request.cx.clone();
                Box::pin(async move { cx.host().send(ask).await })
            }
            _ => {
                let host = Arc::clone(&host.host);
                Box::pin(async move { host.send(&upstream, ask).await })
            }
        };
        let side = FetchSide {
            owner: request
                .as_ref()
                .map_or_else(|| Owner::host(&host), Owner::request),
            answer: Later::new(sending),
            upload,
            waiter: None,
            piece: Bytes::new(),
            decoder: None,
            event: Event::default(),
        };
        let fetch = match &request {
            Some(request) => request.open.open(side),
            None => host.open.open(side),
        };
        // SAFETY: `out` is to be filled.
        unsafe { out.write(fetch.cast()) };
        OK
    })
}

/// What is asked for, without its body, and the upstream's name.
///
/// # Safety
/// All in `asked` is there for the call.
unsafe fn read(
    asked: &HttpReq,
    request: Option<&RequestSide>,
) -> Option<(String, UpstreamRequest)> {
    // SAFETY: the caller vouches for it.
    let (method, path, upstream, model) = unsafe {
        (
            Method::from_bytes(asked.method.bytes()).ok()?,
            asked.path.as_text()?.to_owned(),
            asked.upstream.as_text()?.to_owned(),
            asked.model.as_text()?.to_owned(),
        )
    };
    let headers = if asked.flags & HTTP_CLIENT_HEADERS != 0 {
        request?.headers().clone().into()
    } else {
        // SAFETY: the caller vouches for it.
        unsafe { request::headers(asked.headers, asked.header_count, |_| false) }?
    };
    let ask = UpstreamRequest {
        operation: numbers::operation(asked.operation)?,
        method,
        path,
        headers,
        body: Body::empty(),
        model: (asked.flags & HTTP_HAS_MODEL != 0).then_some(model),
    };
    Some((upstream, ask))
}

fn body(
    asked: &mut HttpReq,
    request: Option<&RequestSide>,
    upload: Option<&Arc<Pipe>>,
    host: &HostSide,
) -> Body {
    if let Some(pipe) = upload {
        let length = u64::try_from(asked.body_len).ok();
        return Body::stream(Box::pin(Reader(Arc::clone(pipe))), length);
    }
    if asked.flags & HTTP_CLIENT_BODY != 0 {
        return request.map(RequestSide::take_body).unwrap_or_default();
    }
    let buf = std::mem::replace(&mut asked.body, Buf::EMPTY);
    // SAFETY: the buffer was moved: its place is empty.
    unsafe { buf.into_bytes(Some(Arc::clone(&host.library.keep))) }.into()
}
