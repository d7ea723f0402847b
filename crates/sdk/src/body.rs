//! Bodies: bytes that are there, or a stream with backpressure.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use crate::Error;
use crate::abi::export::{FetchBody, RequestBody};
use crate::abi::raw::Req;

/// A stream of body chunks. The reader sets the pace: nothing is produced until it is polled.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// The body of a request or response.
#[derive(Default)]
pub struct Body {
    inner: Inner,
    length: Option<u64>,
}

#[derive(Default)]
enum Inner {
    #[default]
    Empty,
    Full(Bytes),
    Stream(BodyStream),
    /// In a loaded plugin: a client's request body that is still on the host's side.
    Requested(RequestBody),
    /// In a loaded plugin: an upstream's answer that is still on the host's side.
    Fetched(FetchBody),
}

impl Body {
    /// A body without bytes.
    pub fn empty() -> Self {
        Self {
            inner: Inner::Empty,
            length: Some(0),
        }
    }

    /// A streamed body; `length` in bytes where it is known beforehand.
    pub fn stream(stream: BodyStream, length: Option<u64>) -> Self {
        Self {
            inner: Inner::Stream(stream),
            length,
        }
    }

    pub(crate) fn requested(body: RequestBody, length: Option<u64>) -> Self {
        Self {
            inner: Inner::Requested(body),
            length,
        }
    }

    pub(crate) fn fetched(body: FetchBody, length: Option<u64>) -> Self {
        Self {
            inner: Inner::Fetched(body),
            length,
        }
    }

    /// The upstream's answer that this is the rest of, or itself.
    pub(crate) fn into_fetched(self) -> Result<FetchBody, Self> {
        match self.inner {
            Inner::Fetched(body) if body.is_movable() => Ok(body),
            inner => Err(Self {
                inner,
                length: self.length,
            }),
        }
    }

    /// Whether this is what is left of `req`'s own body; itself where it is not.
    pub(crate) fn into_requested(self, req: *mut Req) -> Result<(), Self> {
        match &self.inner {
            Inner::Requested(body) if body.req() == req => Ok(()),
            _ => Err(self),
        }
    }

    /// Bytes still to come, `None` when not known.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The bytes, where the body is not a stream.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match &self.inner {
            Inner::Full(bytes) => Some(bytes),
            Inner::Empty | Inner::Stream(_) | Inner::Requested(_) | Inner::Fetched(_) => None,
        }
    }

    /// All of it, where it is there.
    pub(crate) fn take_bytes(&mut self) -> Option<Bytes> {
        if self.is_stream() {
            return None;
        }
        match std::mem::take(&mut self.inner) {
            Inner::Full(bytes) => Some(bytes),
            _ => Some(Bytes::new()),
        }
    }

    /// Whether there is certainly nothing to read.
    pub fn is_empty(&self) -> bool {
        matches!(self.inner, Inner::Empty)
    }

    /// Whether the bytes come as a stream, and so can be read only once.
    pub fn is_stream(&self) -> bool {
        !matches!(self.inner, Inner::Empty | Inner::Full(_))
    }

    /// Turns any body into a stream of chunks.
    pub fn into_stream(self) -> BodyStream {
        match self.inner {
            Inner::Stream(stream) => stream,
            inner => Box::pin(Self {
                inner,
                length: self.length,
            }),
        }
    }

    /// The next chunk, `None` at the end. Cancel safe.
    ///
    /// # Errors
    /// What ended the stream early; nothing follows an error.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, Error>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// [`Error::too_large`] beyond `max` bytes (known lengths are refused before reading); the stream's own error.
    pub async fn read_all(mut self, max: u64) -> Result<Bytes, Error> {
        if self.length.is_some_and(|length| length > max) {
            return Err(Error::too_large(max));
        }
        if let Inner::Full(bytes) = self.inner {
            return Ok(bytes);
        }
        let Some(first) = self.chunk().await.transpose()? else {
            return Ok(Bytes::new());
        };
        // Room for all of it at once, where it is known and thus within the bound: growing would copy it again and again.
        let known = self.length.and_then(|length| usize::try_from(length).ok());
        let mut collected = match known {
            Some(known) if known > first.len() => {
                let mut collected = BytesMut::with_capacity(known);
                collected.extend_from_slice(&first);
                collected
            }
            _ => BytesMut::from(first),
        };
        while let Some(chunk) = self.chunk().await.transpose()? {
            if (collected.len() + chunk.len()) as u64 > max {
                return Err(Error::too_large(max));
            }
            collected.extend_from_slice(&chunk);
        }
        if collected.len() as u64 > max {
            return Err(Error::too_large(max));
        }
        Ok(collected.freeze())
    }
}

impl Stream for Body {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.inner {
            Inner::Stream(stream) => return stream.as_mut().poll_next(cx),
            Inner::Requested(body) => return Pin::new(body).poll_next(cx),
            Inner::Fetched(body) => return Pin::new(body).poll_next(cx),
            Inner::Empty | Inner::Full(_) => {}
        }
        match std::mem::take(&mut self.inner) {
            Inner::Full(bytes) => Poll::Ready(Some(Ok(bytes))),
            _ => Poll::Ready(None),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        let length = Some(bytes.len() as u64);
        let inner = if bytes.is_empty() {
            Inner::Empty
        } else {
            Inner::Full(bytes)
        };
        Self { inner, length }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

/// Shows the form and length, never the bytes: bodies are private.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match self.inner {
            Inner::Empty => "empty",
            Inner::Full(_) => "full",
            Inner::Stream(_) | Inner::Requested(_) | Inner::Fetched(_) => "stream",
        };
        f.debug_struct("Body")
            .field("form", &form)
            .field("length", &self.length)
            .finish()
    }
}
