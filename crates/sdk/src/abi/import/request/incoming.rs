//! The body of a client's request, on its way into a plugin.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use crate::abi::numbers;
use crate::abi::raw::{E_TOO_LARGE, EOF, OK, Rc, Str};
use crate::{Body, Error};

/// See the module.
pub(super) struct Incoming {
    body: Body,
    /// The piece that was read last.
    pub(super) piece: Option<Bytes>,
    /// What is left of a body that broke off.
    broken: Option<Rc>,
    whole: Option<Box<Whole>>,
}

/// What there is of a body that is read as a whole.
#[derive(Default)]
struct Whole {
    collected: BytesMut,
    /// Lent as long as the request is held.
    given: Vec<Bytes>,
}

/// A code, and what is wrong where it is negative and new.
pub(super) type Read = (Rc, Option<Error>);

impl Incoming {
    pub(super) fn new(body: Body) -> Self {
        Self {
            body,
            piece: None,
            broken: None,
            whole: None,
        }
    }

    fn whole(&mut self) -> &mut Whole {
        self.whole.get_or_insert_default()
    }

    /// The body that was read as a whole last.
    pub(super) fn last_whole(&self) -> Option<&Bytes> {
        self.whole.as_ref()?.given.last()
    }

    /// The piece that was read last, until the next one is.
    pub(super) fn lent_piece(&self) -> Str {
        self.piece
            .as_ref()
            .map_or(Str::EMPTY, |piece| Str::of(piece))
    }

    /// What has not been read, which is taken out.
    pub(super) fn take(&mut self) -> Body {
        self.put_back();
        std::mem::take(&mut self.body)
    }

    /// Another body; the one before.
    pub(super) fn replace(&mut self, body: Body) -> Body {
        if let Some(whole) = &mut self.whole {
            whole.collected.clear();
        }
        self.broken = None;
        std::mem::replace(&mut self.body, body)
    }

    /// What was collected and not given goes before the rest again.
    fn put_back(&mut self) {
        let Some(whole) = self
            .whole
            .as_mut()
            .filter(|whole| !whole.collected.is_empty())
        else {
            return;
        };
        let start = whole.collected.split().freeze();
        let rest = std::mem::take(&mut self.body);
        let length = rest.length().map(|length| length + start.len() as u64);
        let resumed = Resumed(VecDeque::from([start.into(), rest]));
        self.body = Body::stream(Box::pin(resumed), length);
    }

    /// The next piece, into its place; the piece before is given away.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Read> {
        if let Some(code) = self.broken {
            return Poll::Ready((code, None));
        }
        self.put_back();
        let item = ready!(Pin::new(&mut self.body).poll_next(cx));
        Poll::Ready(match item {
            Some(Ok(piece)) => {
                self.piece = Some(piece);
                (OK, None)
            }
            Some(Err(error)) => self.break_off(error),
            None => {
                // A stream that has ended is not asked again.
                self.body = Body::empty();
                (EOF, None)
            }
        })
    }

    /// Reads the body into [`Incoming::last_whole`], and puts it back in its place.
    pub(super) fn poll_whole(&mut self, max: u64, cx: &mut Context<'_>) -> Poll<Read> {
        if let Some(code) = self.broken {
            return Poll::Ready((code, None));
        }
        let collected = self.whole().collected.len() as u64;
        let left = max.saturating_sub(collected);
        if collected > max || self.body.length().is_some_and(|length| length > left) {
            return Poll::Ready(too_large(max));
        }
        if let Some(bytes) = self.body.as_bytes().filter(|_| collected == 0) {
            let bytes = bytes.clone();
            self.whole().given.push(bytes);
            return Poll::Ready((OK, None));
        }
        while let Some(piece) = ready!(Pin::new(&mut self.body).poll_next(cx)) {
            match piece {
                Ok(piece) => self.whole().collected.extend_from_slice(&piece),
                Err(error) => return Poll::Ready(self.break_off(error)),
            }
            if self.whole().collected.len() as u64 > max {
                return Poll::Ready(too_large(max));
            }
        }
        let bytes = self.whole().collected.split().freeze();
        self.body = Body::from(bytes.clone());
        self.whole().given.push(bytes);
        Poll::Ready((OK, None))
    }

    fn break_off(&mut self, error: Error) -> Read {
        let code = numbers::code(error.kind());
        self.body = Body::empty();
        self.broken = Some(code);
        (code, Some(error))
    }
}

fn too_large(max: u64) -> Read {
    (E_TOO_LARGE, Some(Error::too_large(max)))
}

/// Bodies one after the other.
struct Resumed(VecDeque<Body>);

impl Stream for Resumed {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while let Some(body) = self.0.front_mut() {
            match ready!(Pin::new(body).poll_next(cx)) {
                None => {
                    self.0.pop_front();
                }
                item => return Poll::Ready(item),
            }
        }
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    struct Pieces(Vec<&'static str>, Option<Error>);

    impl Stream for Pieces {
        type Item = Result<Bytes, Error>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            let Some(piece) = self.0.pop() else {
                return Poll::Ready(self.1.take().map(Err));
            };
            Poll::Ready(Some(Ok(Bytes::from_static(piece.as_bytes()))))
        }
    }

    fn of(pieces: &[&'static str], error: Option<Error>) -> Incoming {
        let pieces = Pieces(pieces.iter().rev().copied().collect(), error);
        Incoming::new(Body::stream(Box::pin(pieces), None))
    }

    fn cx() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    fn code(read: Poll<Read>) -> Rc {
        let Poll::Ready((code, _error)) = read else {
            panic!("nothing here waits");
        };
        code
    }

    fn all(incoming: &mut Incoming) -> (Vec<u8>, Rc) {
        let mut read = Vec::new();
        loop {
            match code(incoming.poll_piece(&mut cx())) {
                OK => read.extend_from_slice(incoming.piece.as_ref().unwrap()),
                end => return (read, end),
            }
        }
    }

    #[test]
    fn a_body_that_is_too_large_as_a_whole_is_all_there_for_who_reads_it_in_pieces() {
        let mut incoming = of(&["ab", "cd", "ef"], None);

        assert_eq!(code(incoming.poll_whole(3, &mut cx())), E_TOO_LARGE);
        assert_eq!(code(incoming.poll_whole(3, &mut cx())), E_TOO_LARGE);
        assert_eq!(all(&mut incoming), (b"abcdef".to_vec(), EOF));
        assert_eq!(all(&mut incoming), (Vec::new(), EOF));
    }

    #[test]
    fn a_body_that_is_too_large_for_one_is_there_for_who_takes_more() {
        let mut incoming = of(&["ab", "cd"], None);

        assert_eq!(code(incoming.poll_whole(3, &mut cx())), E_TOO_LARGE);
        assert_eq!(code(incoming.poll_whole(4, &mut cx())), OK);
        assert_eq!(code(incoming.poll_whole(4, &mut cx())), OK);
        assert_eq!(incoming.whole().given, ["abcd", "abcd"]);
        assert_eq!(incoming.take().as_bytes().unwrap(), "abcd");
    }

    #[test]
    fn a_body_that_broke_off_never_ends_well() {
        let mut incoming = of(&["ab"], Some(Error::too_large(1)));

        assert_eq!(code(incoming.poll_whole(9, &mut cx())), E_TOO_LARGE);
        assert_eq!(code(incoming.poll_whole(9, &mut cx())), E_TOO_LARGE);
        assert_eq!(code(incoming.poll_piece(&mut cx())), E_TOO_LARGE);
    }
}
