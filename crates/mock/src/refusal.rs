//! The errors that several endpoints answer with.

use aurora_sdk::{Error, ErrorKind, Origin};

/// 400 for a required member that is not there.
pub(crate) fn missing(param: &str) -> Error {
    Error::invalid(
        "missing_required_parameter",
        param,
        format!("missing required parameter: `{param}`"),
    )
}

/// 400 for a member of the wrong type.
pub(crate) fn wrong_type(param: &str, expected: &str) -> Error {
    Error::invalid(
        "invalid_type",
        param,
        format!("invalid type for `{param}`: expected {expected}"),
    )
}

/// 400 for a value that the endpoint does not take.
pub(crate) fn wrong_value(param: &str, expected: &str) -> Error {
    Error::invalid(
        "invalid_value",
        param,
        format!("invalid value for `{param}`: expected {expected}"),
    )
}

/// 404 with `code`.
pub(crate) fn not_found(code: &'static str, message: String) -> Error {
    Error::new(ErrorKind::NotFound, Origin::Downstream, code, message)
}
