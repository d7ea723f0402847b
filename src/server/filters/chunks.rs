//! Bodies that are followed piece by piece, or to their end alone.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aurora_sdk::{Body, BodyStream, Error};
use bytes::Bytes;
use futures_core::Stream;

use super::passing::Passing;

/// A body whose every piece a filter sees.
pub(super) struct Chunks {
    body: BodyStream,
    passing: Passing,
    out: VecDeque<Result<Bytes, Error>>,
    is_over: bool,
}

impl Chunks {
    pub(super) fn around(body: Body, passing: Passing) -> Body {
        let stream = Self {
            body: body.into_stream(),
            passing,
            out: VecDeque::new(),
            is_over: false,
        };
        Body::stream(Box::pin(stream), None)
    }

    fn take(&mut self, pieces: Result<Vec<Bytes>, Error>) {
        match pieces {
            Ok(pieces) => self
                .out
                .extend(pieces.into_iter().filter(|piece| !piece.is_empty()).map(Ok)),
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: Error) {
        self.is_over = true;
        self.passing.end(false);
        self.out.push_back(Err(error));
    }
}

impl Stream for Chunks {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(item) = this.out.pop_front() {
                return Poll::Ready(Some(item));
            }
            if this.is_over {
                return Poll::Ready(None);
            }
            match ready!(this.body.as_mut().poll_next(cx)) {
                Some(Ok(chunk)) => {
                    let pieces = this.passing.chunk(chunk);
                    this.take(pieces);
                }
                Some(Err(error)) => this.fail(error),
                None => {
                    let pieces = this.passing.last_chunks();
                    this.take(pieces);
                    this.is_over = true;
                    this.passing.end(true);
                }
            }
        }
    }
}

/// A body whose end alone a filter hears of.
pub(super) struct Followed {
    body: BodyStream,
    passing: Passing,
}

impl Followed {
    pub(super) fn around(body: Body, mut passing: Passing) -> Body {
        if !body.is_stream() {
            passing.end(true);
            return body;
        }
        let length = body.length();
        let stream = Self {
            body: body.into_stream(),
            passing,
        };
        Body::stream(Box::pin(stream), length)
    }
}

impl Stream for Followed {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(self.body.as_mut().poll_next(cx));
        match &item {
            Some(Ok(_)) => {}
            Some(Err(_)) => self.passing.end(false),
            None => self.passing.end(true),
        }
        Poll::Ready(item)
    }
}
