//! Cross-origin access, for the origins that the config lists; none by default.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
};
use http::{HeaderMap, Method};

/// Response headers that pages may read.
const EXPOSED: &str = "x-request-id, retry-after, openai-processing-ms, x-ratelimit-limit-requests, \
     x-ratelimit-remaining-requests, x-ratelimit-reset-requests, x-ratelimit-limit-tokens, \
     x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens";

/// Whether a request is a browser's question before the real one.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Adds what the page at the request's origin needs to read the answer, if it may.
pub(super) fn allow(origins: &[String], asked: &HeaderMap, answer: &mut HeaderMap) -> bool {
    let any = origins.iter().any(|allowed| allowed == "*");
    if !any && !origins.is_empty() {
        // Also where no origin asks: a cache must not give that answer to a page.
        answer.append(VARY, HeaderValue::from_static("origin"));
    }
    let Some(origin) = asked.get(ORIGIN) else {
        return false;
    };
    if !any
        && !origins
            .iter()
            .any(|allowed| allowed.as_bytes() == origin.as_bytes())
    {
        return false;
    }
    let shown = if any {
        HeaderValue::from_static("*")
    } else {
        origin.clone()
    };
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, shown);
    answer.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(EXPOSED),
    );
    true
}

/// Adds the answer to a preflight for a path that serves `methods`.
pub(super) fn preflight(methods: &HeaderValue, asked: &HeaderMap, answer: &mut HeaderMap) {
    answer.insert(ACCESS_CONTROL_ALLOW_METHODS, methods.clone());
    if let Some(wanted) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
}
