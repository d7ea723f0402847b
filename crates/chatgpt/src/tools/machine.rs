//! Elements in an answer that streams.

use super::call::{self, Call, Scan};
use super::declared::{Choice, Functions};
use super::tag::{self, Tag};

/// How long an element may be; beyond that it is text.
pub const MAX_ELEMENT_BYTES: usize = 1 << 20;

const FENCE: &str = "```";

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text for the client.
    Text(String),
    /// A call.
    Call(Call),
}

/// Takes calls out of an answer, piece by piece.
///
/// Text is passed on except for a tail that may turn out to belong to an element: the beginning of a tag, and blanks and
/// a code fence before it. Equal calls of one answer are given once; an element without a call of a declared function is
/// given as text.
#[derive(Debug)]
pub struct Machine {
    functions: Functions,
    is_off: bool,
    held: String,
    inside: Option<Inside>,
    /// An element began behind a fence: the one after it goes too.
    fenced: bool,
    /// Blanks and a fence before the element: gone if it is one, text if not.
    before: String,
    /// What is held begins a line.
    begins_line: bool,
    given: Vec<Call>,
}

/// Inside of an element: its tag stands at the start of what is held.
#[derive(Debug, Clone, Copy)]
struct Inside {
    tag: usize,
    scanned: usize,
    scan: Scan,
    began: bool,
}

impl Machine {
    /// A machine for one answer; it passes everything on where nothing is declared or nothing may be called.
    pub fn new(functions: Functions, choice: &Choice) -> Self {
        Self {
            is_off: functions.is_empty() || *choice == Choice::None,
            functions,
            held: String::new(),
            inside: None,
            fenced: false,
            before: String::new(),
            begins_line: true,
            given: Vec::new(),
        }
    }

    /// Whether a call was given.
    pub fn has_called(&self) -> bool {
        !self.given.is_empty()
    }

    /// More of the answer.
    pub fn push(&mut self, more: &str) -> Vec<Piece> {
        let mut out = Vec::new();
        if self.is_off {
            say(more, &mut out);
            return out;
        }
        self.held.push_str(more);
        while self.advance(&mut out) {}
        out
    }

    /// The answer is over: an element without its closing tag still counts, all else that was held is text.
    pub fn finish(&mut self) -> Vec<Piece> {
        let mut out = Vec::new();
        let held = std::mem::take(&mut self.held);
        match self.inside.take() {
            Some(inside) => {
                let element = held.get(inside.tag..).unwrap_or_default();
                self.element(element, &held, &mut out);
            }
            None if self.has_called() => say(self.unfenced(&held).trim_end(), &mut out),
            None => say(&held, &mut out),
        }
        out
    }

    /// One step; `false` when more text is needed.
    fn advance(&mut self, out: &mut Vec<Piece>) -> bool {
        match self.inside {
            None => self.outside(out),
            Some(inside) => self.within(inside, out),
        }
    }

    fn outside(&mut self, out: &mut Vec<Piece>) -> bool {
        if self.fenced {
            let start = self.held.trim_start();
            if start.len() < FENCE.len() && FENCE.starts_with(start) {
                return false;
            }
            self.held = self.unfenced(&self.held).to_owned();
            self.fenced = false;
        }
        let mut from = 0;
        while let Some(at) = self.held.get(from..).and_then(|rest| rest.find('<')) {
            let at = from + at;
            let (before, rest) = self.held.split_at(at);
            let found = tag::read(rest);
            let keep = || {
                before
                    .get(..tail(before, self.begins_line))
                    .unwrap_or_default()
            };
            match found {
                Tag::None => from = at + 1,
                Tag::Partial => {
                    let length = keep().len();
                    say(keep(), out);
                    self.begins_line &= length == 0;
                    self.held.drain(..length);
                    return false;
                }
                Tag::Open(length) => {
                    say(keep(), out);
                    let cut = before
                        .get(tail(before, self.begins_line)..)
                        .unwrap_or_default();
                    self.before = cut.to_owned();
                    self.held.drain(..at);
                    self.inside = Some(Inside {
                        tag: length,
                        scanned: length,
                        scan: Scan::default(),
                        began: false,
                    });
                    return true;
                }
                Tag::Close(length) => {
                    say(before, out);
                    self.begins_line = true;
                    self.held.drain(..at + length);
                    return true;
                }
            }
        }
        let keep = tail(&self.held, self.begins_line);
        say(self.held.get(..keep).unwrap_or_default(), out);
        self.begins_line &= keep == 0;
        self.held.drain(..keep);
        false
    }

    fn within(&mut self, mut inside: Inside, out: &mut Vec<Piece>) -> bool {
        let unread = self.held.get(inside.scanned..).unwrap_or_default();
        let mut step = None;
        for (at, c) in unread.char_indices() {
            let found = match c {
                '<' if !inside.scan.in_string => tag::read(unread.get(at..).unwrap_or_default()),
                _ => Tag::None,
            };
            match found {
                Tag::None => inside.scan.step(c),
                Tag::Open(_) if inside.began => inside.scan.step(c),
                found => {
                    step = Some((at, found));
                    break;
                }
            }
            inside.began |= inside.scan.depth > 0;
        }
        let (read, found) = step.unwrap_or((unread.len(), Tag::Partial));
        inside.scanned += read;
        match found {
            Tag::Open(length) => {
                // a list around the elements: its tag says nothing
                let between = self
                    .held
                    .get(inside.tag..inside.scanned)
                    .unwrap_or_default();
                if !between.trim().is_empty() {
                    say(&std::mem::take(&mut self.before), out);
                    say(self.held.get(..inside.scanned).unwrap_or_default(), out);
                }
                self.held.drain(..inside.scanned);
                self.inside = Some(Inside {
                    tag: length,
                    scanned: length,
                    scan: Scan::default(),
                    began: false,
                });
                true
            }
            Tag::Close(length) => {
                let after = self.held.split_off(inside.scanned + length);
                let whole = std::mem::replace(&mut self.held, after);
                self.inside = None;
                self.begins_line = true;
                let element = whole.get(inside.tag..inside.scanned).unwrap_or_default();
                self.element(element, &whole, out);
                true
            }
            _ if self.held.len() > MAX_ELEMENT_BYTES => {
                say(&std::mem::take(&mut self.before), out);
                say(&std::mem::take(&mut self.held), out);
                self.begins_line = true;
                self.inside = None;
                false
            }
            _ => {
                self.inside = Some(inside);
                false
            }
        }
    }

    fn element(&mut self, element: &str, whole: &str, out: &mut Vec<Piece>) {
        let Some(calls) = call::read(element, &self.functions) else {
            say(&std::mem::take(&mut self.before), out);
            return say(whole, out);
        };
        self.fenced = self.before.contains(FENCE);
        self.before.clear();
        for call in calls {
            if !self.given.contains(&call) {
                self.given.push(call.clone());
                out.push(Piece::Call(call));
            }
        }
    }

    fn unfenced<'a>(&self, text: &'a str) -> &'a str {
        let start = text.trim_start();
        if self.fenced {
            start.strip_prefix(FENCE).unwrap_or(text)
        } else {
            text
        }
    }
}

fn say(text: &str, out: &mut Vec<Piece>) {
    if let (Some(Piece::Text(last)), false) = (out.last_mut(), text.is_empty()) {
        last.push_str(text);
    } else if !text.is_empty() {
        out.push(Piece::Text(text.to_owned()));
    }
}

/// Where the tail begins that goes with an element: blanks, and a code fence that a line begins with.
fn tail(text: &str, begins_line: bool) -> usize {
    let trimmed = text.trim_end();
    let line = trimmed.rfind('\n').map_or(0, |at| at + 1);
    let last = trimmed.get(line..).unwrap_or_default().trim_start();
    let word = last.trim_start_matches('`');
    let ticks = last.len() - word.len();
    let is_fence = match ticks {
        _ if line == 0 && !begins_line => false,
        0 => false,
        1 | 2 => word.is_empty(),
        _ => {
            word.len() <= 20
                && word
                    .chars()
                    .all(|c| c.is_ascii_alphabetic() || matches!(c, '_' | '-'))
        }
    };
    if is_fence {
        text.get(..line).unwrap_or_default().trim_end().len()
    } else {
        trimmed.len()
    }
}

#[cfg(test)]
mod tests;
