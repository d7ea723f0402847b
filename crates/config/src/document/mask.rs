//! Which parts of aurora.toml are secret.

use std::ops::Range;

use super::{Node, Offset, Place, Value};
use crate::schema::Kind;
use crate::schema::words::check;

/// Keys of `[auth]` keys and `[tokens.NAME]` whose text is no secret. Everything else there is masked, misspelt keys too.
const PUBLIC: [&str; 15] = [
    "env",
    "file",
    "keys_file",
    "name",
    "models",
    "routes",
    "limits",
    "expires",
    "strategy",
    "cooldown",
    "probe_dead",
    "access",
    "refresh",
    "session",
    "device",
];

/// Words in the name of a plugin's option that make its text a secret.
const SUSPICIOUS: [&str; 6] = ["key", "token", "secret", "password", "passwd", "credential"];

/// The secrets of a file that is TOML.
pub(crate) fn secrets(root: &Node, text: &str) -> Vec<Range<Offset>> {
    let mut found = Vec::new();
    walk(root, text, Secrecy::Public, &mut Vec::new(), &mut found);
    // A key may also stand where it has no business: in a comment, under a wrong name.
    words(text, 0, looks_secret, &mut found);
    found
}

// Where the name of a variable belongs, people write its value.
fn is_no_variable(text: &str) -> bool {
    check(&Kind::Variable, text).is_err()
}

#[derive(Clone, Copy, PartialEq)]
enum Secrecy {
    Public,
    Secret,
}

fn walk<'n>(
    node: &'n Node,
    text: &str,
    secrecy: Secrecy,
    path: &mut Vec<&'n str>,
    found: &mut Vec<Range<Offset>>,
) {
    match &node.value {
        Value::Table(members) => {
            for (key, child) in members {
                path.push(key);
                let stray = *key == "env" && child.as_text().is_some_and(is_no_variable);
                let secrecy = if stray {
                    Secrecy::Secret
                } else {
                    judge(path, secrecy)
                };
                walk(child, text, secrecy, path, found);
                path.pop();
            }
        }
        Value::List(items) => {
            for item in items {
                walk(item, text, secrecy, path, found);
            }
        }
        _ => {
            if let Place::File(span) = &node.place {
                leaf(node, text, span, secrecy, found);
            }
        }
    }
}

fn judge(path: &[&str], above: Secrecy) -> Secrecy {
    let Some(last) = path.last() else {
        return above;
    };
    let secret = match path {
        ["auth" | "tokens"] | ["tokens", _] => false,
        ["auth", rest @ ..] | ["tokens", _, rest @ ..] => {
            !rest.iter().any(|key| PUBLIC.contains(key))
        }
        ["plugins" | "routes", ..] => {
            above == Secrecy::Secret
                || SUSPICIOUS
                    .iter()
                    .any(|word| last.to_lowercase().contains(word))
        }
        _ => above == Secrecy::Secret,
    };
    if secret {
        Secrecy::Secret
    } else {
        Secrecy::Public
    }
}

/// Whether a word is most likely a key or a token, wherever it stands.
pub(crate) fn looks_secret(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let digit = |c: char| c.is_ascii_digit();
    let long = word.len() >= 40 && word.chars().all(plain) && word.contains(digit);
    long || word.starts_with("sk-") || word.starts_with("eyJ")
}

fn leaf(
    node: &Node,
    text: &str,
    span: &Range<Offset>,
    secrecy: Secrecy,
    found: &mut Vec<Range<Offset>>,
) {
    let written = text.get(span.clone()).unwrap_or_default();
    if secrecy == Secrecy::Secret && !matches!(node.value, Value::Bool(_)) {
        // Line by line, so that the lines behind keep their numbers.
        let mut start = span.start;
        for line in written.split_inclusive('\n') {
            let bare = line.trim_end_matches(['\n', '\r']);
            let inner = bare.trim_matches(['"', '\'']);
            let quotes = bare.find(inner).unwrap_or(0);
            if !inner.is_empty() {
                found.push(start + quotes..start + quotes + inner.len());
            }
            start += line.len();
        }
        return;
    }
    found.extend(userinfo(written).map(|inner| span.start + inner.start..span.start + inner.end));
}

fn userinfo(written: &str) -> Option<Range<Offset>> {
    let scheme = written.find("://")? + 3;
    let authority = written.get(scheme..)?;
    let authority = authority.get(..authority.find(['/', '?', '#']).unwrap_or(authority.len()))?;
    let at = authority.rfind('@')?;
    Some(scheme..scheme + at)
}

/// Words that make a line of a broken file suspicious.
const WORDS: [&str; 10] = [
    "key",
    "token",
    "secret",
    "password",
    "values",
    "proxy",
    "authorization",
    "sk-",
    "eyj",
    "@",
];

/// The secrets of a file that is not TOML: there is no tree to ask, so lines are judged by their words.
pub(crate) fn suspected_secrets(text: &str) -> Vec<Range<Offset>> {
    let mut found = Vec::new();
    let mut section_is_secret = false;
    let mut key_is_secret = false;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim_start();
        let lower = line.to_lowercase();
        let assignment = line.find(['=', ':']).filter(|at| is_key(line.get(..*at)));
        let header =
            trimmed.starts_with('[') && assignment.is_none() && !trimmed.contains(['"', '\'']);
        if header {
            section_is_secret = lower.contains("auth") || lower.contains("tokens");
            key_is_secret = false;
        } else {
            let suspicious = WORDS.iter().any(|word| lower.contains(word));
            if assignment.is_some() {
                key_is_secret = suspicious;
            }
            if section_is_secret || key_is_secret || suspicious {
                let from = assignment.map_or(0, |at| at + 1);
                words(
                    line.get(from..).unwrap_or_default(),
                    start + from,
                    |_| true,
                    &mut found,
                );
            }
        }
        start += line.len();
    }
    found
}

// What stands before `=` is shown only when it is plainly a key.
fn is_key(before: Option<&str>) -> bool {
    let word = before.unwrap_or_default().trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_. ".contains(c);
    word.chars().all(plain) && !looks_secret(word)
}

fn words(
    text: &str,
    offset: Offset,
    wanted: impl Fn(&str) -> bool,
    found: &mut Vec<Range<Offset>>,
) {
    let mut begin = None;
    let separates = |c: char| c.is_whitespace() || "\"'[]{},=#".contains(c);
    for (at, c) in text
        .char_indices()
        .chain(std::iter::once((text.len(), ' ')))
    {
        match (begin, separates(c)) {
            (None, false) => begin = Some(at),
            (Some(from), true) => {
                if text.get(from..at).is_some_and(&wanted) {
                    found.push(offset + from..offset + at);
                }
                begin = None;
            }
            _ => {}
        }
    }
}
