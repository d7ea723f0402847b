//! The one way out: a response or an error onto the wire.

use std::pin::Pin;
use std::task::{Context, Poll};

use aurora_sdk::{Body, BodyStream, Error, Response};
use bytes::Bytes;
use futures_core::Stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use salvo::http::ResBody;

use super::access::Access;

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
        headers,
        body: error.envelope().to_json().into(),
    }
}

/// Puts `response` onto the wire; `access` is closed with its last byte.
pub(super) fn write(response: Response, mut access: Access, out: &mut salvo::Response) {
    access.status = Some(response.status);
    out.status_code(response.status);
    let length = response.body.length();
    *out.headers_mut() = response.headers;
    if let Some(bytes) = response.body.as_bytes() {
        access.bytes = bytes.len() as u64;
        access.finished = true;
        // By itself the server leaves it out of answers to HEAD.
        out.headers_mut().insert(CONTENT_LENGTH, bytes.len().into());
        out.body(ResBody::Once(bytes.clone()));
        return;
    }
    if !response.body.is_stream() {
        access.finished = true;
        out.body(ResBody::None);
        return;
    }
    if let Some(length) = length {
        out.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    let stream = Outgoing {
        stream: Body::into_stream(response.body),
        access,
    };
    out.body(ResBody::stream(stream));
}

/// A streamed body that knows when it is over.
struct Outgoing {
    stream: BodyStream,
    access: Access,
}

impl Stream for Outgoing {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.stream.as_mut().poll_next(cx);
        match &next {
            Poll::Ready(Some(Ok(bytes))) => self.access.bytes += bytes.len() as u64,
            Poll::Ready(Some(Err(error))) => {
                self.access.finished = true;
                self.access.error = Some(error.code().to_owned());
            }
            Poll::Ready(None) => self.access.finished = true,
            Poll::Pending => {}
        }
        next
    }
}
