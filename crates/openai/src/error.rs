//! The error envelope: `{"error":{"message","type","param","code"}}`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The body of every error answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorEnvelope<'a> {
    /// The error.
    #[serde(borrow)]
    pub error: ErrorBody<'a>,
}

/// What went wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorBody<'a> {
    /// For people.
    #[serde(default)]
    pub message: Cow<'a, str>,
    /// The class that SDKs branch on, such as `invalid_request_error`.
    #[serde(rename = "type", default)]
    pub kind: Cow<'a, str>,
    /// The request field at fault.
    #[serde(default)]
    pub param: Option<Cow<'a, str>>,
    /// A stable word; some servers send a number.
    #[serde(default)]
    pub code: Option<Value>,
}

impl<'a> ErrorEnvelope<'a> {
    /// An envelope of borrowed parts.
    pub fn new(
        message: &'a str,
        kind: &'a str,
        param: Option<&'a str>,
        code: Option<&str>,
    ) -> Self {
        Self {
            error: ErrorBody {
                message: Cow::Borrowed(message),
                kind: Cow::Borrowed(kind),
                param: param.map(Cow::Borrowed),
                code: code.map(|code| Value::String(code.to_owned())),
            },
        }
    }

    /// The envelope as JSON text.
    pub fn to_json(&self) -> String {
        // Strings and options of strings always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_has_all_four_members() {
        let text =
            ErrorEnvelope::new("no \"model\"", "invalid_request_error", None, Some("x")).to_json();

        assert_eq!(
            text,
            r#"{"error":{"message":"no \"model\"","type":"invalid_request_error","param":null,"code":"x"}}"#
        );
    }
}
