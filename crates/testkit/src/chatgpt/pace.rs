//! How the bytes of a stream go out.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::Notify;

use super::perform::Beat;

/// What a stream waits for in the middle.
#[derive(Debug, Clone)]
pub(super) enum Stop {
    Time(Duration),
    Until(Arc<Notify>),
}

/// How a stream ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Ending {
    #[default]
    End,
    Close,
    Reset,
    Hang,
}

/// Cuts and waits; offsets count the bytes of the body before compression.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    pub(super) chunk: Option<usize>,
    pub(super) cuts: Vec<usize>,
    pub(super) delay: Duration,
    pub(super) stops: Vec<(usize, Stop)>,
    pub(super) length: Option<usize>,
    pub(super) ending: Ending,
    pub(super) is_gzip: bool,
    pub(super) is_crlf: bool,
    pub(super) pings: Option<Duration>,
}

/// Marks after which a client may take the turn as complete.
const MARKS: [&[u8]; 2] = [b"_stream_complete", b"data: [DONE]"];

impl Pace {
    /// The beats of `body`.
    pub(super) fn beats(&self, body: Vec<u8>) -> Vec<Beat> {
        let body = if self.is_crlf { crlf(&body) } else { body };
        let end = self.length.unwrap_or(body.len()).min(body.len());
        let mut gzip = self
            .is_gzip
            .then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        let mut beats = Vec::new();
        let complete = MARKS
            .iter()
            .filter_map(|mark| find(&body, mark, 0))
            .min()
            .filter(|at| *at < end);
        let release = match (complete, self.ending) {
            (Some(at), _) => at,
            // Whoever leaves a stream that never completes leaves early.
            (None, Ending::Hang) => usize::MAX,
            (None, _) => end.saturating_sub(1),
        };
        let mut is_released = false;
        let mut from = 0;
        self.stop(0, &body, &mut beats);
        for to in self.boundaries(&body, end) {
            if from > 0 && !self.delay.is_zero() {
                beats.push(Beat::Wait {
                    time: self.delay,
                    at_boundary: self.is_boundary(&body, from),
                });
            }
            if !is_released && to > release {
                beats.push(Beat::Release);
                is_released = true;
            }
            let piece = &body[from..to];
            let piece = gzip
                .as_mut()
                .map_or_else(|| piece.to_vec(), |gzip| pack(gzip, piece));
            beats.push(Beat::Send(Bytes::from(piece)));
            self.stop(to, &body, &mut beats);
            from = to;
        }
        if !is_released && self.ending != Ending::Hang {
            beats.push(Beat::Release);
        }
        if let Some(gzip) = gzip.filter(|_| self.ending == Ending::End) {
            beats.push(Beat::Send(gzip.finish().unwrap_or_default().into()));
        }
        beats.push(match self.ending {
            Ending::End => Beat::End,
            Ending::Close => Beat::Close,
            Ending::Reset => Beat::Reset,
            Ending::Hang => Beat::Hang {
                at_boundary: self.is_boundary(&body, end),
            },
        });
        beats
    }

    fn stop(&self, at: usize, body: &[u8], beats: &mut Vec<Beat>) {
        let at_boundary = self.is_boundary(body, at);
        for (_, stop) in self.stops.iter().filter(|(offset, _)| *offset == at) {
            beats.push(match stop {
                Stop::Time(time) => Beat::Wait {
                    time: *time,
                    at_boundary,
                },
                Stop::Until(until) => Beat::Hold {
                    until: Arc::clone(until),
                    at_boundary,
                },
            });
        }
    }

    /// The ends of the pieces; one piece a frame where nothing else is said.
    fn boundaries(&self, body: &[u8], end: usize) -> BTreeSet<usize> {
        let mut ends = BTreeSet::from([end]);
        ends.extend(&self.cuts);
        ends.extend(self.stops.iter().map(|(offset, _)| *offset));
        match self.chunk {
            Some(chunk) => ends.extend((0..end).step_by(chunk.max(1))),
            None if self.cuts.is_empty() => {
                let mark: &[u8] = if self.is_crlf { b"\r\n\r\n" } else { b"\n\n" };
                let mut from = 0;
                while let Some(at) = find(body, mark, from) {
                    from = at + mark.len();
                    ends.insert(from);
                }
            }
            None => {}
        }
        ends.retain(|at| *at > 0 && *at <= end);
        ends
    }

    /// Whether a comment can stand here.
    fn is_boundary(&self, body: &[u8], at: usize) -> bool {
        let mark: &[u8] = if self.is_crlf { b"\r\n\r\n" } else { b"\n\n" };
        !self.is_gzip && (at == 0 || body[..at].ends_with(mark))
    }
}

fn pack(gzip: &mut GzEncoder<Vec<u8>>, piece: &[u8]) -> Vec<u8> {
    let packed = gzip.write_all(piece).and_then(|()| gzip.flush());
    packed.expect("memory takes every write");
    std::mem::take(gzip.get_mut())
}

fn crlf(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 64);
    for (at, byte) in body.iter().enumerate() {
        if *byte == b'\n' && (at == 0 || body[at - 1] != b'\r') {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out
}

/// Where `mark` is found first, from `from` on.
fn find(body: &[u8], mark: &[u8], from: usize) -> Option<usize> {
    let at = memchr::memmem::find(body.get(from..)?, mark)?;
    Some(from + at)
}
