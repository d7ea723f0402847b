//! The one way out: a response or an error onto the wire.

use std::sync::Arc;
use std::time::Duration;

use aurora_sdk::{Error, Response};
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, StatusCode};
use salvo::http::ResBody;

use super::access::Access;
use super::outgoing::Outgoing;
use crate::upstream::trace::StreamEnd;

/// The OpenAI-style answer of an error, with the headers that clients act on.
pub(super) fn error(error: &Error) -> Response {
    let status = error.status();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let must_say_when = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    if let Some(wait) = error.retry_after() {
        // Rounded up: coming back too early only costs another refusal.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, seconds.max(1).into());
    } else if must_say_when {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    Response {
        status,
        headers: headers.into(),
        body: error.envelope().to_json().into(),
    }
}

/// Puts `response` onto the wire; `access` is closed with its last byte.
///
/// `comment_gap`: silence after which an event stream gets a comment.
pub(super) fn write(
    response: Response,
    mut access: Access,
    comment_gap: Option<Duration>,
    out: &mut salvo::Response,
) {
    access.status = Some(response.status);
    out.status_code(response.status);
    let length = response.body.length();
    *out.headers_mut() = response.headers.into_map();
    if let Some(bytes) = response.body.as_bytes() {
        access.send(bytes);
        access.finish();
        // By itself the server leaves it out of answers to HEAD.
        out.headers_mut().insert(CONTENT_LENGTH, bytes.len().into());
        out.body(ResBody::Once(bytes.clone()));
        return;
    }
    if !response.body.is_stream() {
        access.finish();
        out.body(ResBody::None);
        return;
    }
    if let Some(length) = length {
        out.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    if access.wants_head() {
        access.trace.ended(StreamEnd::Complete);
        return;
    }
    // The connection knows whether the client took it.
    out.extensions.insert(Arc::clone(&access.trace));
    let events = response_is_events(out.headers());
    let stream = response.body.into_stream();
    let stream = if events {
        Outgoing::events(stream, access, comment_gap)
    } else {
        Outgoing::new(stream, access)
    };
    out.body(ResBody::stream(stream));
}

/// Whether the body is an event stream that comments can be put into.
fn response_is_events(headers: &HeaderMap) -> bool {
    let events = headers.get(CONTENT_TYPE).is_some_and(|value| {
        value
            .as_bytes()
            .to_ascii_lowercase()
            .starts_with(b"text/event-stream")
    });
    events && !headers.contains_key(CONTENT_ENCODING)
}
