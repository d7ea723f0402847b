//! E-mail addresses.

use super::{Found, Place, no_until};

/// The longest part before the `@` (RFC 5321 §4.5.3.1.1) and behind it, bytes. Together they stay below the longest match.
const MAX_LOCAL: usize = 64;
const MAX_DOMAIN: usize = 188;

/// Letters of European languages are in use in both parts. Others are not looked for: scripts that put no blanks between words
/// would be held back for long.
fn is_letter(c: char) -> bool {
    c.is_ascii_alphanumeric() || ('\u{c0}'..'\u{250}').contains(&c)
}

fn is_local(c: char) -> bool {
    is_letter(c) || "._%+-'".contains(c)
}

fn is_domain(c: char) -> bool {
    is_letter(c) || c == '.' || c == '-'
}

fn is_start(c: char) -> bool {
    is_letter(c) || c == '_' || c == '+'
}

pub(super) fn at(place: Place<'_>) -> Found {
    let rest = place.rest;
    if !rest.starts_with(is_start) {
        return no_until(rest, is_start);
    }
    let local = rest.find(|c| !is_local(c)).unwrap_or(rest.len());
    if local > MAX_LOCAL {
        return Found::No(rest.ceil_char_boundary(local - MAX_LOCAL));
    }
    // What is no address from here is none from within the local part.
    let none = Found::No(local);
    let Some(domain) = rest.get(local..).and_then(|rest| rest.strip_prefix('@')) else {
        let is_open = local == rest.len();
        return if is_open { place.at_end(none) } else { none };
    };
    if domain.starts_with(|c| !is_letter(c)) {
        return none;
    }
    let end = domain.find(|c| !is_domain(c)).unwrap_or(domain.len());
    let (looked_at, _) = domain.split_at(domain.floor_char_boundary(end.min(MAX_DOMAIN)));
    let found = match ending(looked_at) {
        Some(length) => Found::Yes(local + 1 + length),
        None => none,
    };
    if end == domain.len() && end < MAX_DOMAIN {
        return place.at_end(found);
    }
    found
}

/// How much of `domain` is one: it ends with a top-level domain, two letters or more behind a dot.
fn ending(domain: &str) -> Option<usize> {
    let ends = domain.char_indices().map(|(at, c)| at + c.len_utf8());
    ends.rev().find(|end| {
        let next = domain.get(*end..).and_then(|rest| rest.chars().next());
        let is_border = next.is_none_or(|next| !is_letter(next));
        let top = domain
            .get(..*end)
            .and_then(|domain| domain.rsplit_once('.'));
        is_border
            && top.is_some_and(|(before, top)| {
                before.ends_with(is_letter)
                    && top.chars().count() > 1
                    && top.chars().all(|c| is_letter(c) && !c.is_ascii_digit())
            })
    })
}
