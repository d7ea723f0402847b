//! A text that grows, and what of it has been given out.

/// The cumulative text of one message and how much of it the client has.
#[derive(Debug, Default)]
pub(super) struct Growth {
    text: String,
    chars: usize,
    sent: usize,
}

impl Growth {
    /// The whole text as it stands now.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The text is now `text`; gives what is new to the client.
    ///
    /// After a rewrite nothing is given until the text is longer than what the client has, and then only what is beyond
    /// that length, counted in code points: what was sent cannot be taken back, and nothing is ever sent twice.
    pub(super) fn set(&mut self, text: &str) -> String {
        if let Some(more) = text.strip_prefix(self.text.as_str()) {
            return self.push(more);
        }
        self.text.clear();
        self.chars = 0;
        self.push(text)
    }

    /// `more` was added at the end; gives what is new to the client.
    pub(super) fn push(&mut self, more: &str) -> String {
        self.text.push_str(more);
        let known = self.sent.saturating_sub(self.chars);
        self.chars += more.chars().count();
        self.sent = self.sent.max(self.chars);
        if known == 0 {
            return more.to_owned();
        }
        more.chars().skip(known).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_growing_text_gives_its_tails() {
        let mut growth = Growth::default();

        let given = ["", "Hé", "Hé", "Hé! Hé! "].map(|text| growth.set(text));

        assert_eq!(given, ["", "Hé", "", "! Hé! "]);
    }

    #[test]
    fn a_rewritten_text_is_never_sent_twice() {
        let mut growth = Growth::default();

        let given = ["abcdef", "abXd", "abXdef", "abXdefgh"].map(|text| growth.set(text));

        assert_eq!(given, ["abcdef", "", "", "gh"]);
        assert_eq!(growth.text(), "abXdefgh");
    }

    #[test]
    fn lengths_count_code_points() {
        let mut growth = Growth::default();

        let given = ["ääää", "aaaaé👩"].map(|text| growth.set(text));

        assert_eq!(given, ["ääää", "é👩"]);
    }
}
