//! Bytes to events.

use std::collections::VecDeque;

/// One event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The `event:` field; empty when there is none.
    pub name: String,
    /// The `data:` lines, joined by line feeds.
    pub data: String,
}

/// An event grew beyond the decoder's bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

/// Decodes a stream that arrives in pieces of any size. Comments, ids and retry hints are dropped.
#[derive(Debug)]
pub struct Decoder {
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    after_cr: bool,
    at_start: bool,
    max: usize,
    ready: VecDeque<Event>,
}

impl Decoder {
    /// A decoder that refuses events of more than `max` bytes.
    pub fn new(max: usize) -> Self {
        Self {
            line: Vec::new(),
            event: Event::default(),
            has_data: false,
            after_cr: false,
            at_start: true,
            max,
            ready: VecDeque::new(),
        }
    }

    /// Takes the next piece; the events that it completes are then given by [`Decoder::next_event`].
    ///
    /// # Errors
    /// [`TooLarge`]: the stream cannot be followed any more.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), TooLarge> {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) && bytes.first() == Some(&b'\n') {
                bytes = bytes.get(1..).unwrap_or_default();
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) else {
                self.line.extend_from_slice(bytes);
                return self.check();
            };
            let (head, tail) = bytes.split_at(end);
            self.line.extend_from_slice(head);
            self.check()?;
            self.after_cr = tail.first() == Some(&b'\r');
            self.end_line();
            bytes = tail.get(1..).unwrap_or_default();
        }
        Ok(())
    }

    /// The next complete event.
    pub fn next_event(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    /// Whether bytes of an unfinished event are held.
    pub fn is_mid_event(&self) -> bool {
        self.has_data || !self.line.is_empty() || !self.event.name.is_empty()
    }

    fn check(&self) -> Result<(), TooLarge> {
        if self.line.len() + self.event.data.len() > self.max {
            Err(TooLarge)
        } else {
            Ok(())
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let mut line = String::from_utf8_lossy(&line);
        if std::mem::take(&mut self.at_start) && line.starts_with('\u{feff}') {
            line = line.trim_start_matches('\u{feff}').to_owned().into();
        }
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            if std::mem::take(&mut self.has_data) {
                self.ready.push_back(event);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.event.name),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(pieces: &[&[u8]]) -> Vec<Event> {
        let mut decoder = Decoder::new(1 << 20);
        for piece in pieces {
            decoder.feed(piece).unwrap();
        }
        std::iter::from_fn(|| decoder.next_event()).collect()
    }

    const STREAM: &[u8] = "\u{feff}: hi\r\n\r\nevent: a\r\ndata: {\"x\":\"é\"}\r\n\r\ndata:1\ndata:  2\nid: 7\n\n\rdata: [DONE]\r\revent: lone\n\ndata: cut".as_bytes();

    #[test]
    fn every_split_of_a_stream_gives_the_same_events() {
        let whole = decode(&[STREAM]);

        assert_eq!(
            whole
                .iter()
                .map(|e| (e.name.as_str(), e.data.as_str()))
                .collect::<Vec<_>>(),
            [("a", "{\"x\":\"é\"}"), ("", "1\n 2"), ("", "[DONE]")]
        );
        for at in 0..=STREAM.len() {
            let (head, tail) = STREAM.split_at(at);
            assert_eq!(decode(&[head, tail]), whole, "split at {at}");
        }
        let single: Vec<&[u8]> = STREAM.chunks(1).collect();
        assert_eq!(decode(&single), whole);
    }

    #[test]
    fn an_event_beyond_the_bound_is_refused() {
        let mut decoder = Decoder::new(10);

        assert_eq!(decoder.feed(b"data: 123456789"), Err(TooLarge));
    }
}
