//! Paths that another server could read as another path. Routes and the rules of client keys go by the path as it is written here,
//! so one that an upstream behind `{*rest}` would take for that of another route must not pass.

use aurora_sdk::{Error, ErrorKind, Origin};

/// How often a path is decoded to see what is in it: once as every server does, and again for those that do it twice.
const DECODINGS: usize = 2;

/// Refuses suspicious paths.
///
/// # Errors
/// 400 `invalid_path`.
pub(super) fn check(path: &str) -> Result<(), Error> {
    // Most have nothing of what makes one suspicious.
    if !path.bytes().any(|byte| matches!(byte, b'%' | b'\\'))
        && !path.contains("/.")
        && !path.contains("//")
    {
        return Ok(());
    }
    // Servers that merge slashes take `/v1//files` for `/v1/files`, which may be a route with other rules.
    if !path.contains("//") && !path.split('/').any(is_suspicious) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidRequest,
        Origin::Downstream,
        "invalid_path",
        "the path has empty or dot segments, encoded slashes, control characters or broken encoding, which are not accepted",
    ))
}

fn is_suspicious(segment: &str) -> bool {
    let mut bytes = segment.as_bytes().to_vec();
    for _ in 0..DECODINGS {
        if is_special(&bytes) {
            return true;
        }
        bytes = decoded(&bytes);
    }
    // Not UTF-8: among others the long forms of `.` and `/`, which some decoders take.
    is_special(&bytes) || std::str::from_utf8(&bytes).is_err()
}

fn is_special(segment: &[u8]) -> bool {
    // Some servers leave out what follows a semicolon.
    let name = segment.split(|byte| *byte == b';').next();
    matches!(name, Some(b"." | b".."))
        || segment
            .iter()
            .any(|byte| matches!(byte, b'/' | b'\\') || byte.is_ascii_control())
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let escape = match rest {
            [b'%', high, low, after @ ..] => hex(*high)
                .zip(hex(*low))
                .map(|(high, low)| (high * 16 + low, after)),
            _ => None,
        };
        let (byte, after) = escape.unwrap_or((*first, after));
        out.push(byte);
        rest = after;
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_be_another_path_is_refused() {
        for path in [
            "/v1/../admin",
            "/v1/./x",
            "/v1/..",
            "/v1/%2e%2e/x",
            "/v1/.%2E/x",
            "/v1/%2e",
            "/v1/a%2fb",
            "/v1/a%5Cb",
            "/v1/a\\b",
            "/v1/a%00",
            "/v1/a%0d%0ab",
            "/v1//files",
            "//v1/files",
            "/v1/files//",
            "/v1/..;/x",
            "/v1/%2e%2e;a=b/x",
            "/v1/%252e%252e/x",
            "/v1/a%252fb",
            "/v1/%c0%ae%c0%ae/x",
            "/v1/a%c0%afb",
            "/v1/%e0%80%ae/x",
            "/v1/a%ff",
        ] {
            assert!(check(path).is_err(), "{path}");
        }
    }

    #[test]
    fn everything_else_passes() {
        for path in [
            "/",
            "/v1/models/",
            "/v1/models/org%20name",
            "/v1/...",
            "/v1/.well-known/x",
            "/v1/a..b",
            "/v1/50%",
            "/v1/%zz",
            "/v1/caf%C3%A9;x=1",
            "/v1/100%25",
        ] {
            assert!(check(path).is_ok(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_passes_has_another_meaning_when_decoded(path in "(/[a.%2efc0;]{0,8}){1,4}") {
            let plain = String::from_utf8_lossy(&decoded(path.as_bytes())).into_owned();
            let climbs = plain.split('/').any(|segment| segment == "..");
            if check(&path).is_ok() {
                prop_assert!(!climbs);
                prop_assert_eq!(plain.matches('/').count(), path.matches('/').count());
            }
        }
    }
}
