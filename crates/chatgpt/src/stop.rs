//! Stop texts, enforced here: the service has no parameter for them and the model may ignore the words.

use serde_json::Value;

/// Cuts a streaming answer before the first stop text.
#[derive(Debug, Clone, Default)]
pub struct Stops {
    texts: Vec<String>,
    held: String,
    is_stopped: bool,
}

impl Stops {
    /// Stops at any of `texts`; empty ones are left out.
    pub fn new(texts: impl IntoIterator<Item = String>) -> Self {
        Self {
            texts: texts.into_iter().filter(|text| !text.is_empty()).collect(),
            ..Self::default()
        }
    }

    /// Stops at what a request's `stop` names: one text or a list.
    pub fn of(stop: Option<&Value>) -> Self {
        Self::new(texts(stop))
    }

    /// Whether a stop text was met: nothing more will be given.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// More of the answer; gives what can be no part of a stop text any more.
    pub fn push(&mut self, more: &str) -> String {
        if self.is_stopped {
            return String::new();
        }
        self.held.push_str(more);
        let found = self.texts.iter().filter_map(|text| {
            let at = self.held.find(text.as_str())?;
            Some((at + text.len(), at))
        });
        // the one that is complete first, as it would be met piece by piece
        if let Some((_, at)) = found.min() {
            self.is_stopped = true;
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        let keep = self
            .texts
            .iter()
            .map(|text| overlap(&self.held, text))
            .max();
        let rest = self.held.split_off(self.held.len() - keep.unwrap_or(0));
        std::mem::replace(&mut self.held, rest)
    }

    /// The answer is over: what was held is text.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// The texts that a request's `stop` names.
pub(crate) fn texts(stop: Option<&Value>) -> Vec<String> {
    let list = match stop {
        Some(Value::Array(list)) => list.as_slice(),
        Some(text) => std::slice::from_ref(text),
        None => &[],
    };
    let texts = list
        .iter()
        .filter_map(Value::as_str)
        .filter(|text| !text.is_empty());
    texts.map(str::to_owned).collect()
}

/// How many bytes at the end of `text` could begin `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let starts = stop.char_indices().map(|(at, _)| at).skip(1);
    let fits = starts.filter(|&at| stop.get(..at).is_some_and(|start| text.ends_with(start)));
    fits.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(pieces: &[&str]) -> String {
        let mut stops = Stops::new([
            "END".to_owned(),
            "\n\n".to_owned(),
            String::new(),
            "é!".to_owned(),
        ]);
        let mut out: String = pieces.iter().map(|piece| stops.push(piece)).collect();
        out.push_str(&stops.finish());
        out
    }

    #[test]
    fn an_answer_ends_before_its_stop_text_at_every_split() {
        let table = [
            ("one END two", "one "),
            ("one EEND two", "one E"),
            ("a\nb\n\nc END", "a\nb"),
            ("caf\u{e9}? caf\u{e9}! no", "caf\u{e9}? caf"),
            ("one EN", "one EN"),
            ("END", ""),
            ("", ""),
        ];

        for (text, expected) in table {
            for at in (0..=text.len()).filter(|&at| text.is_char_boundary(at)) {
                let (head, tail) = text.split_at(at);
                assert_eq!(run(&[head, tail]), expected, "{text:?} split at {at}");
            }
        }
    }

    #[test]
    fn nothing_comes_after_a_stop() {
        let mut stops = Stops::new(["x".to_owned()]);

        assert_eq!(
            (stops.push("ax"), stops.is_stopped()),
            ("a".to_owned(), true)
        );
        assert_eq!(
            (stops.push("b"), stops.finish()),
            (String::new(), String::new())
        );
        assert_eq!(Stops::of(None).push("all"), "all");
    }

    #[test]
    fn the_text_that_is_complete_first_counts() {
        let stop = serde_json::json!(["abcX", "bc", 7, ""]);

        let whole = Stops::of(Some(&stop)).push("abcX");
        let mut stops = Stops::of(Some(&stop));
        let split: String = ["a", "b", "c", "X"].map(|piece| stops.push(piece)).concat();

        assert_eq!((whole.as_str(), split.as_str()), ("a", "a"));
    }
}
