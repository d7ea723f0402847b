//! The change of a token file's text.

/// What changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replacement<'a> {
    /// The token that goes.
    pub(crate) old: &'a str,
    /// The token that comes.
    pub(crate) new: &'a str,
    /// The workspaces that get a line at the end when neither token is there.
    pub(crate) append: &'a [Option<String>],
}

/// Whether a line of a token file can hold `token`: another one would be read back as something else.
pub(crate) fn is_writable(token: &str) -> bool {
    !token.is_empty()
        && !token.starts_with('#')
        && token
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b':')
}

impl Replacement<'_> {
    /// The new text; `None` when there is nothing to change.
    ///
    /// Every line with the old token changes, since a token can stand there once for each workspace.
    pub(crate) fn apply(&self, text: &str) -> Option<String> {
        let mut out = String::with_capacity(text.len() + self.new.len());
        let (mut replaced, mut is_there) = (false, false);
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let token = token(line, index == 0);
            is_there |= token == Some(self.new);
            match token {
                Some(token) if token == self.old => {
                    // Nothing but blanks stands before the token.
                    out.push_str(&line.replacen(token, self.new, 1));
                    replaced = true;
                }
                _ => out.push_str(line),
            }
        }
        if replaced {
            return (self.old != self.new).then_some(out);
        }
        if is_there || self.append.is_empty() {
            return None;
        }
        let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        if !out.is_empty() && !out.ends_with('\n') {
            out.push_str(end);
        }
        for team in self.append {
            out.push_str(self.new);
            if let Some(team) = team {
                out.push(':');
                out.push_str(team);
            }
            out.push_str(end);
        }
        Some(out)
    }
}

/// The token of a line, as `aurora_chatgpt::credential::lines` reads it.
fn token(line: &str, is_first: bool) -> Option<&str> {
    let line = if is_first {
        line.trim_start_matches('\u{feff}')
    } else {
        line
    };
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let token = line.split_once(':').map_or(line, |(token, _)| token).trim();
    (!token.is_empty()).then_some(token)
}
