//! Enums as numbers: an unknown number must never become an enum.

use super::raw::{
    E_CANCELLED, E_CONFIG, E_CONFLICT, E_DENIED, E_EXHAUSTED, E_INTERNAL, E_INVALID, E_NOT_FOUND,
    E_PANIC, E_STATE, E_TIMEOUT, E_TOO_LARGE, E_UNSUPPORTED, E_UPSTREAM, Rc,
};
use crate::{ErrorKind, Level, Operation, Origin};

const OPERATIONS: [Operation; 9] = [
    Operation::Chat,
    Operation::Responses,
    Operation::Models,
    Operation::Files,
    Operation::Images,
    Operation::Speech,
    Operation::Transcribe,
    Operation::Auth,
    Operation::Other,
];

const KINDS: [ErrorKind; 13] = [
    ErrorKind::InvalidRequest,
    ErrorKind::Unauthenticated,
    ErrorKind::Forbidden,
    ErrorKind::NotFound,
    ErrorKind::MethodNotAllowed,
    ErrorKind::RequestTimeout,
    ErrorKind::TooLarge,
    ErrorKind::RateLimited,
    ErrorKind::Internal,
    ErrorKind::Unsupported,
    ErrorKind::BadGateway,
    ErrorKind::Unavailable,
    ErrorKind::GatewayTimeout,
];

const LEVELS: [Level; 4] = [Level::Error, Level::Warn, Level::Info, Level::Debug];

const ORIGINS: [Origin; 3] = [Origin::Gateway, Origin::Downstream, Origin::Upstream];

/// The place of `one` among `all`, counted from `first`.
fn number<T: PartialEq>(all: &[T], one: &T, first: i32) -> i32 {
    let place = all
        .iter()
        .position(|other| other == one)
        .unwrap_or_default();
    i32::try_from(place).unwrap_or_default() + first
}

fn at<T: Copy>(all: &[T], number: i32, first: i32) -> Option<T> {
    let place = number.checked_sub(first)?;
    all.get(usize::try_from(place).ok()?).copied()
}

pub(super) fn of_operation(operation: Operation) -> i32 {
    number(&OPERATIONS, &operation, 1)
}

#[cfg(feature = "host")]
pub(super) fn operation(number: i32) -> Option<Operation> {
    at(&OPERATIONS, number, 1)
}

pub(super) fn of_kind(kind: ErrorKind) -> i32 {
    number(&KINDS, &kind, 1)
}

pub(super) fn kind(number: i32) -> Option<ErrorKind> {
    at(&KINDS, number, 1)
}

pub(super) fn of_level(level: Level) -> i32 {
    number(&LEVELS, &level, 1)
}

/// What is finer than debug is debug.
#[cfg(feature = "host")]
pub(super) fn level(number: i32) -> Level {
    at(&LEVELS, number.max(1), 1).unwrap_or(Level::Debug)
}

pub(super) fn of_origin(origin: Origin) -> i32 {
    number(&ORIGINS, &origin, 0)
}

pub(super) fn origin(number: i32) -> Origin {
    at(&ORIGINS, number, 0).unwrap_or(Origin::Gateway)
}

/// The code that goes with a kind, for languages that look no further.
pub(super) fn code(kind: ErrorKind) -> Rc {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::MethodNotAllowed => E_INVALID,
        ErrorKind::Unauthenticated | ErrorKind::Forbidden => E_DENIED,
        ErrorKind::NotFound => E_NOT_FOUND,
        ErrorKind::RequestTimeout | ErrorKind::GatewayTimeout => E_TIMEOUT,
        ErrorKind::TooLarge => E_TOO_LARGE,
        ErrorKind::RateLimited | ErrorKind::Unavailable => E_EXHAUSTED,
        ErrorKind::Internal => E_INTERNAL,
        ErrorKind::Unsupported => E_UNSUPPORTED,
        ErrorKind::BadGateway => E_UPSTREAM,
    }
}

/// What happened, as far as a bare code tells: the kind and the stable word.
pub(super) fn of_code(code: Rc) -> (ErrorKind, &'static str) {
    match code {
        E_PANIC => (ErrorKind::Internal, "plugin_failed"),
        E_TIMEOUT => (ErrorKind::GatewayTimeout, "plugin_timeout"),
        E_UPSTREAM => (ErrorKind::BadGateway, "upstream_error"),
        E_NOT_FOUND => (ErrorKind::NotFound, "not_found"),
        E_DENIED => (ErrorKind::Forbidden, "plugin_denied"),
        E_EXHAUSTED => (ErrorKind::Unavailable, "plugin_exhausted"),
        E_UNSUPPORTED => (ErrorKind::Unsupported, "unsupported_operation"),
        E_TOO_LARGE => (ErrorKind::TooLarge, "request_too_large"),
        E_CANCELLED | E_CONFIG | E_CONFLICT | E_STATE | E_INVALID => {
            (ErrorKind::Internal, "plugin_error")
        }
        _ => (ErrorKind::Internal, "plugin_error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_there_and_back_and_unknown_ones_nowhere() {
        for kind in KINDS {
            assert_eq!(self::kind(of_kind(kind)), Some(kind));
        }
        for origin in ORIGINS {
            assert_eq!(self::origin(of_origin(origin)), origin);
        }
        for number in [0, 14, -1, i32::MIN, i32::MAX] {
            assert_eq!(kind(number), None);
        }
        assert_eq!(of_level(Level::Debug), 4);
        assert_eq!(of_operation(Operation::Other), 9);
    }
}
