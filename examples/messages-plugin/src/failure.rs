//! Errors in the words of the Messages API: before the head as an answer, after it as an event.

use std::time::Duration;

use aurora_sdk::{Context, Error, ErrorKind, Level, Response};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

/// The answer of an error.
pub(crate) fn response(cx: &Context, error: &Error) -> Response {
    let status = error.status();
    if status.is_server_error() && error.kind() != ErrorKind::Unsupported {
        // To the host this is an answer as any other, so that it would say nothing of the reason.
        cx.host().log(Level::Warn, &format!("{error:?}"));
    }
    let mut response = Response::new("application/json", body(cx, error).to_string());
    response.status = status;
    if let Some(wait) = wait(error) {
        // Rounded up: coming back too early only costs another refusal.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        response.headers.insert(RETRY_AFTER, seconds.max(1).into());
    }
    if error.kind() == ErrorKind::Unsupported {
        // The official SDKs try again after every status from 500 on, unless they are told that it is no use.
        let no = HeaderValue::from_static("false");
        response.headers.insert("x-should-retry", no);
    }
    response
}

/// The data of an `error` event, and the body of an error answer.
pub(crate) fn body(cx: &Context, error: &Error) -> Value {
    json!({
        "type": "error",
        "error": {
            "type": type_of(error.status()),
            "message": error.message(),
            "details": { "error_code": error.code() },
        },
        "request_id": cx.request_id(),
    })
}

fn wait(error: &Error) -> Option<Duration> {
    let must_say_when = matches!(
        error.status(),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    error
        .retry_after()
        .or(must_say_when.then_some(Duration::from_secs(1)))
}

/// The name that this API has for a status.
fn type_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        501 => "invalid_request_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}
