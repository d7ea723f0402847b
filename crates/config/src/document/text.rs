//! The text of aurora.toml: positions in it, and the form in which it may be shown.

use std::ops::Range;

use super::Offset;

/// A 1-based line and column (in characters).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// The text of aurora.toml beside a copy in which every secret is a row of asterisks.
pub(crate) struct Text {
    pub(crate) display: String,
    original: Lines,
    masked: Lines,
    /// Secrets: where they were, and where their asterisks are.
    masks: Vec<(Range<Offset>, Range<Offset>)>,
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Text")
            .field("display", &self.display)
            .finish_non_exhaustive()
    }
}

/// A text with the starts of its lines.
struct Lines {
    text: String,
    starts: Vec<Offset>,
}

impl Lines {
    fn new(text: String) -> Self {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            starts: std::iter::once(0).chain(breaks).collect(),
            text,
        }
    }

    /// 1-based.
    fn line(&self, offset: Offset) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    fn start(&self, line: usize) -> Offset {
        self.starts
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or(self.text.len())
    }

    fn position(&self, offset: Offset) -> Position {
        let offset = floor(&self.text, offset);
        let line = self.line(offset);
        let before = self.text.get(self.start(line)..offset).unwrap_or_default();
        let column = before.trim_start_matches('\u{feff}').chars().count() + 1;
        Position { line, column }
    }
}

/// Longest row of asterisks: longer secrets do not show their length.
const MASK: usize = 8;

impl Text {
    /// `secrets` are byte ranges of `original` in any order.
    pub(crate) fn new(display: &str, original: &str, mut secrets: Vec<Range<Offset>>) -> Self {
        secrets.sort_by_key(|range| (range.start, range.end));
        let mut masked = String::with_capacity(original.len());
        let mut masks = Vec::new();
        let mut done = 0;
        for secret in secrets {
            let start = secret.start.max(done);
            let (Some(before), Some(hidden)) =
                (original.get(done..start), original.get(start..secret.end))
            else {
                continue;
            };
            masked.push_str(before);
            let from = masked.len();
            masked.extend(std::iter::repeat_n('*', hidden.chars().count().min(MASK)));
            masks.push((start..secret.end, from..masked.len()));
            done = secret.end;
        }
        masked.push_str(original.get(done..).unwrap_or_default());
        Self {
            display: display.to_owned(),
            original: Lines::new(original.to_owned()),
            masked: Lines::new(masked),
            masks,
        }
    }

    /// The lines of the masked text that hold `range`, the number of the first, and where they begin.
    pub(crate) fn masked(&self, range: &Range<Offset>) -> (&str, usize, Offset) {
        let first = self.masked.line(range.start);
        let start = self.masked.start(first);
        let end = self
            .masked
            .start(self.masked.line(range.end.max(range.start)) + 1);
        (
            self.masked.text.get(start..end).unwrap_or_default(),
            first,
            start,
        )
    }

    /// 1-based line of a byte.
    pub(crate) fn line(&self, offset: Offset) -> usize {
        self.original.line(offset)
    }

    /// Position of a byte; one that is past the end or inside a character moves back to the nearest.
    pub(crate) fn position(&self, offset: Offset) -> Position {
        self.original.position(offset)
    }

    /// Position of a byte of the masked text.
    pub(crate) fn masked_position(&self, offset: Offset) -> Position {
        self.masked.position(offset)
    }

    /// The range of the masked text that shows `range`.
    pub(crate) fn shown(&self, range: &Range<Offset>) -> Range<Offset> {
        let start = self.shift(range.start, |mask| mask.start);
        let end = self.shift(range.end, |mask| mask.end);
        start..end.max(start)
    }

    fn shift(&self, offset: Offset, inside: impl Fn(&Range<Offset>) -> Offset) -> Offset {
        let offset = floor(&self.original.text, offset);
        let Some((secret, mask)) = self
            .masks
            .iter()
            .rfind(|(secret, _)| secret.start <= offset)
        else {
            return offset;
        };
        if offset == secret.start {
            mask.start
        } else if offset < secret.end {
            inside(mask)
        } else {
            mask.end + (offset - secret.end)
        }
    }
}

fn floor(text: &str, offset: Offset) -> Offset {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_secret_shrinks_to_eight_asterisks_and_what_follows_is_still_found() {
        let source = "é = \"sk-0123456789\" # x\nb = 1\n";
        let start = source.find("sk").unwrap();
        let end = source.find("\" #").unwrap();

        let text = Text::new("aurora.toml", source, std::iter::once(start..end).collect());

        assert_eq!(text.masked.text, "é = \"********\" # x\nb = 1\n");
        let x = source.find('x').unwrap();
        assert_eq!(text.masked.text.get(text.shown(&(x..x + 1))), Some("x"));
        assert_eq!(
            text.masked.text.get(text.shown(&(start - 1..end + 1))),
            Some("\"********\"")
        );
        assert_eq!(
            text.masked.text.get(text.shown(&(start..end))),
            Some("********")
        );
        assert_eq!(
            text.position(x),
            Position {
                line: 1,
                column: 23
            }
        );
    }

    #[test]
    fn overlapping_and_impossible_ranges_do_no_harm() {
        let text = Text::new("x", "abcé", vec![0..2, 1..3, 3..4, 9..12]);

        assert_eq!(text.masked.text, "***é");
        assert_eq!(text.position(99), Position { line: 1, column: 5 });
    }
}
