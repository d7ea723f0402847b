//! International bank account numbers (ISO 13616): the length is that of the country, and the checksum is right.

use super::{Found, Place, is_separator, is_word, no_until};

/// Countries and the lengths of their numbers, from the registry of SWIFT.
const LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 \
    EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 \
    LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 \
    RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30";

pub(super) fn at(place: Place<'_>) -> Found {
    if !place.rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return no_until(place.rest, |c| c.is_ascii_alphabetic());
    }
    // Within a word none begins.
    let none = no_until(place.rest, |c| !is_word(c));
    // Of all words, few have a digit there: the table need not be looked at for the others.
    let third = place.rest.chars().nth(2);
    if is_word(place.before[1]) || third.is_some_and(|c| !c.is_ascii_digit()) {
        return none;
    }
    let mut number: Vec<char> = Vec::with_capacity(34);
    let mut length = 34;
    let mut is_separated = false;
    for (at, c) in place.rest.char_indices() {
        // Groups begin behind the country and the check digits.
        if is_separator(c) && !is_separated && number.len() >= 4 {
            is_separated = true;
            continue;
        }
        is_separated = false;
        let fits = match number.len() {
            0 | 1 => c.is_ascii_alphabetic(),
            2 | 3 => c.is_ascii_digit(),
            _ => c.is_ascii_alphanumeric(),
        };
        if !fits {
            return none;
        }
        number.push(c.to_ascii_uppercase());
        if let [_] | [_, _] = number.as_slice() {
            match length_in(&number) {
                Some(known) => length = known,
                None => return none,
            }
        }
        if number.len() == length {
            return if is_valid(&number) {
                Found::Yes(at + 1)
            } else {
                none
            };
        }
    }
    place.at_end(none)
}

/// The length of numbers of the first country that begins with these letters.
fn length_in(letters: &[char]) -> Option<usize> {
    let country = String::from_iter(letters);
    let mut entries = LENGTHS.split(' ');
    let entry = entries.find(|entry| entry.starts_with(&country))?;
    entry.get(2..)?.parse().ok()
}

/// The remainder of the rearranged number is 1 (ISO 7064, MOD 97-10).
fn is_valid(number: &[char]) -> bool {
    let (head, account) = number.split_at(4.min(number.len()));
    let remainder = account.iter().chain(head).fold(0, |remainder, c| {
        let value = c.to_digit(36).unwrap_or(0);
        let shift = if value > 9 { 100 } else { 10 };
        (remainder * shift + value) % 97
    });
    remainder == 1
}
