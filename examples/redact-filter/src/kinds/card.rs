//! Numbers of credit cards: 13 to 19 digits, alone or in groups, whose checksum is right.

use super::{Found, Place, is_separator, no_until};

const FEWEST: usize = 13;
const MOST: usize = 19;

/// No issuer has numbers that begin otherwise; times in milliseconds begin with 1.
fn is_start(c: char) -> bool {
    matches!(c, '2'..='6')
}

pub(super) fn at(place: Place<'_>) -> Found {
    if !place.rest.starts_with(is_start) {
        return no_until(place.rest, is_start);
    }
    // Within digits none begins.
    let none = no_until(place.rest, |c| !c.is_ascii_digit());
    if place.before[1].is_ascii_digit() {
        return none;
    }
    let mut digits: Vec<u32> = Vec::with_capacity(MOST);
    let mut found = none;
    let mut characters = place.rest.char_indices().peekable();
    let mut is_over = false;
    while let Some((at, c)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        if let Some(digit) = c.to_digit(10) {
            digits.push(digit);
            if digits.len() > MOST {
                is_over = true;
                break;
            }
            let is_border = next.is_none_or(|next| !next.is_ascii_digit());
            if is_border && digits.len() >= FEWEST && is_valid(&digits) {
                found = Found::Yes(at + 1);
            }
        } else if !is_separator(c) || next.is_some_and(|next| !next.is_ascii_digit()) {
            is_over = true;
            break;
        }
    }
    if is_over { found } else { place.at_end(found) }
}

/// The checksum of Luhn (ISO/IEC 7812-1, annex B).
fn is_valid(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => *digit,
            (_, twice) if twice > 9 => twice - 9,
            (_, twice) => twice,
        })
        .sum();
    sum.is_multiple_of(10)
}
