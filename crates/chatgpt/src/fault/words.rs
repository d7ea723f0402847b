//! Words of the service that may be shown.

/// How long a shown message is at most.
pub const MAX_MESSAGE_CHARS: usize = 500;

/// From this length on a run of token characters is taken for a secret; a UUID has 36.
const MIN_SECRET_CHARS: usize = 40;

/// The text with what looks like a token taken out, on one line, cut to [`MAX_MESSAGE_CHARS`]; empty for markup.
pub fn redact(text: &str) -> String {
    let start = text.trim_start();
    if start.starts_with('<') {
        return String::new();
    }
    let mut out = String::new();
    let mut run = String::new();
    for c in start.chars().take(4 * MAX_MESSAGE_CHARS).chain(['\n']) {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | '+' | '=') {
            run.push(c);
            continue;
        }
        let is_secret = run.len() >= MIN_SECRET_CHARS
            || (run.starts_with("eyJ") && run.len() >= 12)
            || (run.starts_with("sk-") && run.len() >= 12);
        out.push_str(if is_secret { "[redacted]" } else { &run });
        run.clear();
        out.push(if c.is_control() { ' ' } else { c });
    }
    out.trim_end().chars().take(MAX_MESSAGE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_markup_and_length_are_cut() {
        assert_eq!(
            redact("token eyJhbGciOi.JSUzI1.NiJ9 is bad"),
            "token [redacted] is bad"
        );
        assert_eq!(redact(&format!("x={} y", "a".repeat(64))), "[redacted] y");
        assert_eq!(redact(" <!DOCTYPE html>"), "");
        assert_eq!(redact("a\nb"), "a b");
        assert_eq!(redact(&"é ".repeat(900)).chars().count(), 500);
        assert_eq!(
            redact("5d0a1c11-0a01-4b6e-8d6a-0d6a00000003."),
            "5d0a1c11-0a01-4b6e-8d6a-0d6a00000003."
        );
    }
}
