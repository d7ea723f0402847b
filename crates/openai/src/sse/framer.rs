//! Follows a stream that is relayed as it is: where events end, and whether the protocol's end marker came.
//!
//! Bytes are never changed. Only the unfinished tail of an event is held back, so that a stream which breaks off
//! reaches the client as whole events; an event larger than [`HOLD_MAX`] is passed on in pieces instead.

use bytes::{Bytes, BytesMut};
use memchr::memmem;

/// The longest unfinished event that is held back.
const HOLD_MAX: usize = 64 * 1024;

/// Bytes of a line that are looked at: enough for the longest marker.
const HEAD: usize = 64;

/// What makes a stream complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// `data: [DONE]`.
    Done,
    /// `data: [DONE]`, or a finish reason before the end of the body.
    DoneOrFinishReason,
    /// An event with one of these names, in `event:` or as the first member `type` of its data.
    Named(&'static [&'static str]),
    /// The end of the HTTP message: the protocol has no marker of its own.
    Message,
}

/// How a stream ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finish {
    /// Whether the end marker came.
    pub complete: bool,
    /// What was still held. Part of the answer where it is complete; half an event where it is not.
    pub rest: Bytes,
    /// Whether part of an unfinished event has been passed on already.
    pub mid_event: bool,
    /// Whether the upstream sent an error event of its own.
    pub error_seen: bool,
}

/// See the module.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent facts about one byte position"
)]
pub struct Framer {
    end: End,
    held: BytesMut,
    /// How much of `held` has been looked at.
    seen: usize,
    head: [u8; HEAD],
    line_len: usize,
    after_cr: bool,
    /// Part of the current event has been passed on.
    open: bool,
    complete: bool,
    error_seen: bool,
}

impl Framer {
    /// A framer for a stream that is complete with `end`.
    pub fn new(end: End) -> Self {
        Self {
            end,
            held: BytesMut::new(),
            seen: 0,
            head: [0; HEAD],
            line_len: 0,
            after_cr: false,
            open: false,
            complete: end == End::Message,
            error_seen: false,
        }
    }

    /// Takes the next piece and returns what may be passed on now; possibly nothing.
    pub fn push(&mut self, chunk: Bytes) -> Bytes {
        if self.held.is_empty() {
            let border = self.scan(&chunk);
            return self.release(chunk, border);
        }
        self.held.extend_from_slice(&chunk);
        let unseen = self.held.split_off(self.seen);
        let border = self.scan(&unseen).map(|at| at + self.seen);
        self.held.unsplit(unseen);
        let whole = std::mem::take(&mut self.held).freeze();
        self.release(whole, border)
    }

    /// Whether the upstream has sent an error event of its own.
    pub fn has_error(&self) -> bool {
        self.error_seen
    }

    /// Whether the end marker has come; never for [`End::Message`], which has none.
    pub fn has_marker(&self) -> bool {
        self.complete && self.end != End::Message
    }

    /// Ends the stream.
    pub fn finish(mut self) -> Finish {
        if self.line_len > 0 {
            self.end_line();
        }
        self.look_for_finish_reason(&self.held.clone().freeze());
        Finish {
            complete: self.complete,
            rest: self.held.freeze(),
            mid_event: self.open,
            error_seen: self.error_seen,
        }
    }

    /// Splits `bytes` behind the last event's border and holds the rest, unless it is too much.
    fn release(&mut self, mut bytes: Bytes, border: Option<usize>) -> Bytes {
        if let Some(border) = border {
            let rest = bytes.split_off(border);
            self.look_for_finish_reason(&bytes);
            self.open = false;
            self.hold(rest, bytes)
        } else {
            self.hold(bytes, Bytes::new())
        }
    }

    fn hold(&mut self, rest: Bytes, passed: Bytes) -> Bytes {
        if rest.is_empty() {
            self.seen = 0;
            return passed;
        }
        if self.open || rest.len() > HOLD_MAX {
            self.open = true;
            self.seen = 0;
            if passed.is_empty() {
                return rest;
            }
            let mut both = BytesMut::from(passed);
            both.extend_from_slice(&rest);
            return both.freeze();
        }
        self.seen = rest.len();
        self.held = BytesMut::from(rest);
        passed
    }

    /// Goes through new bytes line by line; returns the offset behind the last event's border in them.
    fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut border = None;
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if std::mem::take(&mut self.after_cr) && rest.first() == Some(&b'\n') {
                at += 1;
                // The second half of a line end belongs to whatever the first half ended.
                if border == Some(at - 1) || (at == 1 && self.at_start_of_event()) {
                    border = Some(at);
                }
                continue;
            }
            let Some(length) = memchr::memchr2(b'\n', b'\r', rest) else {
                self.grow_line(rest);
                break;
            };
            let (line, tail) = rest.split_at(length);
            self.grow_line(line);
            self.after_cr = tail.first() == Some(&b'\r');
            at += length + 1;
            if self.line_len == 0 {
                border = Some(at);
            } else {
                self.end_line();
            }
        }
        border
    }

    /// Whether nothing of the current event has come yet.
    fn at_start_of_event(&self) -> bool {
        !self.open && self.held.is_empty() && self.line_len == 0
    }

    fn grow_line(&mut self, bytes: &[u8]) {
        if let Some(free) = self.head.get_mut(self.line_len.min(HEAD)..) {
            for (to, from) in free.iter_mut().zip(bytes) {
                *to = *from;
            }
        }
        self.line_len = self.line_len.saturating_add(bytes.len());
    }

    fn end_line(&mut self) {
        let head = self.head.get(..self.line_len.min(HEAD)).unwrap_or_default();
        let (field, value) = match memchr::memchr(b':', head) {
            Some(colon) => {
                let (field, value) = head.split_at(colon);
                (field, value.get(1..).unwrap_or_default().trim_ascii_start())
            }
            None => (head, [].as_slice()),
        };
        match field {
            b"data" => {
                if value.starts_with(br#"{"error""#) || value.starts_with(br#"{"type":"error""#) {
                    self.error_seen = true;
                }
                self.complete |= match self.end {
                    End::Done | End::DoneOrFinishReason => value.trim_ascii_end() == b"[DONE]",
                    End::Named(names) => value
                        .strip_prefix(br#"{"type":""#)
                        .is_some_and(|rest| names.iter().any(|name| starts_quoted(rest, name))),
                    End::Message => true,
                };
            }
            b"event" => {
                let name = value.trim_ascii_end();
                self.error_seen |= name == b"error";
                if let End::Named(names) = self.end {
                    self.complete |= names.iter().any(|known| known.as_bytes() == name);
                }
            }
            _ => {}
        }
        self.line_len = 0;
    }

    fn look_for_finish_reason(&mut self, events: &[u8]) {
        if self.end == End::DoneOrFinishReason && !self.complete {
            const KEY: &[u8] = br#""finish_reason":"#;
            self.complete = memmem::find_iter(events, KEY).any(|at| {
                let after = events.get(at + KEY.len()..).unwrap_or_default();
                // Not beyond the line: whether the next event is here depends on how the stream was cut.
                let value = after.iter().find(|byte| !matches!(byte, b' ' | b'\t'));
                value == Some(&b'"')
            });
        }
    }
}

fn starts_quoted(text: &[u8], name: &str) -> bool {
    text.strip_prefix(name.as_bytes())
        .is_some_and(|rest| rest.first() == Some(&b'"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: &[u8] = b": hi\n\ndata: {\"a\":1}\r\n\r\nevent: x\ndata: 2\n\ndata: [DONE]\n\n";

    fn relay(end: End, pieces: &[&[u8]]) -> (Vec<u8>, Finish) {
        let mut framer = Framer::new(end);
        let mut out = Vec::new();
        for piece in pieces {
            out.extend_from_slice(&framer.push(Bytes::copy_from_slice(piece)));
        }
        let last = framer.finish();
        if last.complete {
            out.extend_from_slice(&last.rest);
        }
        (out, last)
    }

    #[test]
    fn every_split_is_relayed_byte_for_byte() {
        for at in 0..=CHAT.len() {
            let (head, tail) = CHAT.split_at(at);
            let (out, last) = relay(End::Done, &[head, tail]);

            assert_eq!(out, CHAT, "split at {at}");
            assert!(last.complete, "split at {at}");
        }
        let single: Vec<&[u8]> = CHAT.chunks(1).collect();
        assert_eq!(relay(End::Done, &single).0, CHAT);
    }

    #[test]
    fn a_cut_stream_passes_whole_events_only() {
        let marker = CHAT.len() - b"data: [DONE]\n\n".len();
        for at in 0..marker {
            let (out, last) = relay(End::Done, &[CHAT.get(..at).unwrap()]);

            assert!(!last.complete && !last.mid_event && !last.error_seen);
            assert!(
                out.is_empty()
                    || out.ends_with(b"\n\n")
                    || out.ends_with(b"\r\n\r")
                    || out.ends_with(b"\r\n\r\n"),
                "{at}: {out:?}"
            );
        }
    }

    #[test]
    fn a_marker_without_its_blank_line_still_ends_the_stream() {
        let text = b"data: {}\n\ndata: [DONE]";

        assert_eq!(relay(End::Done, &[text]).0, text);
    }

    #[test]
    fn an_event_beyond_the_bound_is_passed_in_pieces() {
        let line = vec![b'x'; 3 * HOLD_MAX];
        let mut framer = Framer::new(End::Done);

        let first = framer.push(Bytes::from([b"data: ".as_slice(), &line].concat()));

        assert_eq!(first.len(), line.len() + 6);
        assert_eq!(framer.push(Bytes::from_static(b"y\n\ndata: z")), "y\n\n");
        assert!(!framer.finish().complete);
    }

    #[test]
    fn named_ends_are_known_by_event_line_or_type_member() {
        let end = End::Named(&["response.completed", "response.failed"]);

        let named = relay(end, &[b"event: response.completed\ndata: {}\n\n"]).1;
        let typed = relay(end, &[b"data: {\"type\":\"response.failed\",\"x\":1}\n\n"]).1;
        let other = relay(end, &[b"event: response.completed.not\ndata: {}\n\n"]).1;

        assert!(named.complete);
        assert!(typed.complete);
        assert!(!other.complete);
    }

    #[test]
    fn a_finish_reason_ends_a_stream_only_where_that_is_allowed() {
        let text = br#"data: {"choices":[{"finish_reason": "stop"}]}"#.as_slice();
        let event = [text, b"\n\n"].concat();
        let open = br#"data: {"choices":[{"finish_reason":null}]}"#.as_slice();

        assert!(relay(End::DoneOrFinishReason, &[&event]).1.complete);
        for at in 1..event.len() {
            let (head, tail) = event.split_at(at);
            assert!(relay(End::DoneOrFinishReason, &[head, tail]).1.complete);
        }
        assert!(!relay(End::DoneOrFinishReason, &[open]).1.complete);
        assert!(!relay(End::Done, &[&event]).1.complete);
    }

    #[test]
    fn a_finish_reason_stands_in_one_event_however_the_stream_is_cut() {
        let stream = b"data: {\"finish_reason\":\n\ndata: \"\n\n".as_slice();

        for at in 0..=stream.len() {
            let (head, tail) = stream.split_at(at);
            let finish = relay(End::DoneOrFinishReason, &[head, tail]).1;
            assert!(!finish.complete, "split at {at}");
        }
    }

    #[test]
    fn an_upstreams_own_error_event_is_noticed() {
        let last = relay(End::Done, &[b"data: {\"error\":{\"message\":\"x\"}}\n\n"]).1;

        assert!(!last.complete && last.error_seen);
    }
}
