//! From answers, stream errors and tool faults to kinds.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Fault, FaultKind, redact, wait};
use crate::stream::{StreamError, ToolFault};

/// Wait when the service asks for one without saying how long.
const DEFAULT_WAIT: Duration = Duration::from_mins(1);

/// How long an account rests after a challenge was demanded.
const CHALLENGE_WAIT: Duration = Duration::from_mins(10);

/// How much of a page is searched for the marks of a challenge.
const MAX_PAGE_BYTES: usize = 64 << 10;

/// An HTTP answer that is not the event stream that was asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Refusal<'a> {
    /// The status.
    pub status: u16,
    /// `content-type`.
    pub content_type: &'a str,
    /// `retry-after`, in seconds; dates need a clock and are the caller's.
    pub retry_after: Option<&'a str>,
    /// Whether `cf-mitigated` names a challenge.
    pub is_mitigated: bool,
    /// The body, or its beginning.
    pub body: &'a [u8],
}

impl Refusal<'_> {
    /// Classifies the answer, by its code first, then by its words, then by its status.
    pub fn classify(&self) -> Fault {
        let json: Option<Map<String, Value>> = serde_json::from_slice(self.body).ok();
        let words = Words::read(json.as_ref());
        let kind = self.kind(&words, json.is_some());
        let header = self.retry_after.map(|text| Value::from(text.to_owned()));
        let wait = words.clears_in.or_else(|| wait::seconds(&header?));
        words.fault(kind, wait)
    }

    fn kind(&self, words: &Words, is_json: bool) -> FaultKind {
        if self.is_challenge(words, is_json) {
            return FaultKind::Challenge;
        }
        if self.status < 300 {
            return FaultKind::Unexpected;
        }
        if let Some(kind) = words.kind() {
            return kind;
        }
        match self.status {
            401 => FaultKind::TokenInvalid,
            403 => FaultKind::Forbidden,
            404 => FaultKind::NotFound,
            413 => FaultKind::TooLong,
            429 => FaultKind::RateLimited,
            400..=499 => FaultKind::RejectedRequest,
            _ => FaultKind::ServerError,
        }
    }

    /// The edge asks with a page, the service with the words "unusual activity". A plain 403 page counts too.
    fn is_challenge(&self, words: &Words, is_json: bool) -> bool {
        if self.is_mitigated {
            return true;
        }
        if is_json {
            return matches!(self.status, 401 | 403) && words.says("unusual activity");
        }
        let page = self.body.get(..MAX_PAGE_BYTES).unwrap_or(self.body);
        let page = String::from_utf8_lossy(page).to_lowercase();
        let is_page =
            self.content_type.starts_with("text/html") || page.trim_start().starts_with('<');
        let marks = [
            "just a moment",
            "cf-please-wait",
            "challenge-platform",
            "cf_chl",
            "cf-chl",
        ];
        let is_marked = marks.iter().any(|mark| page.contains(mark));
        is_page && (self.status == 403 || (matches!(self.status, 429 | 503) && is_marked))
    }
}

/// What a gate call's flags demand; `None` when they demand nothing.
///
/// A `required` proof is a challenge, which this project does not answer; `force_login` says that the token was not
/// accepted.
pub fn of_gate(answer: &Value) -> Option<FaultKind> {
    let required = |name: &&str| {
        let flag = answer.get(name).and_then(|flag| flag.get("required"));
        flag.and_then(Value::as_bool) == Some(true)
    };
    if ["turnstile", "proofofwork", "arkose", "so"]
        .iter()
        .any(required)
    {
        return Some(FaultKind::Challenge);
    }
    let must_log_in = answer.get("force_login").and_then(Value::as_bool) == Some(true);
    must_log_in.then_some(FaultKind::TokenInvalid)
}

impl From<&StreamError> for Fault {
    fn from(error: &StreamError) -> Self {
        let (message, code) = match error {
            StreamError::Upstream { message, code } => (message.clone(), code.clone()),
            _ => (String::new(), None),
        };
        let words = Words {
            clears_in: None,
            message,
            code,
        };
        let kind = match error {
            StreamError::Truncated => FaultKind::Truncated,
            StreamError::Empty => FaultKind::EmptyAnswer,
            StreamError::TooLarge => FaultKind::TooLarge,
            StreamError::Upstream { .. } if words.says("unusual activity") => FaultKind::Challenge,
            StreamError::Upstream { .. } => words.kind().unwrap_or(FaultKind::StreamError),
        };
        words.fault(kind, None)
    }
}

impl From<&ToolFault> for Fault {
    /// A tool's failure; a limit of the image tool is the account's, for pictures alone.
    fn from(fault: &ToolFault) -> Self {
        let words = Words {
            clears_in: None,
            message: fault.text.clone(),
            code: Some(fault.name.clone()).filter(|name| !name.is_empty()),
        };
        let is_image_tool = ["dalle", "t2uay3k"]
            .iter()
            .any(|name| fault.tool.starts_with(name));
        let is_limit = ["too quickly", "limit", "quota"]
            .iter()
            .any(|sign| words.says(sign))
            || fault.name.to_lowercase().contains("ratelimit");
        let kind = match words.kind() {
            Some(FaultKind::ContentPolicy) => FaultKind::ContentPolicy,
            _ if is_image_tool && is_limit => FaultKind::ImageLimit,
            _ => FaultKind::StreamError,
        };
        words.fault(kind, None)
    }
}

/// What an error says, whatever its shape.
#[derive(Debug, Default)]
struct Words {
    message: String,
    code: Option<String>,
    clears_in: Option<Duration>,
}

impl Words {
    /// `{"detail": text | {message, code, clears_in} | [..]}` or `{"error": {message, code}}`.
    fn read(json: Option<&Map<String, Value>>) -> Self {
        let detail = json.and_then(|json| json.get("detail").or_else(|| json.get("error")));
        match detail {
            Some(Value::String(message)) => Self {
                code: is_code(message).then(|| message.clone()),
                message: message.clone(),
                clears_in: None,
            },
            Some(Value::Object(detail)) => {
                let text = |key: &str| detail.get(key).and_then(Value::as_str).map(str::to_owned);
                Self {
                    message: text("message").unwrap_or_default(),
                    code: text("code").or_else(|| text("type")),
                    clears_in: detail.get("clears_in").and_then(wait::seconds),
                }
            }
            _ => Self::default(),
        }
    }

    fn says(&self, sign: &str) -> bool {
        self.message.to_lowercase().contains(sign)
    }

    fn kind(&self) -> Option<FaultKind> {
        let code = self.code.as_deref().unwrap_or("").to_lowercase();
        Some(match code.as_str() {
            "token_expired" => FaultKind::TokenExpired,
            "token_invalidated" | "token_revoked" => FaultKind::TokenInvalidated,
            "invalid_jwt" | "invalid_token" => FaultKind::TokenInvalid,
            "account_deactivated" => FaultKind::AccountDeactivated,
            "conversation_not_found" => FaultKind::ConversationNotFound,
            "message_length_exceeds_limit"
            | "conversation_too_large"
            | "context_length_exceeded" => FaultKind::TooLong,
            "model_cap_exceeded" => FaultKind::ModelCap,
            "rate_limit_exceeded" | "too_many_requests" => FaultKind::RateLimited,
            code if code.contains("content_policy") => FaultKind::ContentPolicy,
            code if code.contains("workspace") => FaultKind::WorkspaceForbidden,
            _ if self.says("only one message at a time") => FaultKind::Busy,
            _ if self.clears_in.is_some() => FaultKind::ModelCap,
            _ if self.says("too many requests") => FaultKind::RateLimited,
            _ => return None,
        })
    }

    fn fault(self, kind: FaultKind, wait: Option<Duration>) -> Fault {
        let wait = wait.or_else(|| match kind {
            FaultKind::Challenge => Some(CHALLENGE_WAIT),
            _ if kind.status() == 429 => Some(wait::wait_in(&self.message).unwrap_or(DEFAULT_WAIT)),
            _ => None,
        });
        let message = match kind {
            FaultKind::Challenge => String::new(),
            // A code is no sentence.
            _ if is_code(&self.message) => String::new(),
            _ => redact(&self.message),
        };
        Fault {
            message: if message.is_empty() {
                own_words(kind).to_owned()
            } else {
                message
            },
            kind,
            upstream_code: self.code.map(|code| redact(&code)),
            clears_in: wait,
        }
    }
}

fn is_code(text: &str) -> bool {
    text.contains('_') && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// What is said where the service has no words of its own.
fn own_words(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Challenge => {
            "the ChatGPT service asked for a browser challenge this gateway does not answer"
        }
        FaultKind::Truncated => {
            "the ChatGPT service closed the stream before the answer was complete"
        }
        FaultKind::EmptyAnswer => "the ChatGPT service ended the turn without an answer",
        FaultKind::TooLarge => "the ChatGPT service sent more than this gateway holds in memory",
        FaultKind::Unexpected => "the ChatGPT service answered in an unexpected form",
        FaultKind::RejectedRequest => "the ChatGPT service did not accept the request",
        FaultKind::ServerError => "the ChatGPT service failed",
        FaultKind::ConversationNotFound => {
            "the ChatGPT service has no such conversation for this account"
        }
        FaultKind::NotFound => "the ChatGPT service does not have this for the account",
        _ => "the ChatGPT service refused the request",
    }
}

#[cfg(test)]
mod tests;
