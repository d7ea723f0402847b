//! One request to the mock.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use aurora_sdk::{Error, State};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};

use crate::fields::Fields;
use crate::form::Form;
use crate::seed::Seed;

/// A request with all that its answer depends on.
#[derive(Clone)]
pub struct Exchange<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path below the API root with the query if there is one: `chat/completions`, `files?limit=2`.
    pub path: &'a str,
    /// The headers; only `content-type` is looked at.
    pub headers: &'a HeaderMap,
    /// The whole body; the caller bounds it.
    pub body: Bytes,
    /// Whose files are seen and stored.
    pub owner: &'a str,
    /// Where files are kept.
    pub state: &'a dyn State,
    /// The time of `created` and `created_at`.
    pub now: SystemTime,
}

impl Exchange<'_> {
    /// The path without the query and leading slashes.
    pub(crate) fn endpoint(&self) -> &str {
        let path = self.path.trim_start_matches('/');
        path.split_once('?').map_or(path, |(path, _)| path)
    }

    /// The first value of `name` in the query, decoded.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.path.split_once('?')?;
        form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// Seconds since 1970.
    pub(crate) fn created(&self) -> u64 {
        self.now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }

    /// What ids are made from.
    pub(crate) fn seed(&self) -> Seed {
        Seed::of(&[self.endpoint().as_bytes(), &self.body])
    }

    /// The body as a JSON object.
    pub(crate) fn fields(&self) -> Result<Fields, Error> {
        Fields::parse(&self.body)
    }

    /// Whether the body says that it is a multipart form.
    pub(crate) fn is_form(&self) -> bool {
        self.content_type()
            .trim_start()
            .to_ascii_lowercase()
            .starts_with("multipart/")
    }

    /// The body as a multipart form.
    pub(crate) async fn form(&self) -> Result<Form, Error> {
        Form::read(self.content_type(), self.body.clone()).await
    }

    fn content_type(&self) -> &str {
        self.headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// Shows the form and length, never the body: bodies are private.
impl fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("body_bytes", &self.body.len())
            .field("owner", &self.owner)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}
