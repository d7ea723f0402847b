//! The mock's tokens: words, so that people can count along.

/// A word longer than this is several tokens, so that text without spaces streams in pieces too.
const MAX_CHARS: usize = 16;

/// Cuts `text` into tokens: a word with the space after it, or 16 characters of a longer one. Joined they are `text`.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, left) = rest.split_at(piece_len(rest));
        rest = left;
        (!piece.is_empty()).then_some(piece)
    })
}

/// How many tokens `text` has.
pub(crate) fn count(text: &str) -> u64 {
    pieces(text).map(|_| 1).sum()
}

/// The first `limit` tokens of `text`, and whether that cut something off.
pub(crate) fn cut(text: &str, limit: u64) -> (String, bool) {
    let mut pieces = pieces(text);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let kept: String = pieces.by_ref().take(limit).collect();
    if pieces.next().is_some() {
        (kept.trim_end().to_owned(), true)
    } else {
        (kept, false)
    }
}

/// `text` up to the first of `stops`.
pub(crate) fn stop<'a>(text: &'a str, stops: &[String]) -> &'a str {
    stops
        .iter()
        .filter(|stop| !stop.is_empty())
        .filter_map(|stop| text.find(stop.as_str()))
        .min()
        .and_then(|at| text.get(..at))
        .unwrap_or(text)
}

/// At most `max` characters of `text`, with an ellipsis where there were more.
pub(crate) fn quote(text: &str, max: usize) -> String {
    match text
        .char_indices()
        .nth(max)
        .and_then(|(at, _)| text.get(..at))
    {
        Some(head) => format!("{head}…"),
        None => text.to_owned(),
    }
}

/// The length in bytes of the first piece; at least one character.
fn piece_len(text: &str) -> usize {
    let mut space = false;
    for (index, (at, letter)) in text.char_indices().enumerate() {
        if index == MAX_CHARS || (space && !letter.is_whitespace()) {
            return at;
        }
        space = letter.is_whitespace() && index > 0;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_to_the_text() {
        for text in ["", " a  b\nc ", "日本語", &"ä".repeat(50), "one two"] {
            assert_eq!(pieces(text).collect::<String>(), text);
        }
        assert!(pieces("one two three").eq(["one ", "two ", "three"]));
        assert_eq!(count(&"x".repeat(40)), 3);
    }

    #[test]
    fn a_cut_text_says_so() {
        assert_eq!(cut("one two three", 2), ("one two".to_owned(), true));
        assert_eq!(cut("one two", 2), ("one two".to_owned(), false));
        assert_eq!(cut("one", 0), (String::new(), true));
    }

    #[test]
    fn the_earliest_stop_wins() {
        let stops = ["three".to_owned(), String::new(), "two".to_owned()];

        assert_eq!(stop("one two three", &stops), "one ");
        assert_eq!(stop("none", &stops), "none");
    }

    #[test]
    fn a_long_text_is_quoted_in_part() {
        assert_eq!(quote("äöü", 2), "äö…");
        assert_eq!(quote("äö", 2), "äö");
    }
}
