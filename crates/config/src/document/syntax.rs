//! What is wrong with a file that is not TOML, in words that help.

use std::ops::Range;

use super::{Offset, Place};
use crate::diagnostic::Problem;

/// The diagnostic for a parse error in `text`.
pub(crate) fn problem(error: &toml::de::Error, text: &str) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let message = error.message();
    if message.starts_with("duplicate key") {
        return duplicate(text, span);
    }
    let offset = span.start;
    let line = Line::around(text, offset);
    let (what, label, help) = explain(message, &line, text.get(span.clone()).unwrap_or_default());
    let problem = Problem::error("AUR0001", Place::File(span), what);
    let problem = if label.is_empty() {
        problem
    } else {
        problem.label(label)
    };
    let problem = match opening(message, text, offset) {
        Some(bracket) => problem.second(Place::File(bracket), "it begins here"),
        None => problem,
    };
    if help.is_empty() {
        problem
    } else {
        problem.help(help)
    }
}

struct Line<'t> {
    text: &'t str,
    before: &'t str,
}

impl<'t> Line<'t> {
    fn around(text: &'t str, offset: Offset) -> Self {
        let start = text
            .get(..offset)
            .and_then(|before| before.rfind('\n'))
            .map_or(0, |at| at + 1);
        let rest = text.get(start..).unwrap_or_default();
        let line = rest.lines().next().unwrap_or_default();
        Self {
            text: line,
            before: text.get(start..offset).unwrap_or_default(),
        }
    }

    fn key(&self) -> &'t str {
        self.text
            .split(['=', ':'])
            .next()
            .unwrap_or_default()
            .trim()
    }
}

type Explained = (String, String, String);

/// What the parser says, and what we say instead: message, label, help.
struct Saying {
    begins: &'static [&'static str],
    contains: &'static [&'static str],
    instead: [&'static str; 3],
}

const fn begins(begins: &'static [&'static str], instead: [&'static str; 3]) -> Saying {
    Saying {
        begins,
        contains: &[],
        instead,
    }
}

const fn contains(contains: &'static [&'static str], instead: [&'static str; 3]) -> Saying {
    Saying {
        begins: &[],
        contains,
        instead,
    }
}

/// The first that fits is used.
const SAYINGS: [Saying; 13] = [
    begins(
        &["invalid basic string", "invalid literal string"],
        [
            "this text is not closed",
            "the closing quote is missing",
            "text ends on the line where it began, with the quote it began with",
        ],
    ),
    begins(
        &["invalid multi-line", "unclosed multi"],
        [
            "this text is not closed",
            "the closing quotes are missing",
            "text that begins with three quotes ends with three",
        ],
    ),
    begins(
        &["unclosed array table"],
        [
            "this header is not closed",
            "`]]` is missing",
            "a list entry begins with `[[name]]`",
        ],
    ),
    begins(
        &["unclosed table"],
        [
            "this header is not closed",
            "`]` is missing",
            "a section begins with `[name]`",
        ],
    ),
    contains(
        &["unclosed array", "between array elements", "in array"],
        [
            "this list is not well formed",
            "a `,` or the closing `]` is missing here",
            "a list is written `[\"a\", \"b\"]`",
        ],
    ),
    contains(
        &["inline table", "between key-value pairs"],
        [
            "this table is not well formed",
            "a `,` or the closing `}` is missing here",
            "a table on one line is written `{ a = 1, b = 2 }`",
        ],
    ),
    begins(
        &["unexpected key or value"],
        [
            "there is more on this line than one setting",
            "not expected here",
            "write each setting on its own line",
        ],
    ),
    contains(
        &["unquoted key"],
        [
            "this is not a key",
            "letters, digits, `-` and `_` only",
            "put other names in quotes: `\"my name\" = 1`",
        ],
    ),
    contains(
        &["escaped value", "unicode value"],
        [
            "unknown escape after `\\`",
            "",
            "write `\\\\` for one backslash, or use single quotes: 'C:\\path'",
        ],
    ),
    begins(
        &["cannot extend value"],
        [
            "this name already has a value that is not a table",
            "",
            "a name is either a value or a section, not both",
        ],
    ),
    contains(&["recurs"], ["nested too deeply", "", ""]),
    contains(
        &["leading zero"],
        [
            "a number cannot begin with 0",
            "remove the zero, or quote it if it is text",
            "",
        ],
    ),
    contains(
        &["date", "time", "month"],
        [
            "this is not a date that exists",
            "",
            "dates are written 2026-12-31 or 2026-12-31T23:59:59Z",
        ],
    ),
];

fn explain(message: &str, line: &Line<'_>, found: &str) -> Explained {
    if message.starts_with("key with no value") || message.starts_with("missing assignment") {
        return no_equals_sign(line);
    }
    let fits = |saying: &&Saying| {
        saying.begins.iter().any(|start| message.starts_with(start))
            || saying.contains.iter().any(|part| message.contains(part))
    };
    if let Some(saying) = SAYINGS.iter().find(fits) {
        let [what, label, help] = saying.instead.map(str::to_owned);
        return (what, label, help);
    }
    if message.contains("quote") || message.starts_with("invalid boolean") {
        return unquoted(found);
    }
    let what = message.split(", expected").next().unwrap_or(message);
    (
        format!("not valid TOML: {what}"),
        String::new(),
        String::new(),
    )
}

// Where a list that goes on to another line began.
fn opening(message: &str, text: &str, offset: Offset) -> Option<Range<Offset>> {
    let list = message.contains("array") && !message.contains("array table");
    let earlier = lines(text, if list { offset } else { 0 });
    let begins = |(start, line): (Offset, &str)| {
        let (key, rest) = line.split_once('=')?;
        let at = start + key.len() + 1 + rest.len() - rest.trim_start().len();
        rest.trim_start().starts_with('[').then_some(at..at + 1)
    };
    earlier.filter_map(begins).last()
}

fn no_equals_sign(line: &Line<'_>) -> Explained {
    let colon = line
        .text
        .trim_start()
        .chars()
        .take_while(|c| *c != '=' && *c != '"')
        .any(|c| c == ':');
    let label = if colon {
        "`:` is not used in TOML"
    } else {
        "`=` is missing"
    };
    let key = line.key().split_whitespace().next().unwrap_or("key");
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let key = if !key.is_empty() && key.chars().all(plain) {
        key
    } else {
        "key"
    };
    let help = if line.text.trim_start().starts_with('[') {
        "a section header stands alone on its line: `[name]`".to_owned()
    } else {
        format!("write `{key} = value`")
    };
    (
        "a setting needs `=` between its key and its value".to_owned(),
        label.to_owned(),
        help,
    )
}

fn unquoted(found: &str) -> Explained {
    let lower = found.to_lowercase();
    if found.is_empty() {
        let what = "a value is missing after `=`".to_owned();
        return (
            what,
            "nothing here".to_owned(),
            "to take the default, remove the line".to_owned(),
        );
    }
    if found.contains(['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}']) {
        let what = "typographic quotes do not quote in TOML".to_owned();
        return (
            what,
            "not a plain quote".to_owned(),
            "use plain quotes: \"text\"".to_owned(),
        );
    }
    if lower == "true" || lower == "false" {
        let what = "true and false are written in small letters".to_owned();
        return (what, format!("write `{lower}`"), String::new());
    }
    let what = "text must be in quotes".to_owned();
    // Only what looks like a duration or a size is repeated: it might be a secret.
    let unit = found.trim_start_matches(|c: char| c.is_ascii_digit());
    if unit.len() < found.len() && unit.len() <= 3 && unit.chars().all(|c| c.is_ascii_alphabetic())
    {
        let label = "not a number, so it needs quotes".to_owned();
        return (what, label, format!("write `\"{found}\"`"));
    }
    (
        what,
        "not a number, `true` or `false`, so it needs quotes".to_owned(),
        "write \"...\" around it".to_owned(),
    )
}

fn duplicate(text: &str, span: Range<Offset>) -> Problem {
    let line = Line::around(text, span.start);
    let name = text.get(span.clone()).unwrap_or_default();
    let header = line.before.trim_start().starts_with('[');
    let what = if header {
        format!("section `[{}]` is written twice", header_name(line.text))
    } else {
        format!("key `{name}` is written twice in this section")
    };
    let first = if header {
        first_header(text, line.text, span.start)
    } else {
        first_key(text, name, span.start)
    };
    let problem = Problem::error("AUR0002", Place::File(span), what).label("again here");
    match first {
        Some(first) => problem.second(Place::File(first), "first written here"),
        None => problem,
    }
    .help(if header {
        format!(
            "merge the two; a list of them is written `[[{}]]`",
            header_name(line.text)
        )
    } else {
        "keep one of them".to_owned()
    })
}

fn header_name(line: &str) -> &str {
    line.split(']')
        .next()
        .unwrap_or_default()
        .trim_start()
        .trim_start_matches('[')
        .trim()
}

fn first_header(text: &str, header: &str, before: Offset) -> Option<Range<Offset>> {
    let wanted = header_name(header);
    lines(text, before).find_map(|(start, line)| {
        let trimmed = line.trim_start();
        let at = start + line.len() - trimmed.len();
        (trimmed.starts_with('[') && header_name(trimmed) == wanted).then(|| {
            at..at
                + trimmed
                    .find(']')
                    .map_or(trimmed.trim_end().len(), |end| end + 1)
        })
    })
}

// Looks only in the section of the second key; within an inline table the first is not searched for.
fn first_key(text: &str, name: &str, before: Offset) -> Option<Range<Offset>> {
    let mut found = None;
    for (start, line) in lines(text, before) {
        let trimmed = line.trim_start();
        if trimmed.starts_with('[') && !trimmed.contains('=') {
            found = None;
        }
        let at = start + line.len() - trimmed.len();
        let is_key = trimmed
            .strip_prefix(name)
            .is_some_and(|rest| rest.trim_start().starts_with('='));
        if is_key && found.is_none() {
            found = Some(at..at + name.len());
        }
    }
    found
}

fn lines(text: &str, before: Offset) -> impl Iterator<Item = (Offset, &str)> {
    let text = text.get(..before).unwrap_or_default();
    let end = text.rfind('\n').map_or(0, |at| at + 1);
    let mut start = 0;
    text.get(..end)
        .unwrap_or_default()
        .split_inclusive('\n')
        .map(move |line| {
            let at = start;
            start += line.len();
            (at, line)
        })
}
