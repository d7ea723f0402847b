//! Errors in full across the interface.

use std::time::Duration;

use http::StatusCode;

use super::memory::size;
use super::numbers;
use super::raw::{FAULT_TOLD, Fault, Rc, Str};
use crate::{Error, ErrorKind, Origin};

impl Fault {
    /// Nothing is wrong.
    pub(super) const NONE: Self = Self {
        size: size::<Self>(),
        code: 0,
        kind: 0,
        origin: 0,
        status: 0,
        flags: 0,
        reserved: 0,
        retry_after_ms: 0,
        word: Str::EMPTY,
        message: Str::EMPTY,
        param: Str::EMPTY,
        cause: Str::EMPTY,
    };
}

/// Lends `error` for a call; `cause` is its [`cause`].
pub(super) fn lend(error: &Error, cause: &str) -> Fault {
    let wait = error.retry_after().map(|wait| wait.as_millis());
    Fault {
        code: numbers::code(error.kind()),
        kind: numbers::of_kind(error.kind()),
        origin: numbers::of_origin(error.origin()),
        status: error.status().as_u16(),
        flags: if error.is_told() { FAULT_TOLD } else { 0 },
        retry_after_ms: wait.map_or(0, |wait| u64::try_from(wait).unwrap_or(u64::MAX).max(1)),
        word: Str::text(error.code()),
        message: Str::text(error.message()),
        param: Str::text(error.param().unwrap_or_default()),
        cause: Str::text(cause),
        ..Fault::NONE
    }
}

/// What caused `error`, in a line, for the log.
pub(super) fn cause(error: &Error) -> String {
    let mut causes = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    causes.join(": ")
}

/// Reads an error of the other side.
///
/// # Safety
/// `fault` points to a struct of at least its `size`, whose texts are there for this call.
pub(super) unsafe fn read(fault: *const Fault) -> Option<Error> {
    // SAFETY: the size stands at the beginning of every version of the struct.
    let size = unsafe { fault.cast::<u32>().read() };
    if (size as usize) < size_of::<Fault>() {
        return None;
    }
    // SAFETY: it is large enough.
    let fault = unsafe { fault.read() };
    // SAFETY: the caller vouches for the texts.
    let text = |part: Str| unsafe { part.to_text() };
    let (kind_of_code, word_of_code) = numbers::of_code(fault.code);
    let kind = numbers::kind(fault.kind).unwrap_or(kind_of_code);
    let word = match text(fault.word) {
        word if word.is_empty() => word_of_code.to_owned(),
        word => word,
    };
    let message = match text(fault.message) {
        message if message.is_empty() => general(kind).to_owned(),
        message => message,
    };
    let mut error = Error::new(kind, numbers::origin(fault.origin), word, message);
    let status = StatusCode::from_u16(fault.status).ok();
    if let Some(status) =
        status.filter(|status| status.as_u16() >= 400 && *status != error.status())
    {
        error = error.with_status(status);
    }
    if fault.retry_after_ms != 0 {
        error = error.with_retry_after(Duration::from_millis(fault.retry_after_ms));
    }
    let (param, cause) = (text(fault.param), text(fault.cause));
    if !param.is_empty() {
        error = error.with_param(param);
    }
    if !cause.is_empty() {
        error = error.with_source(cause);
    }
    if fault.flags & FAULT_TOLD != 0 {
        error = error.told();
    }
    Some(error)
}

/// An error of which only the code is known.
pub(super) fn of_code(code: Rc) -> Error {
    let (kind, word) = numbers::of_code(code);
    let origin = match kind {
        ErrorKind::BadGateway | ErrorKind::GatewayTimeout => Origin::Upstream,
        ErrorKind::NotFound | ErrorKind::TooLarge | ErrorKind::Forbidden => Origin::Downstream,
        _ => Origin::Gateway,
    };
    Error::new(kind, origin, word, general(kind))
}

/// What a client reads where nothing better is known.
fn general(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::BadGateway => "the upstream failed",
        ErrorKind::GatewayTimeout => "it took too long",
        ErrorKind::NotFound => "it is not there",
        ErrorKind::Forbidden => "this is not permitted here",
        ErrorKind::Unavailable => "this cannot be served now; try again",
        ErrorKind::Unsupported => "this cannot be done here",
        ErrorKind::TooLarge => "the request is too large",
        _ => {
            "something went wrong inside the gateway; its log has the reason under this request id"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_arrives_as_it_was() {
        let error = Error::invalid("context_length_exceeded", "messages", "too long")
            .with_status(StatusCode::UNPROCESSABLE_ENTITY)
            .with_retry_after(Duration::from_millis(1500))
            .with_source("why")
            .told();
        let cause = cause(&error);
        let fault = lend(&error, &cause);

        // SAFETY: `fault` and its texts are there.
        let back = unsafe { read(&raw const fault) }.unwrap();

        assert_eq!(
            (back.kind(), back.origin(), back.code(), back.message()),
            (
                ErrorKind::InvalidRequest,
                Origin::Downstream,
                "context_length_exceeded",
                "too long"
            )
        );
        assert_eq!(
            (back.status().as_u16(), back.param()),
            (422, Some("messages"))
        );
        assert_eq!(back.retry_after(), Some(Duration::from_millis(1500)));
        assert!(back.is_told() && std::error::Error::source(&back).unwrap().to_string() == "why");
    }

    #[test]
    fn a_bare_code_has_a_status_and_words() {
        let table = [
            (-2, 500),
            (-1, 500),
            (-99, 500),
            (-7, 502),
            (-6, 504),
            (-11, 503),
            (-10, 403),
            (-9, 404),
            (-12, 501),
            (-13, 413),
        ];
        for (code, status) in table {
            let error = of_code(code);
            assert_eq!(error.status().as_u16(), status, "{code}");
            assert!(!error.message().is_empty());
        }
    }

    #[test]
    fn a_struct_of_another_age_is_not_read() {
        let fault = Fault {
            size: 8,
            ..Fault::NONE
        };
        // SAFETY: the size is all that is read.
        assert!(unsafe { read(&raw const fault) }.is_none());
    }
}
