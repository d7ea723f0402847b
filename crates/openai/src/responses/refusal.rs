//! Why a Responses request cannot be served.

use std::fmt;

/// A fault of the client's request; becomes a 400 with this code and parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A stable word, as OpenAI uses it where it has one for the case.
    pub code: &'static str,
    /// The member at fault, such as `input[2].content[0].type`.
    pub param: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl Refusal {
    pub(super) fn new(
        code: &'static str,
        param: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code,
            param: param.into(),
            message: message.into(),
        }
    }

    pub(super) fn missing(param: impl Into<String>) -> Self {
        let param = param.into();
        let message = format!("missing required parameter: '{param}'");
        Self::new("missing_required_parameter", param, message)
    }

    pub(super) fn wrong_type(param: impl Into<String>, expected: &str) -> Self {
        let param = param.into();
        let message = format!("invalid type for '{param}': expected {expected}");
        Self::new("invalid_type", param, message)
    }

    pub(super) fn unsupported(param: &str, reason: &str) -> Self {
        let message = format!("'{param}' is not supported here: {reason}");
        Self::new("unsupported_parameter", param, message)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}
