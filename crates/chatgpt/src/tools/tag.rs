//! The tags of elements, in the spellings that models use.

/// What stands at the start of a text that begins with `<`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    /// An opening tag of so many bytes.
    Open(usize),
    /// A closing tag of so many bytes.
    Close(usize),
    /// What may become a tag when more text arrives.
    Partial,
    /// No tag.
    None,
}

/// No tag is longer; bounds what is held back.
const MAX_TAG_BYTES: usize = 32;

/// Reads `<tool_call>` and its like: any case, `_`, `-`, blank or nothing between the words, a plural, blanks anywhere.
pub(super) fn read(text: &str) -> Tag {
    let mut letters = String::new();
    let mut is_close = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if at >= MAX_TAG_BYTES => return Tag::None,
            '>' if matches!(letters.as_str(), "toolcall" | "toolcalls") => {
                let length = at + 1;
                return if is_close {
                    Tag::Close(length)
                } else {
                    Tag::Open(length)
                };
            }
            '/' if letters.is_empty() && !is_close => is_close = true,
            ' ' => {}
            '_' | '-' if letters == "tool" => {}
            c if c.is_ascii_alphabetic() => {
                letters.push(c.to_ascii_lowercase());
                if !"toolcalls".starts_with(&letters) {
                    return Tag::None;
                }
            }
            _ => return Tag::None,
        }
    }
    if text.len() < MAX_TAG_BYTES {
        Tag::Partial
    } else {
        Tag::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_read() {
        for text in [
            "<tool_call>",
            "<Tool_Call>",
            "<tool call>",
            "< tool_calls >",
            "<TOOLCALL>",
            "<tool-call>",
        ] {
            assert_eq!(read(&format!("{text}x")), Tag::Open(text.len()), "{text}");
        }
        assert_eq!(read("</tool_call> "), Tag::Close(12));
        for text in ["<", "<t", "<tool_", "</tool_call", "< "] {
            assert_eq!(read(text), Tag::Partial, "{text}");
        }
        for text in [
            "<table>",
            "<tool>",
            "<>",
            "<tool_kit>",
            "<1",
            "<tool_call x>",
            "<//",
            "<                                ",
        ] {
            assert_eq!(read(text), Tag::None, "{text}");
        }
    }
}
