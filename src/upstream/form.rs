//! Forms on their way to an upstream that has other names for models.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aurora_openai::multipart::{self, Form};
use aurora_sdk::{Body, BodyStream, Error, UpstreamRequest};
use bytes::Bytes;
use futures_core::Stream;
use http::header::CONTENT_TYPE;

use super::Upstream;

/// `body` with the upstream's own name in its `model` field, where it is a form and the upstream has aliases.
///
/// Where the client put `model` before its files the new length is known; where not, the form is sent without one.
pub(super) fn renamed(body: Body, request: &UpstreamRequest, upstream: &Upstream) -> Body {
    let names = &upstream.settings.models;
    let content_type = request
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let Some(boundary) = content_type.and_then(multipart::boundary) else {
        return body;
    };
    let length = match &request.model {
        Some(model) => match names.get(model) {
            Some(name) => body
                .length()
                .map(|all| all + name.len() as u64 - model.len() as u64),
            None => return body,
        },
        None if names.is_empty() => return body,
        None => None,
    };
    let form = Some(Form::renaming(boundary, names.clone()));
    Body::stream(
        Box::pin(Renaming {
            body: body.into_stream(),
            form,
        }),
        length,
    )
}

struct Renaming {
    body: BodyStream,
    form: Option<Form>,
}

impl Stream for Renaming {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let Some(form) = &mut this.form else {
                return Poll::Ready(None);
            };
            let passed = match ready!(this.body.as_mut().poll_next(cx)) {
                Some(Ok(chunk)) => form.push(chunk),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => this.form.take().map(Form::finish).unwrap_or_default(),
            };
            if !passed.is_empty() {
                return Poll::Ready(Some(Ok(passed)));
            }
        }
    }
}
