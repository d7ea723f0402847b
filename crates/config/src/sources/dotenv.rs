//! `.env` files: `KEY=VALUE` lines with comments, quotes and `export `.

use std::collections::BTreeMap;

/// The variables of a `.env` text; lines that are not `NAME=value` are skipped, the last of two wins.
pub(super) fn parse(text: &str) -> BTreeMap<String, String> {
    text.trim_start_matches('\u{feff}')
        .lines()
        .filter_map(line)
        .collect()
}

fn line(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        return None;
    }
    Some((name.to_owned(), unquote(value.trim())))
}

fn unquote(value: &str) -> String {
    if let Some((inner, _)) = value
        .strip_prefix('\'')
        .and_then(|rest| rest.split_once('\''))
    {
        return inner.to_owned();
    }
    if let Some(rest) = value.strip_prefix('"') {
        return double_quoted(rest);
    }
    // A `#` begins a comment only after white space: keys and URLs may contain it.
    let end = value
        .char_indices()
        .zip(std::iter::once(' ').chain(value.chars()))
        .find(|((_, c), before)| *c == '#' && before.is_whitespace())
        .map_or(value.len(), |((at, _), _)| at);
    value.get(..end).unwrap_or(value).trim_end().to_owned()
}

fn double_quoted(rest: &str) -> String {
    let mut out = String::new();
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_comments_and_export_are_understood() {
        let text = "\u{feff}# note\r\nexport A=1\nB = \"two # \\\"x\\\"\" # c\nC='$x'\nD=a#b # c\n\nbroken\n9 x=1\nE=\n";

        let variables = parse(text);

        let get = |name: &str| variables.get(name).map(String::as_str);
        assert_eq!(get("A"), Some("1"));
        assert_eq!(get("B"), Some("two # \"x\""));
        assert_eq!(get("C"), Some("$x"));
        assert_eq!(get("D"), Some("a#b"));
        assert_eq!(get("E"), Some(""));
        assert_eq!(variables.len(), 5);
    }
}
