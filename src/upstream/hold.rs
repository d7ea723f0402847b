//! What is kept back of an answer that has begun well, so that an upstream that dies meanwhile is covered by another:
//! a short JSON answer until it is whole, others as long as the route's `hold` says.

use std::time::Duration;

use aurora_config::Hold;
use aurora_openai::sse::{End, Framer};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::classify;
use crate::providers::{Chunks, Fault};

/// How long anything may be waited for.
pub(super) struct Limits<'a> {
    /// The longest silence.
    pub(super) idle: Duration,
    /// When the whole exchange must be over.
    pub(super) deadline: Option<Instant>,
    /// Fires when running streams must end.
    pub(super) ending: &'a CancellationToken,
}

impl Limits<'_> {
    /// The next piece, unless that takes too long.
    async fn next(&self, body: &mut Chunks) -> Option<Result<Bytes, Fault>> {
        let silent = Instant::now() + self.idle;
        let (until, fault) = match self.deadline {
            Some(deadline) if deadline < silent => (deadline, Fault::TotalTimeout),
            _ => (silent, Fault::IdleTimeout),
        };
        tokio::select! {
            biased;
            piece = body.next() => piece,
            () = self.ending.cancelled() => Some(Err(Fault::Client(classify::shutting_down()))),
            () = tokio::time::sleep_until(until) => Some(Err(fault)),
        }
    }
}

/// All `length` bytes of a body: nobody can do anything with a part of it.
///
/// # Errors
/// It broke off, or took too long.
pub(super) async fn whole(
    mut body: Chunks,
    length: u64,
    limits: &Limits<'_>,
) -> Result<Bytes, Fault> {
    let (mut first, mut more) = (Bytes::new(), BytesMut::new());
    let mut left = length;
    while left > 0 {
        let Some(piece) = limits.next(&mut body).await else {
            return Err(ended_early());
        };
        let piece = piece?;
        left = left.saturating_sub(piece.len() as u64);
        if first.is_empty() {
            first = piece;
        } else {
            more.extend_from_slice(&piece);
        }
    }
    if more.is_empty() {
        return Ok(first);
    }
    Ok([first, more.freeze()].concat().into())
}

/// The body again once `hold` is over; `events` says what makes it complete where it is an event stream.
///
/// # Errors
/// It broke off, or took too long, before anything of it went on.
pub(super) async fn hold(
    mut body: Chunks,
    hold: Hold,
    events: Option<End>,
    limits: &Limits<'_>,
) -> Result<Chunks, Fault> {
    let until = tokio::time::sleep(hold.time);
    tokio::pin!(until);
    let mut framer = events.map(Framer::new);
    let (mut held, mut bytes) = (Vec::new(), 0);
    let has_marker = |framer: &Option<Framer>| framer.as_ref().is_some_and(Framer::has_marker);
    while bytes < hold.bytes && !has_marker(&framer) {
        let piece = tokio::select! {
            biased;
            piece = limits.next(&mut body) => piece,
            () = &mut until => break,
        };
        let Some(piece) = piece else {
            let is_whole = framer.is_none_or(|framer| framer.finish().complete);
            return if is_whole {
                Ok(Box::pin(stream::iter(held)))
            } else {
                Err(ended_early())
            };
        };
        let piece = piece?;
        bytes += piece.len();
        if let Some(framer) = &mut framer {
            framer.push(piece.clone());
        }
        held.push(Ok(piece));
    }
    Ok(Box::pin(stream::iter(held).chain(body)))
}

fn ended_early() -> Fault {
    Fault::Truncated("the body ended before it was whole".to_owned())
}
