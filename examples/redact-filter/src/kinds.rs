//! What is masked. Each kind looks at one place of a text and says whether something of it begins there.

mod card;
mod email;
mod iban;
mod phone;
mod words;

use serde::Deserialize;

use self::words::Words;

/// No match is longer, bytes: the most that is ever held back.
pub(crate) const LONGEST: usize = 256;

/// A kind of personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Email,
    Card,
    Iban,
    Phone,
}

/// Whether something begins at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing, whatever follows; and neither at any place before so many bytes.
    No(usize),
    /// So many bytes, whatever follows.
    Yes(usize),
    /// It depends on what follows.
    Maybe,
}

/// Nothing begins before the next character, behind the first one, that `could` begin something.
fn no_until(rest: &str, could: impl Fn(char) -> bool) -> Found {
    let mut later = rest.char_indices().skip(1);
    let next = later.find(|(_, c)| could(*c));
    Found::No(next.map_or(rest.len(), |(at, _)| at))
}

/// A place in a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The two characters before it; blanks where there are none.
    pub(crate) before: [char; 2],
    /// The text from there on.
    pub(crate) rest: &'a str,
    /// Whether nothing follows `rest`.
    pub(crate) is_end: bool,
}

impl Place<'_> {
    /// What to say where `rest` is over: that more is needed, or, where nothing follows, `found`.
    fn at_end(&self, found: Found) -> Found {
        if self.is_end { found } else { Found::Maybe }
    }

    /// The place as far as anybody looks, so that what is found does not depend on how much of the text is there.
    fn near(self) -> Self {
        let cut = self.rest.floor_char_boundary(LONGEST);
        let (rest, beyond) = self.rest.split_at(cut);
        let is_end = self.is_end || !beyond.is_empty() || cut == LONGEST;
        Self {
            rest,
            is_end,
            ..self
        }
    }
}

/// Everything that is looked for.
#[derive(Debug)]
pub(crate) struct Kinds {
    kinds: Vec<Kind>,
    words: Words,
}

/// A text that is looked through from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Search<'k> {
    kinds: &'k Kinds,
    /// Where each kind, and the words, must be asked next, bytes from the beginning of the text.
    next: Vec<usize>,
}

impl Kinds {
    pub(crate) fn new(kinds: Vec<Kind>, words: &[String]) -> Self {
        Self {
            kinds,
            words: Words::new(words),
        }
    }

    pub(crate) fn search(&self) -> Search<'_> {
        Search {
            kinds: self,
            next: vec![0; self.kinds.len() + 1],
        }
    }

    fn at(&self, which: usize, place: Place<'_>) -> Found {
        match self.kinds.get(which) {
            Some(Kind::Email) => email::at(place),
            Some(Kind::Card) => card::at(place),
            Some(Kind::Iban) => iban::at(place),
            Some(Kind::Phone) => phone::at(place),
            None => self.words.at(place),
        }
    }
}

impl Search<'_> {
    /// The longest of what begins at `place`, which is `at` bytes behind the beginning; [`Found::Maybe`] where that is not
    /// known yet.
    pub(crate) fn at(&mut self, at: usize, place: Place<'_>) -> Found {
        let place = place.near();
        let (mut longest, mut is_open) = (0, false);
        for (which, next) in self.next.iter_mut().enumerate() {
            if *next > at {
                continue;
            }
            match self.kinds.at(which, place) {
                Found::No(bytes) => *next = at + bytes,
                Found::Yes(length) => longest = length.max(longest),
                Found::Maybe => is_open = true,
            }
        }
        if is_open {
            return Found::Maybe;
        }
        if longest > 0 {
            return Found::Yes(longest);
        }
        let next = self.next.iter().min().copied();
        Found::No(next.unwrap_or(at).saturating_sub(at))
    }
}

/// Between groups of digits: blanks and dashes, also those that do not break a line.
fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '-' | '\u{a0}' | '\u{202f}' | '\u{2011}')
}

/// Whether `c` is a part of a word. From Thai on, scripts put nothing between words, so that their letters are borders.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() && c < '\u{e00}'
}
