//! What an upstream's answer means, decided from status, code and content type and never from prose.

use std::time::{Duration, SystemTime};

use aurora_config::RetryOn;
use aurora_sdk::{Error, ErrorKind, Operation, Origin};
use aurora_tokens::Outcome;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use crate::providers::Fault;

/// The longest rest that an upstream can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// The codes of a prompt that is longer than the model takes: OpenAI's, and that of llama.cpp's server.
const TOO_LONG: [&str; 2] = ["context_length_exceeded", "exceed_context_size_error"];

/// Whose fault an answer is, and so what may be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// For the client as it is: a success, or the client's own mistake.
    Relay,
    /// 429 for our token.
    RateLimited {
        /// When the upstream wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// 401 or 403 for our token.
    Refused,
    /// Our token's money is gone.
    QuotaExhausted,
    /// An edge in front of the upstream asks for a browser: reported, never got around.
    Challenged,
    /// The upstream is broken.
    ServerError,
    /// A redirect, which is not followed: it would take the credential elsewhere.
    Redirected,
    /// Not what this endpoint answers: a web page where an API should be.
    NotAnApi,
    /// For the client as it is, unless another upstream takes longer prompts.
    TooLong,
}

impl Verdict {
    /// What it says about the token, if anything.
    pub(crate) fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Relay | Self::TooLong => Some(Outcome::Accepted),
            Self::RateLimited { retry_after } => Some(Outcome::RateLimited { retry_after }),
            Self::Refused => Some(Outcome::Refused),
            Self::QuotaExhausted => Some(Outcome::QuotaExhausted),
            Self::Challenged | Self::ServerError | Self::Redirected | Self::NotAnApi => None,
        }
    }

    /// Under which word of `retry.on` another attempt may be made; `None` never.
    pub(crate) fn retry_on(self) -> Option<RetryOn> {
        match self {
            Self::RateLimited { .. } => Some(RetryOn::RateLimit),
            Self::Refused | Self::QuotaExhausted => Some(RetryOn::Auth),
            Self::ServerError | Self::Challenged | Self::NotAnApi | Self::Redirected => {
                Some(RetryOn::ServerError)
            }
            Self::TooLong => Some(RetryOn::ContextLength),
            Self::Relay => None,
        }
    }

    /// Whether another token of the same upstream may do better.
    pub(crate) fn is_about_token(self) -> bool {
        matches!(
            self,
            Self::RateLimited { .. } | Self::Refused | Self::QuotaExhausted
        )
    }
}

/// Judges a response head; `body` is the bounded body of an answer that is no success, empty for the others.
pub(crate) fn classify(
    operation: Operation,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Verdict {
    let html = is_html(headers);
    match status.as_u16() {
        401 | 403 if html => Verdict::Challenged,
        401 | 403 => Verdict::Refused,
        402 => Verdict::QuotaExhausted,
        429 if has_code(body, "insufficient_quota") => Verdict::QuotaExhausted,
        429 => Verdict::RateLimited {
            retry_after: retry_after(headers),
        },
        // 407 is a proxy of the operator's, and a connection that was switched over is no answer.
        100..=199 | 407 => Verdict::NotAnApi,
        500..=599 => Verdict::ServerError,
        300..=399 => Verdict::Redirected,
        400 | 413 | 422 if TOO_LONG.iter().any(|code| has_code(body, code)) => Verdict::TooLong,
        _ if html && !matches!(operation, Operation::Other | Operation::Files) => Verdict::NotAnApi,
        _ => Verdict::Relay,
    }
}

fn is_html(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        value
            .as_bytes()
            .to_ascii_lowercase()
            .starts_with(b"text/html")
    })
}

fn has_code(body: &[u8], code: &str) -> bool {
    #[derive(Deserialize)]
    struct Envelope {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        #[serde(default)]
        code: Value,
        #[serde(default, rename = "type")]
        kind: Value,
    }
    serde_json::from_slice::<Envelope>(body)
        .is_ok_and(|envelope| envelope.error.code == code || envelope.error.kind == code)
}

/// Time to wait before using this token again; `None` when the upstream gave no hint.
///
/// Reads `retry-after-ms` (as OpenAI sends it) and `Retry-After` (RFC 9110 §10.2.3), seconds or HTTP date, capped at
/// one hour.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::trim)
    };
    let wait = text("retry-after-ms")
        .and_then(|ms| ms.parse().ok())
        .map(Duration::from_millis)
        .or_else(|| {
            let value = text(RETRY_AFTER.as_str())?;
            // Some servers send fractions, which the RFC does not have.
            if let Ok(seconds) = value.parse::<f64>() {
                let capped = seconds.clamp(-1.0, MAX_RETRY_AFTER.as_secs_f64());
                // Negative and NaN are no durations.
                return Duration::try_from_secs_f64(capped).ok();
            }
            let at = httpdate::parse_http_date(value).ok()?;
            Some(at.duration_since(SystemTime::now()).unwrap_or_default())
        })?;
    Some(wait.min(MAX_RETRY_AFTER))
}

/// The error of a verdict when nothing else is left to try.
///
/// `said` is the upstream's own message, already free of secrets.
pub(crate) fn error_of(
    verdict: Verdict,
    status: StatusCode,
    upstream: &str,
    said: Option<&str>,
) -> Error {
    let status = status.as_u16();
    let quote = said.map(|said| format!(": {said}")).unwrap_or_default();
    let upstream_fault =
        |kind, code: &'static str, message| Error::new(kind, Origin::Upstream, code, message);
    match verdict {
        Verdict::RateLimited { .. } => upstream_fault(
            ErrorKind::RateLimited,
            "rate_limit_exceeded",
            format!("upstream `{upstream}` limits the rate of requests{quote}"),
        ),
        Verdict::Refused => upstream_fault(
            ErrorKind::BadGateway,
            "upstream_auth_failed",
            format!(
                "upstream `{upstream}` refused the gateway's own credential (status {status}); the operator must \
                 look at its tokens. Your key is fine"
            ),
        ),
        Verdict::QuotaExhausted => upstream_fault(
            ErrorKind::Unavailable,
            "upstream_quota_exhausted",
            format!(
                "the gateway's quota at upstream `{upstream}` is used up; the operator must add to it"
            ),
        ),
        Verdict::Challenged => upstream_fault(
            ErrorKind::BadGateway,
            "upstream_challenge_required",
            format!(
                "upstream `{upstream}` answered with a web page that asks for a browser (status {status}); Aurora \
                 does not get around such protection. The operator must talk to the upstream or use another one"
            ),
        ),
        Verdict::Redirected => upstream_fault(
            ErrorKind::BadGateway,
            "upstream_error",
            format!(
                "upstream `{upstream}` answered with a redirect (status {status}), which is not followed; the \
                 operator should set its `base_url` to the final address"
            ),
        ),
        Verdict::ServerError | Verdict::NotAnApi | Verdict::Relay | Verdict::TooLong => {
            let message = format!(
                "upstream `{upstream}` answered with status {status} and nothing usable{quote}"
            );
            upstream_fault(ErrorKind::BadGateway, "upstream_error", message)
        }
    }
}

/// The word of `retry.on` for an attempt that gave no answer.
pub(crate) fn retry_on_fault(fault: &Fault) -> Option<RetryOn> {
    match fault {
        Fault::Unreachable(_) | Fault::ConnectTimeout | Fault::Garbled(_) | Fault::Truncated(_) => {
            Some(RetryOn::Connect)
        }
        Fault::FirstByteTimeout | Fault::IdleTimeout => Some(RetryOn::FirstByte),
        Fault::Judged { retry_on, .. } => *retry_on,
        Fault::TotalTimeout | Fault::Client(_) => None,
    }
}

/// The error of an attempt that gave no answer.
pub(crate) fn error_of_fault(fault: Fault, upstream: &str) -> Error {
    let (kind, code, message) = match fault {
        Fault::Client(error) | Fault::Judged { error, .. } => return error,
        Fault::Unreachable(_) => (
            ErrorKind::BadGateway,
            "upstream_unreachable",
            format!("upstream `{upstream}` cannot be reached; the gateway's log says why"),
        ),
        Fault::ConnectTimeout => (
            ErrorKind::GatewayTimeout,
            "upstream_connect_timeout",
            format!(
                "upstream `{upstream}` did not accept a connection within its `connect` timeout"
            ),
        ),
        Fault::FirstByteTimeout => (
            ErrorKind::GatewayTimeout,
            "upstream_first_byte_timeout",
            format!(
                "upstream `{upstream}` did not begin to answer within its `first_byte` timeout"
            ),
        ),
        Fault::TotalTimeout => (
            ErrorKind::GatewayTimeout,
            "upstream_total_timeout",
            format!("upstream `{upstream}` did not finish within its `total` timeout"),
        ),
        Fault::IdleTimeout => (
            ErrorKind::GatewayTimeout,
            "upstream_idle_timeout",
            format!("upstream `{upstream}` fell silent for longer than its `idle` timeout"),
        ),
        Fault::Garbled(_) => (
            ErrorKind::BadGateway,
            "upstream_error",
            format!(
                "upstream `{upstream}` answered with something that is not a valid HTTP response"
            ),
        ),
        Fault::Truncated(_) => (
            ErrorKind::BadGateway,
            "upstream_error",
            format!("upstream `{upstream}` broke off its answer"),
        ),
    };
    Error::new(kind, Origin::Upstream, code, message)
}

/// The error of a request that the gateway cannot wait for any more.
pub(crate) fn shutting_down() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        Origin::Gateway,
        "gateway_shutting_down",
        "the gateway is shutting down and could not wait for the end of this answer; try again",
    )
}

/// What the log says of an attempt that gave no answer.
pub(crate) fn cause(fault: &Fault) -> &str {
    match fault {
        Fault::Unreachable(cause) | Fault::Garbled(cause) | Fault::Truncated(cause) => cause,
        Fault::ConnectTimeout => "connect timeout",
        Fault::FirstByteTimeout => "first byte timeout",
        Fault::TotalTimeout => "total timeout",
        Fault::IdleTimeout => "idle timeout",
        Fault::Client(error) | Fault::Judged { error, .. } => error.message(),
    }
}

/// Logs an attempt that gave no answer; what is the client's own mistake is no news of the upstream.
pub(crate) fn log_fault(fault: &Fault, upstream: &str, attempt: u32) {
    let cause = cause(fault);
    match fault {
        Fault::Client(error) | Fault::Judged { error, .. }
            if error.origin() == Origin::Downstream =>
        {
            tracing::debug!(upstream, cause, attempt, "request cannot be served");
        }
        _ => tracing::warn!(upstream, cause, attempt, "upstream attempt failed"),
    }
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;

    use super::*;

    fn verdict(status: u16, content_type: &'static str, body: &str) -> Verdict {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        classify(
            Operation::Chat,
            StatusCode::from_u16(status).unwrap(),
            &headers,
            body.as_bytes(),
        )
    }

    #[test]
    fn the_verdict_follows_status_code_and_content_type() {
        let json = "application/json";

        assert_eq!(verdict(200, json, ""), Verdict::Relay);
        assert_eq!(verdict(400, json, "{}"), Verdict::Relay);
        assert_eq!(verdict(404, json, "{}"), Verdict::Relay);
        assert_eq!(verdict(401, json, "{}"), Verdict::Refused);
        assert_eq!(verdict(403, json, "{}"), Verdict::Refused);
        assert_eq!(
            verdict(403, "text/html; charset=UTF-8", "<html>"),
            Verdict::Challenged
        );
        assert_eq!(verdict(402, json, "{}"), Verdict::QuotaExhausted);
        assert_eq!(
            verdict(429, json, "{}"),
            Verdict::RateLimited { retry_after: None }
        );
        assert_eq!(
            verdict(429, json, r#"{"error":{"code":"insufficient_quota"}}"#),
            Verdict::QuotaExhausted
        );
        assert_eq!(
            verdict(
                429,
                json,
                r#"{"error":{"message":"insufficient_quota credit balance"}}"#
            ),
            Verdict::RateLimited { retry_after: None }
        );
        assert_eq!(verdict(503, json, "{}"), Verdict::ServerError);
        assert_eq!(verdict(301, json, ""), Verdict::Redirected);
        assert_eq!(verdict(200, "text/html", "<html>"), Verdict::NotAnApi);
    }

    #[test]
    fn retry_after_is_read_in_all_its_forms() {
        let of = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
            retry_after(&headers)
        };

        assert_eq!(of("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(
            of("retry-after-ms", "250"),
            Some(Duration::from_millis(250))
        );
        assert_eq!(of("retry-after", "999999999"), Some(MAX_RETRY_AFTER));
        assert_eq!(
            of("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::ZERO)
        );
        assert_eq!(
            of("retry-after", "99999999999999999999"),
            Some(MAX_RETRY_AFTER)
        );
        assert_eq!(of("retry-after", "1.5"), Some(Duration::from_millis(1500)));
        assert_eq!(of("retry-after", "soon"), None);
        assert_eq!(of("retry-after", "-3"), None);
        assert_eq!(of("retry-after", "NaN"), None);
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(30));
        assert!(of("retry-after", &date).unwrap() > Duration::from_secs(27));
    }
}
