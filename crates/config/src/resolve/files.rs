//! Files and secrets that settings refer to.

use std::io;
use std::path::PathBuf;

use secrecy::SecretString;

use super::Resolver;
use crate::diagnostic::Problem;
use crate::document::Place;
use crate::raw::Secret;
use crate::settings::tokens::{AccountFile, AccountKind, Token};

impl Resolver<'_> {
    /// Relative paths start at the folder of aurora.toml.
    pub(crate) fn absolute(&self, written: &str) -> PathBuf {
        let folder = self.request.path.parent().unwrap_or(self.request.path);
        match written.trim_start_matches("./") {
            "" | "." => folder.to_owned(),
            written => folder.join(written),
        }
    }

    /// Content of a file that the setting at `place` names.
    pub(super) fn read(&mut self, written: &str, place: &Place) -> Option<Vec<u8>> {
        let path = self.absolute(written);
        let content = self.sources.read(&path);
        self.files.insert(path);
        match content {
            Ok(content) => Some(content),
            Err(error) => {
                self.problems.push(unreadable(written, place, &error));
                None
            }
        }
    }

    /// The lines of a token or key file: without blanks, comments and duplicates.
    pub(super) fn lines(&mut self, written: &str, place: &Place) -> Option<Vec<Token>> {
        let content = self.read(written, place)?;
        let text = self.utf8(&content, written)?;
        let mut tokens = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            let origin = format!("{written}:{}", index + 1);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match oddity(line) {
                Some(oddity) => self.problems.push(Problem::error(
                    "AUR0403",
                    Place::Nowhere,
                    format!("{origin}: {oddity}"),
                )),
                None => tokens.push(Token {
                    secret: line.into(),
                    origin,
                }),
            }
        }
        Some(tokens)
    }

    /// An account file, which need not be there.
    pub(super) fn account_file(
        &mut self,
        kind: AccountKind,
        written: &str,
        place: Place,
    ) -> Option<AccountFile> {
        let path = self.absolute(written);
        let content = self.sources.read(&path);
        self.files.insert(path.clone());
        let text = match content {
            Ok(content) => Some(self.utf8(&content, written)?.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let message = format!("account file `{}` does not exist", path.display());
                let problem = Problem::warning("AUR0909", place, message).label("no accounts here");
                self.problems.push(problem);
                None
            }
            Err(error) => {
                self.problems.push(unreadable(written, &place, &error));
                return None;
            }
        };
        Some(AccountFile { kind, path, text })
    }

    fn utf8<'c>(&mut self, content: &'c [u8], written: &str) -> Option<&'c str> {
        match std::str::from_utf8(content) {
            Ok(text) => Some(text.trim_start_matches('\u{feff}')),
            Err(error) => {
                let valid = content.get(..error.valid_up_to()).unwrap_or_default();
                let line = valid.split(|byte| *byte == b'\n').count();
                let message = format!("{written}:{line}: not UTF-8 text");
                let problem = Problem::error("AUR0403", Place::Nowhere, message);
                self.problems.push(problem.help("save the file as UTF-8"));
                None
            }
        }
    }

    /// The value of a secret that is written at `path`.
    pub(super) fn secret(&mut self, secret: &Secret, path: &[&str]) -> Option<SecretString> {
        match secret {
            Secret::Refused(_) => None,
            Secret::Text(text) => Some(text.trim().into()),
            Secret::Env { env } => {
                let path: Vec<&str> = path.iter().copied().chain(["env"]).collect();
                self.variable(env, &path).map(SecretString::from)
            }
            Secret::File { file } => {
                let path: Vec<&str> = path.iter().copied().chain(["file"]).collect();
                let place = self.places.value(&path);
                let content = self.read(file, &place)?;
                match content_as_secret(&content) {
                    Ok(secret) => Some(secret.into()),
                    Err(oddity) => {
                        let message = format!("file `{file}` {oddity}");
                        self.problems
                            .push(Problem::error("AUR0402", place, message));
                        None
                    }
                }
            }
        }
    }

    /// The value of an environment variable that the setting at `path` names.
    pub(super) fn variable(&mut self, name: &str, path: &[&str]) -> Option<String> {
        let value = self.sources.env(name);
        if value.is_none() {
            let message = format!("environment variable `{name}` is not set");
            let problem = Problem::error("AUR0401", self.places.value(path), message)
                .label("not set, or empty")
                .help("set it where Aurora is started, or keep the secret in a file");
            self.problems.push(problem);
        }
        value
    }
}

fn content_as_secret(content: &[u8]) -> Result<&str, &'static str> {
    let text = std::str::from_utf8(content).map_err(|_| "is not UTF-8 text")?;
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err("is empty, and a secret is needed");
    }
    if text.contains('\n') {
        Err("has more than one line")
    } else {
        Ok(text)
    }
}

fn oddity(line: &str) -> Option<&'static str> {
    if line.starts_with(['"', '\'', '`']) || line.ends_with(['"', '\'', '`', ',']) {
        return Some("looks like a quoted string; remove the quotes");
    }
    line.contains(char::is_whitespace)
        .then_some("contains white space; write one token a line, comments on lines of their own")
}

fn unreadable(written: &str, place: &Place, error: &io::Error) -> Problem {
    let (what, label) = match error.kind() {
        io::ErrorKind::NotFound => ("does not exist".to_owned(), "not found"),
        io::ErrorKind::IsADirectory => ("is a folder".to_owned(), "a file is needed"),
        io::ErrorKind::PermissionDenied => ("may not be read".to_owned(), "permission denied"),
        _ => (format!("cannot be read: {error}"), "unreadable"),
    };
    let problem =
        Problem::error("AUR0402", place.clone(), format!("file `{written}` {what}")).label(label);
    match error.kind() {
        io::ErrorKind::NotFound if !written.starts_with('/') => {
            problem.help("relative paths start at the folder of aurora.toml")
        }
        _ => problem,
    }
}
