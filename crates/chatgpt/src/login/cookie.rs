//! The session cookie, which is cut in pieces when it is long.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use secrecy::{ExposeSecret as _, SecretString};

const NAME: &str = "__Secure-next-auth.session-token";

/// Browsers keep 4096 bytes of a cookie; 163 of them are taken for its name and attributes.
const MAX_PIECE_BYTES: usize = 4096 - 163;

/// More pieces than a header could hold are not read.
const MAX_PIECES: usize = 32;

/// The value of the `cookie` header for a session token. It holds the token: not for logs.
pub fn session_cookies(token: &SecretString) -> String {
    let token = token.expose_secret();
    if token.len() <= MAX_PIECE_BYTES {
        return format!("{NAME}={token}");
    }
    let mut pieces: Vec<String> = Vec::new();
    for c in token.chars() {
        match pieces.last_mut() {
            Some(piece) if piece.len() + c.len_utf8() <= MAX_PIECE_BYTES => piece.push(c),
            _ => pieces.push(c.to_string()),
        }
    }
    let pieces = pieces.iter().enumerate();
    let cookies: Vec<String> = pieces
        .map(|(index, piece)| format!("{NAME}.{index}={piece}"))
        .collect();
    cookies.join("; ")
}

/// What the cookies of an answer do to the session token.
pub(super) enum Returned {
    /// They replace it.
    Token(SecretString),
    /// They leave it as it is.
    Nothing,
    /// They take it away.
    SignedOut,
}

/// Reads `set-cookie` headers; of several with one name the last counts.
pub(super) fn returned(set_cookies: &[&str], now: u64) -> Returned {
    let mut whole: Option<Option<&str>> = None;
    let mut pieces: BTreeMap<usize, Option<&str>> = BTreeMap::new();
    for header in set_cookies {
        let (pair, attributes) = header.split_once(';').unwrap_or((header, ""));
        let Some((name, value)) = pair.split_once('=') else {
            continue;
        };
        let Some(rest) = name.trim().strip_prefix(NAME) else {
            continue;
        };
        let value = value.trim().trim_matches('"');
        let value = (!value.is_empty() && !is_over(attributes, now)).then_some(value);
        let index = rest.strip_prefix('.').and_then(|index| index.parse().ok());
        match index {
            None if rest.is_empty() => whole = Some(value),
            Some(index) if index < MAX_PIECES => {
                pieces.insert(index, value);
            }
            _ => {}
        }
    }
    if let Some(Some(token)) = whole {
        return Returned::Token(token.to_owned().into());
    }
    let taken_away = whole.is_some() || !pieces.is_empty();
    // Pieces past the new end are taken away when a token gets shorter.
    let live: Vec<(usize, &str)> = pieces
        .iter()
        .filter_map(|(index, piece)| Some((*index, (*piece)?)))
        .collect();
    if live.iter().enumerate().any(|(at, (index, _))| at != *index) {
        // Half a token is none.
        return Returned::Nothing;
    }
    let joined: String = live.into_iter().map(|(_, piece)| piece).collect();
    match (joined.is_empty(), taken_away) {
        (false, _) => Returned::Token(joined.into()),
        (true, true) => Returned::SignedOut,
        (true, false) => Returned::Nothing,
    }
}

/// `Max-Age` wins over `Expires` (RFC 6265 §5.3).
fn is_over(attributes: &str, now: u64) -> bool {
    let value = |wanted: &str| {
        attributes.split(';').find_map(|attribute| {
            let (name, value) = attribute.split_once('=')?;
            let is_it = name.trim().eq_ignore_ascii_case(wanted);
            is_it.then(|| value.trim())
        })
    };
    if let Some(seconds) = value("max-age").and_then(|text| text.parse::<i64>().ok()) {
        return seconds <= 0;
    }
    // Older servers write dashes inside the date.
    let date = value("expires").map(|text| text.replace('-', " "));
    let date = date.and_then(|text| httpdate::parse_http_date(&text).ok());
    date.is_some_and(|date| {
        let at = date.duration_since(UNIX_EPOCH).unwrap_or_default();
        at.as_secs() <= now
    })
}
