//! Bodies on the way: of requests to the upstream, and of answers back.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aurora_sdk::Body;
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::{Idle, Link};
use crate::providers::Fault;
use crate::upstream::client::{Upload, causes};

/// Pieces that are there at the same moment are joined up to so many bytes.
const JOINED: usize = 16 * 1024;

/// A piece of that many bytes goes alone.
const LARGE: usize = 4 * 1024;

/// The body of an answer. Its connection takes the next request as soon as all of it is read.
#[derive(Debug)]
pub(in crate::upstream) struct Answered {
    body: Incoming,
    link: Option<(Link, Arc<Idle>)>,
    /// Whether pieces came since it was last waited for: then more may be there. One that comes alone is not held up by looking.
    is_behind: bool,
    /// How it ended, where a piece goes out before that.
    end: Poll<Piece>,
}

type Piece = Option<Result<Bytes, Fault>>;

impl Answered {
    /// One that comes over `link`, which goes back to `idle`.
    pub(super) fn over(body: Incoming, link: Link, idle: Arc<Idle>) -> Self {
        let mut answered = Self {
            body,
            link: Some((link, idle)),
            is_behind: false,
            end: Poll::Pending,
        };
        answered.go_home(false);
        answered
    }

    /// One whose connection moves on by itself.
    pub(super) fn alone(body: Incoming) -> Self {
        Self {
            body,
            link: None,
            is_behind: false,
            end: Poll::Pending,
        }
    }

    /// Gives the connection back, where there is nothing left to read; `is_over` where the body has said so.
    fn go_home(&mut self, is_over: bool) {
        if (is_over || self.body.is_end_stream())
            && let Some((mut link, idle)) = self.link.take()
            && link.is_ready()
        {
            idle.put(link);
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        loop {
            let mut polled = Pin::new(&mut self.body).poll_frame(cx);
            if polled.is_pending()
                && let Some((link, _)) = &mut self.link
            {
                link.drive(cx);
                polled = Pin::new(&mut self.body).poll_frame(cx);
            }
            match ready!(polled) {
                Some(Ok(frame)) => {
                    self.go_home(false);
                    // Trailers mean nothing here.
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(Fault::Truncated(causes(&error)))));
                }
                None => {
                    self.go_home(true);
                    return Poll::Ready(None);
                }
            }
        }
    }
}

impl Stream for Answered {
    type Item = Result<Bytes, Fault>;

    /// Small pieces that are there already come as one, so that they go out as one; more is never waited for.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Piece> {
        if let end @ Poll::Ready(_) = std::mem::replace(&mut self.end, Poll::Pending) {
            return end;
        }
        let polled = self.poll_piece(cx);
        let was_behind = std::mem::replace(&mut self.is_behind, polled.is_ready());
        let first = match ready!(polled) {
            Some(Ok(first)) if was_behind && first.len() < LARGE => first,
            other => return Poll::Ready(other),
        };
        let mut joined = BytesMut::new();
        while joined.len() < JOINED {
            match self.poll_piece(cx) {
                Poll::Ready(Some(Ok(piece))) => {
                    if joined.is_empty() {
                        joined.reserve(first.len() + piece.len().max(LARGE));
                        joined.extend_from_slice(&first);
                    }
                    joined.extend_from_slice(&piece);
                }
                end @ Poll::Ready(_) => self.end = end,
                Poll::Pending => {
                    self.is_behind = false;
                    break;
                }
            }
            if self.end.is_ready() {
                break;
            }
        }
        let piece = if joined.is_empty() {
            first
        } else {
            joined.freeze()
        };
        Poll::Ready(Some(Ok(piece)))
    }
}

/// A request's body on its way to the upstream. One of known length is sent with that length, since some servers refuse
/// chunked uploads.
pub(in crate::upstream) struct Upstreamed {
    body: Body,
    length: Option<u64>,
    upload: Arc<Upload>,
}

impl Upstreamed {
    pub(super) fn new(body: Body, upload: &Arc<Upload>) -> Self {
        Self {
            length: body.length(),
            body,
            upload: Arc::clone(upload),
        }
    }
}

impl http_body::Body for Upstreamed {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let Some(piece) = ready!(Pin::new(&mut this.body).poll_next(cx)) else {
            return Poll::Ready(None);
        };
        let piece = this.upload.passed(piece)?;
        this.length = this
            .length
            .map(|left| left.saturating_sub(piece.len() as u64));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
