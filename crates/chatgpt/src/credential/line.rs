//! Lines of token files.

use secrecy::SecretString;

use super::claims::{AccountKey, Claims};

/// A token with the workspace beside it.
#[derive(Debug, Clone)]
pub struct Line {
    /// Where it stands, from 1.
    pub number: usize,
    /// The token.
    pub token: SecretString,
    /// The workspace.
    pub team: Option<String>,
}

/// Reads a token file: one `token` or `token:team` a line.
///
/// Blank lines, lines that begin with `#`, blanks around, CRLF and a byte-order mark are skipped over; the first `:`
/// parts token and team.
pub fn lines(file: &str) -> Vec<Line> {
    let file = file.trim_start_matches('\u{feff}');
    let lines = file.lines().enumerate().filter_map(|(index, line)| {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let (token, team) = line.split_once(':').unwrap_or((line, ""));
        let (token, team) = (token.trim(), team.trim());
        (!token.is_empty()).then(|| Line {
            number: index + 1,
            token: token.to_owned().into(),
            team: (!team.is_empty()).then(|| team.to_owned()),
        })
    });
    lines.collect()
}

/// The lines without repeated accounts, in order; of two tokens of one account the one that lasts longer stays.
pub fn distinct(lines: Vec<Line>) -> Vec<Line> {
    let mut kept: Vec<(AccountKey, u64, Line)> = Vec::new();
    for line in lines {
        let key = AccountKey::of(&line.token, line.team.as_deref());
        let expires = Claims::read(&line.token).and_then(|claims| claims.expires_at);
        let expires = expires.unwrap_or(0);
        match kept.iter_mut().find(|(known, _, _)| *known == key) {
            Some(known) if known.1 < expires => *known = (key, expires, line),
            Some(_) => {}
            None => kept.push((key, expires, line)),
        }
    }
    kept.into_iter().map(|(_, _, line)| line).collect()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    use super::*;

    fn read(lines: &[Line]) -> Vec<(usize, &str, Option<&str>)> {
        let lines = lines.iter();
        lines
            .map(|line| {
                (
                    line.number,
                    line.token.expose_secret(),
                    line.team.as_deref(),
                )
            })
            .collect()
    }

    #[test]
    fn lines_are_read_leniently() {
        let file = "\u{feff}# mine\r\n\r\n  one \r\ntwo:team-a\nthree:\n:lost\n #x\nfour:a:b";

        let lines = lines(file);

        let expected = [
            (3, "one", None),
            (4, "two", Some("team-a")),
            (5, "three", None),
            (8, "four", Some("a:b")),
        ];
        assert_eq!(read(&lines), expected);
        assert!(!format!("{lines:?}").contains("three"));
    }

    #[test]
    fn one_account_counts_once_and_its_longer_token_stays() {
        let token = |user: &str, expires: u64| {
            let payload =
                json!({"exp": expires, "https://api.openai.com/auth": {"chatgpt_user_id": user}});
            format!(
                "eyJ.{}.{expires}",
                URL_SAFE_NO_PAD.encode(payload.to_string())
            )
        };
        let (old, new, other) = (token("u", 1), token("u", 9), token("v", 1));
        let file = format!("{old}\n{other}\n{new}\n{old}:team\nplain\nplainer\nplain");

        let kept = distinct(lines(&file));

        let numbers: Vec<usize> = kept.iter().map(|line| line.number).collect();
        assert_eq!(numbers, [3, 2, 4, 5, 6]);
    }
}
