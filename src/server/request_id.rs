//! `x-request-id`: the client's where it is fit for logs, else ours.

use std::sync::Arc;

use http::HeaderMap;
use http::header::HeaderName;
use uuid::Uuid;

/// The header in both directions.
pub(super) const NAME: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken from a client.
const MAX_LENGTH: usize = 128;

/// The request's id.
pub(super) fn take(headers: &HeaderMap) -> Arc<str> {
    let given = headers
        .get(NAME)
        .and_then(|value| value.to_str().ok())
        .filter(|id| is_fit(id));
    match given {
        Some(id) => id.into(),
        None => format!("req_{}", Uuid::new_v4().simple()).into(),
    }
}

fn is_fit(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&byte);
    !id.is_empty() && id.len() <= MAX_LENGTH && id.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;

    use super::*;

    fn taken(id: &str) -> Arc<str> {
        take(&HeaderMap::from_iter([(
            NAME,
            HeaderValue::from_str(id).unwrap(),
        )]))
    }

    #[test]
    fn a_fit_id_is_kept_and_others_are_replaced() {
        assert_eq!(&*taken("abc-1.2:3"), "abc-1.2:3");
        for unfit in ["", "a b", "a\"b", &"x".repeat(129)] {
            assert!(taken(unfit).starts_with("req_"), "{unfit}");
        }
        assert_ne!(take(&HeaderMap::new()), take(&HeaderMap::new()));
    }
}
