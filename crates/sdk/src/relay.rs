//! The native path: hand a request to an upstream that speaks the client's own API, byte for byte.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{self, Poll};

use aurora_openai::multipart::{self, Form};
use aurora_openai::peek::{self, Peek};
use bytes::Bytes;
use futures_core::Stream;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderValue};

use crate::{Body, Context, Error, Headers, Operation, Request, Response, UpstreamRequest};

/// How much of a form is read in search of its `model`, bytes.
const MAX_FORM_START: usize = 64 * 1024;

/// How a request body is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// Always one JSON object, whatever the content type says (`curl -d` says form data).
    Json,
    /// JSON where the content type says so or is absent, else relayed as a stream.
    ByContentType,
}

/// Relays `request` to `path` below the upstream's API root; the query goes along.
///
/// A JSON body is read whole (up to the route's limit), so that its model can be routed and the request repeated on
/// another token; every other body is streamed through and never held.
///
/// # Errors
/// [`Error::invalid_json`] where [`Payload::Json`] is not, [`Error::too_large`], and as [`crate::Host::send`].
pub async fn relay(
    cx: &Context,
    mut request: Request,
    operation: Operation,
    payload: Payload,
    path: &str,
) -> Result<Response, Error> {
    let mut headers = std::mem::take(&mut request.headers);
    let json = match payload {
        Payload::Json => true,
        Payload::ByContentType => is_json(&headers),
    };
    let (body, model) = if json && !request.body.is_empty() {
        let bytes = request.read().await?;
        let (bytes, model) = prepare(cx, payload, bytes, &mut headers)?;
        (Body::from(bytes), model)
    } else {
        let body = std::mem::take(&mut request.body);
        form_model(cx, body, &headers).await?
    };
    let path = match &request.query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let method = request.method;
    cx.host()
        .send(UpstreamRequest {
            operation,
            method,
            path,
            headers,
            body,
            model,
        })
        .await
}

/// Looks for `model` at the beginning of a form, before its first file, where its name matters.
async fn form_model(
    cx: &Context,
    mut body: Body,
    headers: &Headers,
) -> Result<(Body, Option<String>), Error> {
    let content_type = headers
        .value(CONTENT_TYPE.as_str())
        .and_then(|value| std::str::from_utf8(value).ok());
    let Some(boundary) = content_type.and_then(multipart::boundary) else {
        return Ok((body, None));
    };
    if !cx.host().routes_by_model() {
        return Ok((body, None));
    }
    let length = body.length();
    let mut form = Form::new(boundary);
    let mut seen = VecDeque::new();
    let mut bytes = 0;
    while !form.is_decided() && bytes < MAX_FORM_START {
        let Some(chunk) = body.chunk().await.transpose()? else {
            break;
        };
        bytes += chunk.len();
        follow(&mut form, &chunk)?;
        seen.push_back(chunk);
    }
    let model = form.model().map(str::to_owned);
    let resumed = Resumed {
        seen,
        rest: body,
        form,
    };
    Ok((Body::stream(Box::pin(resumed), length), model))
}

/// Looks at the next piece of a form. Its model decides where it goes and who may send it, so there must be one alone.
fn follow(form: &mut Form, piece: &Bytes) -> Result<(), Error> {
    form.push(piece.clone());
    if form.is_ambiguous() {
        return Err(Error::invalid(
            "ambiguous_form",
            "model",
            "the form has more than one `model`, or a part that cannot be read",
        ));
    }
    Ok(())
}

/// A form whose beginning has been looked at, and whose rest is.
struct Resumed {
    seen: VecDeque<Bytes>,
    rest: Body,
    form: Form,
}

impl Stream for Resumed {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(chunk) = this.seen.pop_front() {
            return Poll::Ready(Some(Ok(chunk)));
        }
        let next = task::ready!(Pin::new(&mut this.rest).poll_next(cx));
        let followed = next.map(|piece| {
            let piece = piece?;
            follow(&mut this.form, &piece)?;
            Ok(piece)
        });
        Poll::Ready(followed)
    }
}

/// Looks at a JSON body; switches streaming off where the gateway does not stream.
fn prepare(
    cx: &Context,
    payload: Payload,
    bytes: Bytes,
    headers: &mut Headers,
) -> Result<(Bytes, Option<String>), Error> {
    let peek = match (Peek::of(&bytes), payload) {
        (Ok(peek), _) => peek,
        (Err(error), Payload::Json) => return Err(Error::invalid_json(error)),
        // Not ours to judge: the upstream may take what we cannot read.
        (Err(_), Payload::ByContentType) => return Ok((bytes, None)),
    };
    // Unchanged headers stay where they are.
    if headers.value(CONTENT_TYPE.as_str()) != Some(b"application/json") {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if !peek.stream {
        return Ok((bytes, peek.model));
    }
    if cx.stream() {
        // A compressed event stream could not be followed to its end marker.
        if headers.value(ACCEPT_ENCODING.as_str()).is_some() {
            headers.remove(ACCEPT_ENCODING);
        }
        return Ok((bytes, peek.model));
    }
    let bytes = peek::without_stream(&bytes, &peek);
    Ok((bytes, peek.model))
}

fn is_json(headers: &Headers) -> bool {
    headers.value(CONTENT_TYPE.as_str()).is_none_or(|value| {
        let start = value.get(..b"application/json".len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(b"application/json"))
    })
}

/// The part of `path` behind `prefix`, without a leading slash; the whole path where it does not begin with it.
pub fn below<'a>(path: &'a str, prefix: &str) -> &'a str {
    let prefix = prefix.trim_end_matches('/');
    let rest = match path.strip_prefix(prefix) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
        Some(_) | None => path,
    };
    rest.trim_start_matches('/')
}
