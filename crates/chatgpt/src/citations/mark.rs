//! Finding marks in text that may go on.

/// Begins a new-style mark.
pub(super) const OPEN: char = '\u{e200}';
/// Ends it.
const CLOSE: char = '\u{e201}';
/// Stands between its fields.
const FIELD: char = '\u{e202}';
/// Begins an old-style mark.
pub(super) const BRACKET: char = '【';

/// How long an old-style mark may be; real ones have a few dozen bytes.
const MAX_BRACKET_BYTES: usize = 256;

/// What stands at the start of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// A mark of so many bytes.
    Mark(usize),
    /// What may become a mark when more text arrives.
    Open,
    /// No mark.
    Text,
}

/// Whether `c` is for marks alone: the private-use characters of the basic plane.
pub(super) fn is_private(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}')
}

/// A text that begins with [`OPEN`].
pub(super) fn new_style(text: &str) -> Start {
    match text.find(CLOSE) {
        Some(end) => Start::Mark(end + CLOSE.len_utf8()),
        None => Start::Open,
    }
}

/// A text that begins with [`BRACKET`]: `【`, a number (or `3:1`), `†`, a label, `】`.
pub(super) fn old_style(text: &str) -> Start {
    let mut digits = 0;
    let mut label = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if at > MAX_BRACKET_BYTES => return Start::Text,
            '】' if label => return Start::Mark(at + c.len_utf8()),
            '【' | '\n' => return Start::Text,
            _ if label => {}
            '0'..='9' | ':' => digits += 1,
            '†' if digits > 0 => label = true,
            _ => return Start::Text,
        }
    }
    Start::Open
}

/// What is left of a mark without a source: the display name of an entity, the second element of its JSON list.
pub(super) fn name(mark: &str) -> Option<String> {
    let fields = mark.trim_start_matches(OPEN).trim_end_matches(CLOSE);
    let (verb, rest) = fields.split_once(FIELD)?;
    if verb != "entity" {
        return None;
    }
    let list: Vec<serde_json::Value> = serde_json::from_str(rest.trim()).ok()?;
    Some(list.get(1)?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_marks_are_told_from_text() {
        let table = [
            ("【3†source】 x", Start::Mark("【3†source】".len())),
            ("【13:2†a b】", Start::Mark("【13:2†a b】".len())),
            ("【", Start::Open),
            ("【3", Start::Open),
            ("【3†so", Start::Open),
            ("【†x】", Start::Text),
            ("【abc】", Start::Text),
            ("【3】", Start::Text),
            ("【3†a\nb】", Start::Text),
        ];

        for (text, expected) in table {
            assert_eq!(old_style(text), expected, "{text}");
        }
        assert_eq!(old_style(&format!("【3†{}", "x".repeat(300))), Start::Text);
    }

    #[test]
    fn only_entities_keep_a_name() {
        let entity =
            "\u{e200}entity\u{e202}[\"turn0entity1\",\"Marie Curie\",\"physicist\"]\u{e201}";

        assert_eq!(name(entity).as_deref(), Some("Marie Curie"));
        assert_eq!(name("\u{e200}entity\u{e202}[1]\u{e201}"), None);
        assert_eq!(name("\u{e200}cite\u{e202}[\"a\",\"b\"]\u{e201}"), None);
        assert_eq!(name("\u{e200}\u{e201}"), None);
    }
}
