//! Text with marks in, text without marks out, piece by piece.

use super::mark::{self, Start};
use super::{Citations, Sources};

/// How many pieces of text a mark may wait for its source.
pub const HOLD_DELTAS: u32 = 20;

/// How long a new-style mark may be without an end; then it is dropped up to its end.
pub const MAX_MARK_BYTES: usize = 4 << 10;

/// Text that waits behind a mark is bounded too.
const MAX_HELD_BYTES: usize = 64 << 10;

/// Puts sources in place of the marks of one message.
///
/// Text from a mark on is held until the source arrives, [`HOLD_DELTAS`] pieces passed, or the message ends. Then a
/// new-style mark is dropped (an entity keeps its name), an old-style one stays as it was written: it may be just text.
/// No private-use character of the basic plane comes out in any mode.
#[derive(Debug, Default)]
pub struct Renderer {
    mode: Citations,
    sources: Sources,
    held: String,
    /// Code points of the message before `held`.
    place: u64,
    waited: u32,
    dropping: bool,
    after_blank: bool,
}

impl Renderer {
    /// A renderer at the start of a message.
    pub fn new(mode: Citations) -> Self {
        Self {
            mode,
            after_blank: true,
            ..Self::default()
        }
    }

    /// More text of the message; gives what can be shown now.
    pub fn push(&mut self, more: &str) -> String {
        if more.is_empty() && self.held.is_empty() {
            return String::new();
        }
        self.held.push_str(more);
        self.waited += u32::from(!more.is_empty());
        self.advance(false)
    }

    /// The sources as the message's metadata has them now; gives what can be shown with them.
    pub fn learn(&mut self, sources: Sources) -> String {
        if self.sources == sources {
            return String::new();
        }
        self.sources = sources;
        self.advance(false)
    }

    /// The message is over; gives what was held. More text may still follow.
    pub fn flush(&mut self) -> String {
        self.advance(true)
    }

    /// A whole text, with the sources known so far.
    pub fn whole(&self, text: &str) -> String {
        let mut renderer = Self::new(self.mode);
        renderer.sources.clone_from(&self.sources);
        renderer.held.push_str(text);
        renderer.advance(true)
    }

    fn advance(&mut self, is_last: bool) -> String {
        let held = std::mem::take(&mut self.held);
        let mut out = String::with_capacity(held.len());
        let mut rest = held.as_str();
        loop {
            if self.dropping {
                let end = rest.find('\u{e201}');
                let (gone, after) = rest.split_at(end.unwrap_or(rest.len()));
                self.place += count(gone);
                rest = after;
                self.dropping = end.is_none() && !is_last;
            }
            let special = |c: char| c == mark::BRACKET || mark::is_private(c);
            let (plain, marked) = rest.split_at(rest.find(special).unwrap_or(rest.len()));
            self.show(plain, &mut out);
            self.place += count(plain);
            if marked.is_empty() {
                rest = "";
                break;
            }
            let Some(length) = self.mark(marked, is_last, &mut out) else {
                rest = marked;
                break;
            };
            let (mark, after) = marked.split_at(length);
            self.place += count(mark);
            rest = after;
        }
        if rest.is_empty() {
            self.waited = 0;
        }
        rest.clone_into(&mut self.held);
        out
    }

    /// Shows what stands for the mark at the start of `text` and gives its length; `None` when it has to wait.
    fn mark(&mut self, text: &str, is_last: bool, out: &mut String) -> Option<usize> {
        let is_old = text.starts_with(mark::BRACKET);
        let start = match text.chars().next()? {
            mark::OPEN => mark::new_style(text),
            mark::BRACKET => mark::old_style(text),
            private => return Some(private.len_utf8()),
        };
        let has_waited = self.waited > HOLD_DELTAS || text.len() > MAX_HELD_BYTES || is_last;
        match start {
            Start::Text => {
                let length = mark::BRACKET.len_utf8();
                self.show(text.get(..length)?, out);
                Some(length)
            }
            Start::Open if is_old => {
                is_last.then(|| self.show(text, out))?;
                Some(text.len())
            }
            Start::Open => {
                let is_long = text.len() > MAX_MARK_BYTES;
                self.dropping |= is_long && !is_last;
                (is_long || is_last).then_some(text.len())
            }
            Start::Mark(length) => {
                let mark = text.get(..length)?;
                let link = match self.mode {
                    Citations::Links => self.sources.find(mark, self.place).map(str::to_owned),
                    Citations::Strip => Some(String::new()),
                };
                let known = link.is_some() || has_waited;
                known.then(|| self.cite(mark, link, out))?;
                self.waited = 0;
                Some(length)
            }
        }
    }

    fn cite(&mut self, mark: &str, link: Option<String>, out: &mut String) {
        match (link, mark.starts_with(mark::BRACKET), self.mode) {
            // only a source tells a citation from text that looks like one
            (_, true, Citations::Strip) if self.sources.find(mark, self.place).is_none() => {
                self.show(mark, out);
            }
            (Some(link), true, _) if !link.is_empty() && !self.after_blank => {
                self.show(&format!(" {link}"), out);
            }
            (Some(link), _, Citations::Links) => self.show(&link, out),
            (None, true, _) => self.show(mark, out),
            _ => self.show(&mark::name(mark).unwrap_or_default(), out),
        }
    }

    fn show(&mut self, text: &str, out: &mut String) {
        let before = out.len();
        if text.contains(mark::is_private) {
            out.extend(text.chars().filter(|&c| !mark::is_private(c)));
        } else {
            out.push_str(text);
        }
        if out.len() > before {
            self.after_blank = out.ends_with(char::is_whitespace);
        }
    }
}

fn count(text: &str) -> u64 {
    text.chars().count() as u64
}

#[cfg(test)]
mod tests;
