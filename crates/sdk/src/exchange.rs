//! One request and its response, as a handler sees them.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Body, Error, Headers};

/// A client's request. Credentials are not in `headers`: the host has dealt with them.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path as sent, percent-encoding and all.
    pub path: String,
    /// The query as sent, without the `?`.
    pub query: Option<String>,
    /// The headers.
    pub headers: Headers,
    /// The body.
    pub body: Body,
    /// The largest body that the route takes as a whole in memory, bytes.
    pub max_body: u64,
}

impl Request {
    /// Reads the whole body, up to the route's limit.
    ///
    /// # Errors
    /// [`Error::too_large`], or what broke the transfer off.
    pub async fn read(&mut self) -> Result<Bytes, Error> {
        std::mem::take(&mut self.body).read_all(self.max_body).await
    }

    /// Reads the whole body, up to the route's limit, and leaves it in its place for who comes after.
    ///
    /// # Errors
    /// As [`Request::read`].
    pub async fn peek(&mut self) -> Result<Bytes, Error> {
        let bytes = self.read().await?;
        self.body = bytes.clone().into();
        Ok(bytes)
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// As [`Request::read`], and [`Error::invalid_json`].
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        let bytes = self.read().await?;
        serde_json::from_slice(&bytes).map_err(Error::invalid_json)
    }

    /// The media type of the body, lower case, without parameters; empty when there is none.
    pub fn content_type(&self) -> String {
        media_type(self.headers.value(CONTENT_TYPE.as_str()))
    }
}

/// The media type in a `content-type`, lower case, without parameters; empty when there is none.
fn media_type(content_type: Option<&[u8]>) -> String {
    content_type
        .and_then(|value| std::str::from_utf8(value).ok())
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_ascii_lowercase())
        .unwrap_or_default()
}

/// What a handler answers, and what an upstream answered.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: Headers,
    /// The body.
    pub body: Body,
}

impl Response {
    /// A response of `content_type` with 200.
    pub fn new(content_type: &'static str, body: impl Into<Body>) -> Self {
        Self {
            status: StatusCode::OK,
            headers: Headers::one(CONTENT_TYPE, HeaderValue::from_static(content_type)),
            body: body.into(),
        }
    }

    /// 200 with `value` as JSON.
    ///
    /// # Errors
    /// [`Error::internal`] where `value` has no JSON form.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        Ok(Self::new(
            "application/json",
            serde_json::to_vec(value).map_err(Error::internal)?,
        ))
    }

    /// 200 with a stream of server-sent events.
    pub fn events(stream: crate::BodyStream) -> Self {
        let mut response = Self::new(
            "text/event-stream; charset=utf-8",
            Body::stream(stream, None),
        );
        response.headers.insert(
            CACHE_CONTROL,
            HeaderValue::from_static("no-cache, no-transform"),
        );
        response
    }

    /// The media type of the body, lower case, without parameters; empty when there is none.
    pub fn content_type(&self) -> String {
        media_type(self.headers.value(CONTENT_TYPE.as_str()))
    }
}
