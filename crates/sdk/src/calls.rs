//! The semantic calls as requests of the OpenAI API, which every provider takes.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, RandomState};
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Duration;

use aurora_openai::ErrorEnvelope;
use bytes::Bytes;
use futures_core::Stream;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use crate::{Body, Error, ErrorKind, Operation, Origin, Response, UpstreamRequest};

/// The largest JSON answer that is read, bytes. Pictures come inside of it.
const MAX_ANSWER: u64 = 128 << 20;

/// The largest refusal that is looked at, bytes.
const MAX_REFUSAL: u64 = 1 << 20;

/// A file on its way to an upstream.
#[derive(Debug)]
pub struct Upload {
    /// Its name, which upstreams tell its type by.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// Its bytes; a stream is passed on as it comes.
    pub body: Body,
}

pub(crate) fn images(request: &Value) -> UpstreamRequest {
    of_json(Operation::Images, "images/generations", request)
}

pub(crate) fn speech(request: &Value) -> UpstreamRequest {
    of_json(Operation::Speech, "audio/speech", request)
}

pub(crate) fn transcribe(file: Upload, request: &Value) -> UpstreamRequest {
    of_form(Operation::Transcribe, "audio/transcriptions", file, request)
}

pub(crate) fn upload(file: Upload, request: &Value) -> UpstreamRequest {
    of_form(Operation::Files, "files", file, request)
}

fn model(request: &Value) -> Option<String> {
    request.get("model")?.as_str().map(str::to_owned)
}

fn of_json(operation: Operation, path: &str, request: &Value) -> UpstreamRequest {
    let json = HeaderValue::from_static("application/json");
    UpstreamRequest {
        operation,
        method: Method::POST,
        path: path.to_owned(),
        headers: HeaderMap::from_iter([(CONTENT_TYPE, json)]).into(),
        body: request.to_string().into(),
        model: model(request),
    }
}

fn of_form(operation: Operation, path: &str, file: Upload, request: &Value) -> UpstreamRequest {
    let boundary = boundary();
    let content_type = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"));
    let content_type =
        content_type.unwrap_or_else(|_| HeaderValue::from_static("multipart/form-data"));
    UpstreamRequest {
        operation,
        method: Method::POST,
        path: path.to_owned(),
        headers: HeaderMap::from_iter([(CONTENT_TYPE, content_type)]).into(),
        body: form(&boundary, file, request),
        model: model(request),
    }
}

/// No file has this in it by chance.
fn boundary() -> String {
    let (one, two) = (
        RandomState::new().hash_one(1),
        RandomState::new().hash_one(2),
    );
    format!("aurora-{one:016x}{two:016x}")
}

fn form(boundary: &str, file: Upload, request: &Value) -> Body {
    let mut head = String::new();
    let fields = request.as_object().into_iter().flatten();
    for (name, value) in fields {
        let items: Vec<&Value> = match value {
            Value::Array(items) => items.iter().collect(),
            one => vec![one],
        };
        for item in items {
            let text = item
                .as_str()
                .map_or_else(|| item.to_string(), str::to_owned);
            let name = quoted(name);
            // Writing to a string does not fail.
            let _written = write!(
                head,
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n"
            );
        }
    }
    let (name, content_type) = (quoted(&file.name), plain(&file.content_type));
    let _written = write!(
        head,
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: {content_type}\r\n\r\n"
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let around = (head.len() + tail.len()) as u64;
    let length = file.body.length().map(|length| length + around);
    let parts = VecDeque::from([Body::from(head), file.body, Body::from(tail)]);
    Body::stream(Box::pin(Parts(parts)), length)
}

/// As browsers write names (WHATWG HTML, multipart/form-data).
fn quoted(name: &str) -> String {
    name.replace('\r', "%0D")
        .replace('\n', "%0A")
        .replace('"', "%22")
}

fn plain(content_type: &str) -> String {
    let kept: String = content_type.chars().filter(|c| !c.is_control()).collect();
    if kept.is_empty() {
        return "application/octet-stream".to_owned();
    }
    kept
}

/// Bodies one after the other.
struct Parts(VecDeque<Body>);

impl Stream for Parts {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        while let Some(part) = self.0.front_mut() {
            match task::ready!(Pin::new(part).poll_next(cx)) {
                None => {
                    self.0.pop_front();
                }
                item => return Poll::Ready(item),
            }
        }
        Poll::Ready(None)
    }
}

/// The JSON of an answer that is no refusal.
pub(crate) async fn json(response: Response) -> Result<Value, Error> {
    let body = accepted(response).await?.body.read_all(MAX_ANSWER).await?;
    serde_json::from_slice(&body).map_err(|_| {
        let message = "the upstream's answer is not JSON";
        Error::new(
            ErrorKind::BadGateway,
            Origin::Upstream,
            "upstream_error",
            message,
        )
    })
}

/// An answer that is no refusal; a refusal as an error, with its status, code and words.
///
/// # Errors
/// The refusal.
pub async fn accepted(response: Response) -> Result<Response, Error> {
    if response.status.is_success() {
        return Ok(response);
    }
    let status = response.status;
    // What the gateway passes on is seconds, or a date that only the client can use.
    let wait = response.headers.get(RETRY_AFTER);
    let wait = wait.and_then(|value| value.to_str().ok()?.parse().ok());
    let later = |error: Error| match wait {
        Some(seconds) => error.with_retry_after(Duration::from_secs(seconds)),
        None => error,
    };
    let bytes = response
        .body
        .read_all(MAX_REFUSAL)
        .await
        .unwrap_or_default();
    let envelope: Option<ErrorEnvelope<'_>> = serde_json::from_slice(&bytes).ok();
    let kind = match status {
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge,
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::RateLimited,
        status if status.is_server_error() => ErrorKind::BadGateway,
        _ => ErrorKind::InvalidRequest,
    };
    let Some(body) = envelope.map(|envelope| envelope.error) else {
        let message = format!(
            "the upstream refused the request with status {}",
            status.as_u16()
        );
        let error = Error::new(kind, Origin::Upstream, "upstream_refused", message);
        return Err(later(error.with_status(status)));
    };
    let code = match body.code {
        Some(Value::String(code)) => code,
        Some(Value::Number(code)) => code.to_string(),
        _ => body.kind.into_owned(),
    };
    let error =
        Error::new(kind, Origin::Upstream, code, body.message.into_owned()).with_status(status);
    Err(later(match body.param {
        Some(param) => error.with_param(param.into_owned()),
        None => error,
    }))
}
