//! Which headers cross, in both directions. Both sides are built from empty.

use http::HeaderMap;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING,
    CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    LAST_MODIFIED, RANGE, RETRY_AFTER, TRANSFER_ENCODING,
};

/// Client headers that every upstream gets.
const TO_UPSTREAM: [HeaderName; 5] = [
    ACCEPT,
    CONTENT_TYPE,
    CONTENT_ENCODING,
    RANGE,
    HeaderName::from_static("idempotency-key"),
];

/// Upstream headers that the client gets.
const TO_CLIENT: [HeaderName; 12] = [
    ACCEPT_RANGES,
    CACHE_CONTROL,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    ETAG,
    LAST_MODIFIED,
    RETRY_AFTER,
    HeaderName::from_static("retry-after-ms"),
];

/// Families of upstream headers that the client gets, by the beginning of their names.
const TO_CLIENT_FAMILIES: [&str; 3] = ["x-ratelimit-", "openai-", "x-aurora-upstream"];

/// Members of those families that name the operator's account.
const ACCOUNT: [&str; 2] = ["openai-organization", "openai-project"];

/// What an upstream sees of a client's headers: a few that describe the body, and those that its config lists.
pub(crate) fn to_upstream(offered: &HeaderMap, forward: &[String]) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    for name in &TO_UPSTREAM {
        if let Some(value) = offered.get(name) {
            headers.insert(name.clone(), value.clone());
        }
    }
    // The only encoding that error bodies can be read in.
    let gzip = offered
        .get_all(ACCEPT_ENCODING)
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.contains("gzip")));
    if gzip {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    for name in forward {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            for value in offered.get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
    }
    headers
}

/// What the client sees of an upstream's headers.
///
/// A length beside a transfer coding means nothing (RFC 9112 §6.3), and `identity` says nothing.
pub(crate) fn to_client(answered: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(answered.len().min(16));
    for (name, value) in answered {
        let text = name.as_str();
        let wanted = TO_CLIENT.contains(name)
            || TO_CLIENT_FAMILIES
                .iter()
                .any(|family| text.starts_with(family));
        if wanted && !ACCOUNT.contains(&text) {
            headers.append(name.clone(), value.clone());
        } else if text == "x-request-id" {
            headers.append(
                HeaderName::from_static("x-upstream-request-id"),
                value.clone(),
            );
        }
    }
    if answered.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        headers.remove(CONTENT_ENCODING);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn an_upstream_sees_only_what_it_may() {
        let offered = map(&[
            ("authorization", "Bearer x"),
            ("cookie", "a=b"),
            ("content-type", "application/json"),
            ("accept-encoding", "br, gzip"),
            ("x-forwarded-for", "10.0.0.1"),
            ("connection", "keep-alive"),
            ("openai-beta", "assistants=v2"),
        ]);

        let sent = to_upstream(&offered, &["openai-beta".to_owned()]);

        assert_eq!(
            sent,
            map(&[
                ("content-type", "application/json"),
                ("accept-encoding", "gzip"),
                ("openai-beta", "assistants=v2"),
            ])
        );
    }

    #[test]
    fn a_client_sees_useful_headers_and_no_accounts() {
        let answered = map(&[
            ("content-type", "application/json"),
            ("retry-after", "3"),
            ("x-ratelimit-remaining-tokens", "9"),
            ("openai-processing-ms", "12"),
            ("openai-organization", "acme"),
            ("set-cookie", "a=b"),
            ("server", "nginx"),
            ("transfer-encoding", "chunked"),
            ("x-request-id", "req_1"),
        ]);

        let shown = to_client(&answered);

        assert_eq!(
            shown,
            map(&[
                ("content-type", "application/json"),
                ("retry-after", "3"),
                ("x-ratelimit-remaining-tokens", "9"),
                ("openai-processing-ms", "12"),
                ("x-upstream-request-id", "req_1"),
            ])
        );
    }
}
