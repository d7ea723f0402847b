//! Bodies of answers that are no success: read within a bound, unpacked, and freed of our credentials.

use std::io::Read;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::Instant;

use crate::providers::Chunks;

/// The most of an error body that is read.
const MAX_BYTES: usize = 1024 * 1024;

/// The longest that it is waited for: a body that drips must not hold the client, the token and the slot.
const MAX_TIME: Duration = Duration::from_secs(5);

/// What stands in place of a credential.
const MASK: &str = "[redacted]";

/// Reads an error body within bounds of size and time; what is too large or too slow is cut there.
pub(crate) async fn read(mut body: Chunks, headers: &HeaderMap, gap: Duration) -> Bytes {
    let mut bytes = BytesMut::new();
    let began = Instant::now();
    loop {
        let gap = gap.min(MAX_TIME.saturating_sub(began.elapsed()));
        let Ok(Some(Ok(chunk))) = tokio::time::timeout(gap, body.next()).await else {
            break;
        };
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= MAX_BYTES {
            bytes.truncate(MAX_BYTES);
            break;
        }
    }
    unpack(bytes.freeze(), headers)
}

fn unpack(bytes: Bytes, headers: &HeaderMap) -> Bytes {
    if headers
        .get(CONTENT_ENCODING)
        .is_none_or(|encoding| encoding != "gzip")
    {
        return bytes;
    }
    let mut plain = Vec::new();
    let limit = MAX_BYTES as u64;
    // A body that cannot be unpacked is as good as none.
    match flate2::read::GzDecoder::new(bytes.as_ref())
        .take(limit)
        .read_to_end(&mut plain)
    {
        Ok(_) => plain.into(),
        Err(_) => Bytes::new(),
    }
}

/// `body` without `secret`, where it is JSON; `None` where it is not.
pub(crate) fn json(body: &Bytes, secret: Option<&SecretString>) -> Option<Bytes> {
    serde_json::from_slice::<serde::de::IgnoredAny>(body).ok()?;
    Some(masked(body, secret))
}

/// `text` without `secret`, in any spelling that JSON has for it.
pub(crate) fn masked(text: &Bytes, secret: Option<&SecretString>) -> Bytes {
    let Some(secret) = secret
        .map(ExposeSecret::expose_secret)
        .filter(|secret| !secret.is_empty())
    else {
        return text.clone();
    };
    // As JSON writes it, and as writers do that escape slashes too.
    let quoted = serde_json::Value::from(secret).to_string();
    let escaped = quoted.get(1..quoted.len() - 1).unwrap_or(secret).to_owned();
    let spellings = [escaped.replace('/', "\\/"), escaped, secret.to_owned()];
    let found = |secret: &String| memchr::memmem::find(text, secret.as_bytes()).is_some();
    if !spellings.iter().any(found) {
        return text.clone();
    }
    let text = String::from_utf8_lossy(text).into_owned();
    spellings
        .iter()
        .fold(text, |text, secret| text.replace(secret, MASK))
        .into()
}

/// The message inside an error body, for people.
pub(crate) fn message(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Envelope {
        Standard { error: Message },
        Text { error: String },
        Detail { detail: String },
    }
    #[derive(Deserialize)]
    struct Message {
        message: String,
    }
    match serde_json::from_slice(body).ok()? {
        Envelope::Standard { error } => Some(error.message),
        Envelope::Text { error: text } | Envelope::Detail { detail: text } => Some(text),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_body_that_echoes_our_token_is_masked() {
        let body = Bytes::from_static(br#"{"error":{"message":"bad key sk-1234"}}"#);

        let shown = json(&body, Some(&"sk-1234".into())).unwrap();

        assert_eq!(shown, r#"{"error":{"message":"bad key [redacted]"}}"#);
        assert_eq!(message(&shown).unwrap(), "bad key [redacted]");
    }

    #[test]
    fn what_is_not_json_is_no_body() {
        assert!(json(&Bytes::from_static(b"<html>"), None).is_none());
        assert!(json(&Bytes::new(), None).is_none());
    }

    #[tokio::test]
    async fn packed_bodies_are_unpacked_and_bombs_are_cut() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&vec![b' '; 8 * MAX_BYTES]).unwrap();
        let packed = Bytes::from(gzip.finish().unwrap());
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));

        let stream = futures_util::stream::iter([Ok(packed)]);
        let plain = read(Box::pin(stream), &headers, Duration::from_secs(1)).await;

        assert_eq!(plain.len(), MAX_BYTES);
    }
}
