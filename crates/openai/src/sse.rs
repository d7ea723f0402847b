//! Event-stream framing (WHATWG HTML, "Server-sent events"): writing events, finding their borders, decoding them.

mod decoder;
mod framer;

pub use decoder::{Decoder, Event, TooLarge};
pub use framer::{End, Finish, Framer};

use bytes::{BufMut, Bytes, BytesMut};

/// `data: [DONE]`, the end marker of a chat stream.
pub const DONE: &str = "[DONE]";

/// One event as bytes: an `event:` line where `name` is given, one `data:` line per line of `data`, a blank line.
pub fn event(name: Option<&str>, data: &str) -> Bytes {
    let mut out = BytesMut::with_capacity(data.len() + name.map_or(0, str::len) + 24);
    if let Some(name) = name {
        out.put_slice(b"event: ");
        out.put_slice(name.as_bytes());
        out.put_slice(b"\n");
    }
    for line in data.split('\n') {
        out.put_slice(b"data: ");
        out.put_slice(line.as_bytes());
        out.put_slice(b"\n");
    }
    out.put_slice(b"\n");
    out.freeze()
}
