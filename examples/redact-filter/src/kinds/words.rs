//! Words of the operator's, in any case, and not inside of other words.

use super::{Found, Place, is_word, no_until};

#[derive(Debug)]
pub(super) struct Words(Vec<Vec<char>>);

impl Words {
    pub(super) fn new(words: &[String]) -> Self {
        let words = words.iter().map(|word| word.chars().map(lower).collect());
        Self(words.collect())
    }

    pub(super) fn at(&self, place: Place<'_>) -> Found {
        let mut found = no_until(place.rest, |c| self.0.iter().any(|word| begins(word, c)));
        for word in &self.0 {
            match of(word, place) {
                Part::All(length) => {
                    let longest = match found {
                        Found::Yes(other) => length.max(other),
                        _ => length,
                    };
                    found = Found::Yes(longest);
                }
                Part::Some => return Found::Maybe,
                Part::None => {}
            }
        }
        found
    }
}

/// How much of a word there is.
enum Part {
    None,
    /// What is there is its beginning, or all of it where another word may go on.
    Some,
    All(usize),
}

fn begins(word: &[char], c: char) -> bool {
    word.first().is_some_and(|first| *first == lower(c))
}

fn of(word: &[char], place: Place<'_>) -> Part {
    let (Some(first), Some(last)) = (word.first(), word.last()) else {
        return Part::None;
    };
    if is_inside(place.before[1], *first) {
        return Part::None;
    }
    let mut characters = place.rest.char_indices();
    for expected in word {
        match characters.next() {
            Some((_, c)) if lower(c) == *expected => {}
            None if !place.is_end => return Part::Some,
            _ => return Part::None,
        }
    }
    match characters.next() {
        Some((_, c)) if is_inside(c, *last) => Part::None,
        Some((at, _)) => Part::All(at),
        None if place.is_end => Part::All(place.rest.len()),
        None => Part::Some,
    }
}

/// Small letters have one character here, be it that some would have more.
fn lower(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    c.to_lowercase().next().unwrap_or(c)
}

/// Whether `one` beside `other` is the same word going on.
fn is_inside(one: char, other: char) -> bool {
    is_word(one) && is_word(other)
}
