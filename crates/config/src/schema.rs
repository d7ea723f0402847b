//! What aurora.toml may say: one table of keys that drives the checks, the defaults, the environment and the JSON Schema.

pub(crate) mod check;
mod json;
pub(crate) mod keys;
pub(crate) mod words;

pub use json::schema;

/// A table with a fixed set of keys.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) keys: &'static [Key],
    /// What members with other names must be; `None` refuses them.
    pub(crate) rest: Option<&'static Kind>,
}

/// One setting.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The default as an environment variable would give it; `"{}"` makes a table of defaults.
    pub(crate) default: Option<&'static str>,
    pub(crate) required: bool,
    /// Upstream protocols that have this setting; empty for all.
    pub(crate) only: &'static [&'static str],
    pub(crate) doc: &'static str,
}

/// What a value must be.
#[derive(Debug)]
pub(crate) enum Kind {
    Bool,
    Integer {
        min: i64,
        max: i64,
    },
    Number {
        min: f64,
        max: f64,
    },
    /// Any text that is not empty.
    Text,
    Path,
    /// Absolute time: TOML date or date-time, or RFC 3339 text.
    Moment,
    Duration,
    /// A duration or `"off"`.
    DurationOrOff,
    Size,
    /// A URL with one of these schemes and no credentials in it.
    Url(&'static [&'static str]),
    /// A URL with one of these schemes, or `{ env = ".." }`.
    Proxy(&'static [&'static str]),
    Word(&'static [&'static str]),
    Address,
    RoutePath,
    Method,
    Header,
    Origin,
    Variable,
    Sha256,
    /// `sha256:` and 64 hexadecimal digits.
    Digest,
    /// A minisign public key.
    PublicKey,
    /// The name of a file, without a folder.
    FileName,
    /// Text, `{ env = ".." }` or `{ file = ".." }`.
    Secret,
    /// A secret, or a table of this section.
    SecretOr(&'static Section),
    /// Text, or a table of this section.
    TextOr(&'static Section),
    List(&'static Kind),
    OneOrMany(&'static Kind),
    Table(&'static Section),
    /// Tables with names of the user's choice.
    Named(&'static Section),
    /// Text by name.
    Map,
    /// A table that somebody else will check.
    Free,
    /// Any value, which somebody else will check; only as [`Section::rest`].
    Any,
}

impl Section {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.keys.iter().map(|key| key.name).collect()
    }
}

/// The word of `candidates` that `word` is most likely a misspelling of: at most a third of it differs.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let lower = word.to_lowercase();
    let limit = word.chars().count().max(3) / 3;
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::osa_distance(&lower, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_a_word_may_differ() {
        assert_eq!(nearest("idel", ["connect", "idle"]), Some("idle"));
        assert_eq!(nearest("Listen", ["listen"]), Some("listen"));
        assert_eq!(nearest("opnai", ["mock", "openai"]), Some("openai"));
        assert_eq!(nearest("xyz", ["connect", "idle"]), None);
    }
}
