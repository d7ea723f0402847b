//! Requests of a test, and answers as it sees them.

use aurora_openai::sse::Decoder;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use serde_json::Value;

use super::{must, wait};
use crate::{Body, Error, Request, Response};

/// The largest body that is read where a test says nothing, bytes.
const MAX_BODY: u64 = 1 << 20;

/// A request to `path`, which may have a query.
///
/// # Panics
/// Where `method` is none.
#[track_caller]
pub fn request(method: &str, path: &str) -> TestRequest {
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (path, None),
    };
    TestRequest(Request {
        method: must(Method::from_bytes(method.as_bytes()), "that is no method"),
        path: path.to_owned(),
        query,
        headers: HeaderMap::new().into(),
        body: Body::empty(),
        max_body: MAX_BODY,
    })
}

/// A request in the making. See [`request`].
#[derive(Debug)]
pub struct TestRequest(Request);

impl TestRequest {
    /// With `value` as its body.
    ///
    /// # Panics
    /// Where `value` has no JSON form.
    #[must_use]
    #[track_caller]
    pub fn json(mut self, value: &(impl Serialize + ?Sized)) -> Self {
        let json = must(serde_json::to_vec(value), "that has no JSON form");
        let name = HeaderValue::from_static("application/json");
        self.0.headers.insert(CONTENT_TYPE, name);
        self.body(json)
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.0.body = body.into();
        self
    }

    /// With one more header.
    ///
    /// # Panics
    /// Where it is none.
    #[must_use]
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = must(
            HeaderName::from_bytes(name.as_bytes()),
            "that is no name of a header",
        );
        let value = must(HeaderValue::from_str(value), "that is no value of a header");
        self.0.headers.append(name, value);
        self
    }

    /// On a route that takes bodies of so many bytes as a whole.
    #[must_use]
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.0.max_body = bytes;
        self
    }
}

impl From<TestRequest> for Request {
    fn from(request: TestRequest) -> Self {
        request.0
    }
}

/// An answer that was read to its end.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// All of the body that came.
    pub body: Bytes,
    /// What broke the body off.
    pub broken: Option<Error>,
}

/// Reads an answer to its end, or to where it breaks off.
///
/// # Panics
/// As [`wait`].
#[track_caller]
pub fn read(response: Response) -> Answer {
    wait(Answer::of(response))
}

impl Answer {
    pub(super) async fn of(response: Response) -> Self {
        let Response {
            status,
            headers,
            mut body,
        } = response;
        let (mut all, mut broken) = (Vec::new(), None);
        while let Some(piece) = body.chunk().await {
            match piece {
                Ok(piece) => all.extend_from_slice(&piece),
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
        }
        Self {
            status,
            headers: headers.into_map(),
            body: all.into(),
            broken,
        }
    }

    /// The first header of that name, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// Where it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        must(serde_json::from_slice(&self.body), "the body is no JSON")
    }

    /// Names and data of the events in the body.
    pub fn events(&self) -> Vec<(String, String)> {
        let mut decoder = Decoder::new(usize::MAX);
        // Nothing is too large for it.
        decoder.feed(&self.body).unwrap_or_default();
        std::iter::from_fn(|| decoder.next_event())
            .map(|event| (event.name, event.data))
            .collect()
    }
}
