//! What a client reads whose request head is none: hyper answers it before there is a request, with an empty body.

use aurora_sdk::{Error, ErrorKind, Origin};
use bytes::Bytes;
use http::HeaderMap;

use crate::server::request_id;

/// How such an answer begins; hyper writes no other by itself.
const BEGINNING: &[u8] = b"HTTP/1.1 4";

const NO_BODY: &str = "content-length: 0\r\n";

/// Whether hyper answers by itself with `head`; to be asked only while no request is under way.
pub(super) fn is_answer(head: &[u8]) -> bool {
    head.starts_with(BEGINNING)
}

/// hyper's `head` with the body that every error has. A head that looks otherwise is left alone.
pub(super) fn answer(head: &[u8]) -> Bytes {
    let Ok(text) = std::str::from_utf8(head) else {
        return Bytes::copy_from_slice(head);
    };
    let (code, message) = match text.get(9..12) {
        Some("431") => (
            "request_head_too_large",
            "the request head is larger than 64 KiB, or has more than 128 headers",
        ),
        Some("414") => ("uri_too_long", "the request's path is too long"),
        _ => (
            "invalid_request_head",
            "the request head is not one of HTTP/1.1, or says twice how long its body is",
        ),
    };
    let error = Error::new(ErrorKind::InvalidRequest, Origin::Downstream, code, message);
    let body = error.envelope().to_json();
    let id = request_id::take(&HeaderMap::new());
    tracing::debug!(request_id = &*id, code, "request head refused");
    let headers = format!(
        "content-type: application/json\r\nx-request-id: {id}\r\ncontent-length: {}\r\n",
        body.len()
    );
    match text.split_once(NO_BODY) {
        Some((before, after)) => [before, &headers, after, &body].concat().into(),
        None => Bytes::copy_from_slice(head),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_gets_a_body_and_an_id() {
        let head =
            b"HTTP/1.1 431 Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";

        assert!(is_answer(head));
        let answer = answer(head);

        let text = std::str::from_utf8(&answer).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 431 Too Large\r\nconnection: close\r\n"));
        assert!(head.contains("x-request-id: req_") && head.ends_with("date: x"));
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
        assert!(body.contains("\"request_head_too_large\""));
    }

    #[test]
    fn a_head_of_another_look_is_left_alone() {
        let head = b"HTTP/1.1 400 Bad Request\r\n\r\n";

        assert_eq!(answer(head), &head[..]);
        assert!(!is_answer(b"HTTP/1.1 200 OK\r\n\r\n"));
    }
}
