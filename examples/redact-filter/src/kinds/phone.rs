//! What looks like a telephone number: international, national behind a 0, or in the groups of North America and China.
//!
//! Plain digits are none, or every order number and time would be one.

use super::{Found, Place, is_separator, is_word, no_until};

/// The most digits of a number, with the country (ITU-T E.164 §6.1).
const MOST: usize = 15;

/// National numbers behind a 0.
const NATIONAL: std::ops::RangeInclusive<usize> = 9..=12;

/// Numbers that are known by their groups. `a`: 2 to 9; `c`: 3 to 9; `d`: any digit; `-`: what stands in between.
const GROUPED: [&str; 4] = [
    "add-add-dddd",
    "1-add-add-dddd",
    "1cd-dddd-dddd",
    "1cddddddddd",
];

/// A date is none.
const DATE: &str = "dd-dd-dddd";

fn is_start(c: char) -> bool {
    c.is_ascii_digit() || c == '+' || c == '('
}

pub(super) fn at(place: Place<'_>) -> Found {
    if !place.rest.starts_with(is_start) {
        return no_until(place.rest, is_start);
    }
    // Within digits none begins.
    let is_digit = place.rest.starts_with(|c: char| c.is_ascii_digit());
    let mut found = no_until(place.rest, |c| !is_digit || !c.is_ascii_digit());
    if goes_on(place.before) {
        return found;
    }
    let mut read = Read::default();
    let mut characters = place.rest.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        if !read.takes(c) {
            return found;
        }
        let next = characters.peek().map(|(_, next)| *next);
        let is_border = c.is_ascii_digit() && next.is_none_or(|next| !is_word(next));
        if is_border && read.is_number() {
            found = Found::Yes(at + 1);
        }
    }
    place.at_end(found)
}

/// Whether what stands before is the beginning of a longer number, such as a date.
fn goes_on([second, first]: [char; 2]) -> bool {
    let is_between = is_separator(first) && !first.is_whitespace();
    let is_between = is_between || matches!(first, '.' | '/' | ':' | ',' | '\u{2013}');
    is_word(first) || first == '+' || (second.is_ascii_digit() && is_between)
}

/// What has been read of a number.
#[derive(Debug, Default)]
struct Read {
    text: String,
    digits: usize,
}

impl Read {
    /// Takes one more character; false where no number goes on like that.
    fn takes(&mut self, c: char) -> bool {
        let last = self.text.chars().last();
        let is_between = is_separator(c) || matches!(c, '.' | '/' | ')');
        let fits = match last {
            None => is_start(c),
            Some('+') => c.is_ascii_digit() || c == '(',
            Some('(') => c.is_ascii_digit() || (c == '+' && self.text.len() == 1),
            Some(last) if last.is_ascii_digit() => c.is_ascii_digit() || c == '(' || is_between,
            // Two at the most, as in `) ` and ` (`.
            Some(_) => c.is_ascii_digit() || (!self.ends_with_two() && (c == '(' || is_between)),
        };
        self.text.push(c);
        self.digits += usize::from(c.is_ascii_digit());
        fits && self.can_become()
    }

    fn ends_with_two(&self) -> bool {
        let ends = self.text.chars().rev().take(2);
        ends.filter(|c| !c.is_ascii_digit()).count() == 2
    }

    fn plain(&self) -> &str {
        self.text.trim_start_matches('(')
    }

    /// The most digits, where it begins as an international number.
    fn most(&self) -> Option<usize> {
        if self.plain().starts_with('+') {
            return Some(MOST);
        }
        let rest = self.plain().strip_prefix("00")?;
        (!rest.starts_with('0')).then_some(MOST + 2)
    }

    /// Behind a 0, which another digit follows.
    fn is_national(&self) -> bool {
        let rest = self.plain().strip_prefix('0');
        let is_date = self.groups().is_some_and(|groups| is_date(&groups));
        rest.is_some_and(|rest| rest.starts_with(|c| matches!(c, '1'..='9'))) && !is_date
    }

    /// Its digits with one dash for all that stands between two groups.
    fn groups(&self) -> Option<String> {
        let mut groups = String::new();
        for c in self.plain().chars() {
            match c {
                '+' => return None,
                c if c.is_ascii_digit() => groups.push(c),
                _ if groups.ends_with('-') => {}
                _ => groups.push('-'),
            }
        }
        Some(groups)
    }

    fn is_number(&self) -> bool {
        let count = |c| self.text.chars().filter(|other| *other == c).count();
        if count('(') != count(')') {
            return false;
        }
        if let Some(most) = self.most() {
            return (most - 7..=most).contains(&self.digits);
        }
        if self.is_national() {
            return NATIONAL.contains(&self.digits);
        }
        let groups = self.groups().unwrap_or_default();
        let mut forms = GROUPED.iter();
        forms.any(|form| form.len() == groups.len() && begins(form, &groups))
    }

    /// Whether more of the right kind would make a number of it.
    fn can_become(&self) -> bool {
        if self.text.ends_with(['(', '+']) && self.digits == 0 || self.plain() == "0" {
            return true;
        }
        if let Some(most) = self.most() {
            return self.digits <= most;
        }
        if self.is_national() {
            return self.digits <= *NATIONAL.end();
        }
        let groups = self.groups().unwrap_or_default();
        GROUPED.iter().any(|form| begins(form, &groups))
    }
}

/// Whether `form` begins as `groups` does.
fn begins(form: &str, groups: &str) -> bool {
    let fits = |(form, c): (char, char)| match form {
        'a' => matches!(c, '2'..='9'),
        'c' => matches!(c, '3'..='9'),
        'd' => c.is_ascii_digit(),
        other => c == other,
    };
    groups.len() <= form.len() && form.chars().zip(groups.chars()).all(fits)
}

fn is_date(groups: &str) -> bool {
    groups
        .get(..DATE.len())
        .is_some_and(|start| begins(DATE, start))
}
