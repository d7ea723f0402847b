//! What `mock` and `load` agree on: markers in a request, and the exact bytes of an answer.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use bytes::{Bytes, BytesMut};

/// The client key that the load shows and Aurora checks.
pub const CLIENT_KEY: &str = "sk-bench-client";

/// Last event of a stream.
pub const DONE: &[u8] = b"data: [DONE]\n\n";

const EVENT_START: &[u8] =
    b"data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\
\"created\":1700000000,\"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"";
const EVENT_END: &[u8] = b" word\"},\"finish_reason\":null}]}\n\n";

/// Event number `sequence` of every stream.
#[must_use]
pub fn event(sequence: u64) -> Bytes {
    let mut event = BytesMut::with_capacity(EVENT_START.len() + 8 + EVENT_END.len());
    event.extend_from_slice(EVENT_START);
    event.extend_from_slice(&digits(sequence));
    event.extend_from_slice(EVENT_END);
    event.freeze()
}

/// Whether `bytes` are event number `sequence`, without making one.
#[must_use]
pub fn is_event(bytes: &[u8], sequence: u64) -> bool {
    bytes
        .strip_prefix(EVENT_START)
        .and_then(|rest| rest.strip_suffix(EVENT_END))
        .is_some_and(|number| number == digits(sequence))
}

/// Eight decimal digits.
fn digits(mut number: u64) -> [u8; 8] {
    let mut digits = [b'0'; 8];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
    digits
}

/// The stream that a request asks for with the marker `[sse COUNT PACE]` in its prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    /// Events before [`DONE`].
    pub count: u64,
    /// How they follow each other.
    pub pace: Pace,
}

/// How the events of a stream follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// At once, many in one write: as from a server that has been waiting for its network.
    Joined,
    /// At once, each in a write of its own: as from a fast model.
    Flushed,
    /// One in so many milliseconds.
    Every(u64),
}

impl FromStr for Pace {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        match text {
            "joined" => Ok(Self::Joined),
            "flushed" => Ok(Self::Flushed),
            milliseconds => milliseconds.parse().map(Self::Every),
        }
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined => out.write_str("joined"),
            Self::Flushed => out.write_str("flushed"),
            Self::Every(milliseconds) => write!(out, "{milliseconds}"),
        }
    }
}

impl Stream {
    /// Finds the marker in a request body.
    #[must_use]
    pub fn find(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let (marker, _) = text.split_once("[sse ")?.1.split_once(']')?;
        let (count, pace) = marker.split_once(' ')?;
        Some(Self {
            count: count.parse().ok()?,
            pace: pace.parse().ok()?,
        })
    }
}

/// A chat request whose body has about 1 KB; with `stream`, one that asks for it.
#[must_use]
pub fn chat_request(stream: Option<Stream>) -> Vec<u8> {
    let marker = stream.map_or_else(String::new, |stream| {
        format!("[sse {} {}]", stream.count, stream.pace)
    });
    let body = format!(
        "{{\"model\":\"bench\",\"stream\":{},\"messages\":[{{\"role\":\"user\",\"content\":\"{marker}{}\"}}]}}",
        stream.is_some(),
        "lorem ipsum ".repeat(80),
    );
    let mut request = head(
        "POST",
        "/v1/chat/completions",
        "application/json",
        body.len(),
    );
    request.extend_from_slice(body.as_bytes());
    request
}

/// The head of a request, with the client key.
#[must_use]
pub fn head(method: &str, path: &str, content_type: &str, length: usize) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {CLIENT_KEY}\r\n\
         content-type: {content_type}\r\ncontent-length: {length}\r\n\r\n"
    )
    .into_bytes()
}

/// The answer to a chat request without a marker, about 1 KB.
#[must_use]
pub fn chat_answer() -> Bytes {
    let content = "dolor sit amet ".repeat(50);
    Bytes::from(format!(
        "{{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"bench\",\
         \"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"{content}\"}},\
         \"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":160,\"completion_tokens\":150,\"total_tokens\":310}}}}"
    ))
}

/// The value of `name=value` among the arguments of the program.
///
/// # Panics
/// Without it, or when it cannot be read: these programs are started by a script.
#[must_use]
pub fn argument<T: FromStr>(name: &str) -> T {
    std::env::args()
        .find_map(|argument| argument.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        .unwrap_or_else(|| panic!("usage: {name}=VALUE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marker_of_a_request_is_found_in_it() {
        let stream = Stream {
            count: 12,
            pace: Pace::Every(30),
        };

        let found = Stream::find(&chat_request(Some(stream)));

        assert_eq!(found, Some(stream));
        assert_eq!(Stream::find(&chat_request(None)), None);
    }

    #[test]
    fn an_event_is_recognised_by_its_number() {
        assert!(is_event(&event(70_123), 70_123));
        assert!(!is_event(&event(70_123), 70_124));
    }
}
