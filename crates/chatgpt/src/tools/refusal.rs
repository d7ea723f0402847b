//! Answers that claim there are no tools.

/// What to say to a model that refused although it has functions; the request is then repeated with this.
pub const ASK_AGAIN: &str = "You do have the functions that were listed at the start: writing a <tool_call> element runs \
    them, and the result comes back to you. Please write the call now.";

/// A refusal is short; longer answers did their work.
const MAX_REFUSAL_CHARS: usize = 1500;

const DENIALS: [&str; 9] = [
    "don't have",
    "do not have",
    "can't",
    "cannot",
    "unable to",
    "not able to",
    "no access",
    "don't see",
    "isn't available",
];

const OBJECTS: [&str; 12] = [
    "tool",
    "function call",
    "your file",
    "local file",
    "file system",
    "filesystem",
    "a shell",
    "terminal",
    "execute command",
    "run command",
    "your computer",
    "working directory",
];

/// Whether a text without a call claims to have no access to tools, files or a shell.
///
/// Only sentences that deny and name such a thing at once count.
pub fn is_refusal(answer: &str) -> bool {
    if answer.chars().count() > MAX_REFUSAL_CHARS {
        return false;
    }
    let lower = answer.to_lowercase().replace('\u{2019}', "'");
    lower.split(['.', '!', '?', '\n']).any(|sentence| {
        let denies = DENIALS.iter().any(|phrase| sentence.contains(phrase));
        denies && OBJECTS.iter().any(|phrase| sentence.contains(phrase))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_of_having_no_tools_are_refusals() {
        for answer in [
            "I'm sorry, but I don't have access to your file system.",
            "I can\u{2019}t use tools here.",
            "As a model I am unable to run commands in a terminal.",
        ] {
            assert!(is_refusal(answer), "{answer}");
        }
    }

    #[test]
    fn plain_answers_are_none() {
        for answer in [
            "The tool is a hammer. You can't go wrong with it.",
            "Paris is the capital of France.",
            "I cannot say who will win.",
            "",
        ] {
            assert!(!is_refusal(answer), "{answer}");
        }
        assert!(!is_refusal(&format!(
            "I don't have tools. {}",
            "word ".repeat(400)
        )));
    }
}
