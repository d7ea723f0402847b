//! The body of a client's request, read from the host piece by piece.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;

use super::request::Part;
use crate::abi::raw::{Buf, E_CANCELLED, E_INVALID, E_TIMEOUT, EOF, OK, PENDING, Rc, Req, Str};
use crate::abi::{fault, waker};
use crate::{Error, ErrorKind, Origin};

/// Pieces up to this length are copied; larger ones are handed over as they are.
pub(super) const COPIED: usize = 4096;

/// See the module.
pub(crate) struct RequestBody {
    request: Part,
    over: bool,
}

impl RequestBody {
    pub(super) fn new(request: Part) -> Self {
        Self {
            request,
            over: false,
        }
    }

    /// The request that it belongs to.
    pub(crate) fn req(&self) -> *mut Req {
        self.request.req
    }
}

impl Stream for RequestBody {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let (api, req) = (self.request.host().tables.request, self.request.req);
        let (lent, mut piece) = (waker::lend(cx.waker()), Str::EMPTY);
        // SAFETY: the request is held, the waker is there for the call, and `piece` is ours.
        let code = unsafe { (api.body_poll)(req, &raw const lent, &raw mut piece) };
        if code == PENDING {
            return Poll::Pending;
        }
        // SAFETY: the piece is there until the next call; the function belongs to the body it came from.
        let item = unsafe { taken(code, piece, |buf| (api.body_retain)(req, buf)) };
        self.over = !matches!(item, Some(Ok(_)));
        Poll::Ready(item.map(|item| item.map_err(broken)))
    }
}

/// A piece that was polled, for keeps.
///
/// # Safety
/// Where `code` is [`OK`], `piece` is there, and `retain` hands it over.
pub(super) unsafe fn taken(
    code: Rc,
    piece: Str,
    retain: impl FnOnce(*mut Buf) -> Rc,
) -> Option<Result<Bytes, Rc>> {
    match code {
        OK if piece.len > COPIED => {
            let mut buf = Buf::EMPTY;
            match retain(&raw mut buf) {
                // SAFETY: the buffer was handed over.
                OK => Some(Ok(unsafe { buf.into_bytes(None) })),
                code => Some(Err(code)),
            }
        }
        // SAFETY: the caller vouches for it.
        OK => Some(Ok(Bytes::copy_from_slice(unsafe { piece.bytes() }))),
        EOF => None,
        code => Some(Err(code)),
    }
}

fn broken(code: Rc) -> Error {
    let (kind, word, message) = match code {
        E_CANCELLED => (
            ErrorKind::InvalidRequest,
            "client_closed_request",
            "the client broke its request off",
        ),
        E_TIMEOUT => (
            ErrorKind::RequestTimeout,
            "request_timeout",
            "the client sent its request too slowly",
        ),
        E_INVALID => (
            ErrorKind::InvalidRequest,
            "invalid_body",
            "the body of the request cannot be read",
        ),
        code => return fault::of_code(code).with_source(BrokeOff(code)),
    };
    Error::new(kind, Origin::Downstream, word, message).with_source(BrokeOff(code))
}

/// The source of an error that the host knows in full: what broke the client's body off.
#[derive(Debug)]
pub(super) struct BrokeOff(Rc);

impl BrokeOff {
    /// The code to end with, where `error` came out of a client's body.
    pub(super) fn code_of(error: &Error) -> Option<Rc> {
        let source = std::error::Error::source(error)?;
        source.downcast_ref::<Self>().map(|Self(code)| *code)
    }
}

impl fmt::Display for BrokeOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the body of the request broke off (code {})", self.0)
    }
}

impl std::error::Error for BrokeOff {}
