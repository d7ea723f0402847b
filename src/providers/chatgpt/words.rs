//! What is said of requests that cannot be served as they are.

use aurora_sdk::Error;

/// 400: a field that must be there is not.
pub(super) fn missing(field: &str) -> Error {
    let message = format!("`{field}` is missing or empty");
    Error::invalid("missing_required_parameter", field, message)
}

/// 400: a field is of the wrong kind.
pub(super) fn wrong(field: &str, kind: &str) -> Error {
    Error::invalid("invalid_value", field, format!("`{field}` must be {kind}"))
}
