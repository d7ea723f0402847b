//! A text on its way to the other side, piece by piece.
//!
//! A piece may end in the middle of a secret. So the shortest end of it that could still become one is held back until more
//! comes, which is [`LONGEST`] bytes at the most.

use crate::kinds::{Found, Kinds, LONGEST, Place};

/// What is looked for, and what comes in its place.
#[derive(Debug)]
pub(crate) struct Masks {
    pub(crate) kinds: Kinds,
    pub(crate) replacement: String,
}

impl Masks {
    /// A whole text, masked; none where there is nothing to mask. Adds to `count`.
    pub(crate) fn whole(&self, text: &str, count: &mut u64) -> Option<String> {
        let (mut tail, before) = (Tail::default(), *count);
        let mut masked = tail.push(self, text, count);
        masked.push_str(&tail.finish(self, count));
        (*count > before).then_some(masked)
    }
}

/// A text, of which all has been passed on but its end.
#[derive(Debug)]
pub(crate) struct Tail {
    before: [char; 2],
    held: String,
}

impl Default for Tail {
    fn default() -> Self {
        Self {
            before: [' '; 2],
            held: String::new(),
        }
    }
}

impl Tail {
    /// Takes the next piece; gives what can be passed on.
    pub(crate) fn push(&mut self, masks: &Masks, piece: &str, count: &mut u64) -> String {
        self.held.push_str(piece);
        let free = self.advance(masks, false, count);
        debug_assert!(self.held.len() < LONGEST, "{} bytes", self.held.len());
        free
    }

    /// Nothing follows: gives what was held back.
    pub(crate) fn finish(&mut self, masks: &Masks, count: &mut u64) -> String {
        self.advance(masks, true, count)
    }

    fn advance(&mut self, masks: &Masks, is_end: bool, count: &mut u64) -> String {
        let text = std::mem::take(&mut self.held);
        let mut free = String::with_capacity(text.len());
        let mut search = masks.kinds.search();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let place = Place {
                before: self.before,
                rest,
                is_end,
            };
            let (passed, after) = match search.at(text.len() - rest.len(), place) {
                Found::Maybe => break,
                Found::No(bytes) => {
                    let (passed, after) = rest.split_at(bytes);
                    free.push_str(passed);
                    (passed, after)
                }
                Found::Yes(length) => {
                    *count += 1;
                    free.push_str(&masks.replacement);
                    rest.split_at(length)
                }
            };
            let mut last = passed.chars().rev();
            self.before = match (last.next(), last.next()) {
                (Some(one), Some(other)) => [other, one],
                (one, _) => [self.before[1], one.unwrap_or(self.before[1])],
            };
            rest = after;
        }
        rest.clone_into(&mut self.held);
        free
    }
}
