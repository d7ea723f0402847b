//! `[tokens.NAME]`.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// `[tokens.NAME]`: upstream credentials.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// What kind of credentials these are and the credentials themselves.
    pub source: TokenSource,
    /// `strategy`. Default round robin.
    pub strategy: Strategy,
    /// `cooldown`: rest after a failure that gives no time of its own. Default 60 s.
    pub cooldown: Duration,
    /// `probe_dead`: when a dead token is tried again. Default 10 min.
    pub probe_dead: Duration,
}

/// Where the tokens of a pool come from.
#[derive(Debug, Clone)]
pub enum TokenSource {
    /// `file`, `env` or `values`: plain API keys, in order, without blanks and comments.
    Keys(Vec<Token>),
    /// `access`, `refresh`, `session`, `device`: the ChatGPT account files that are named, in this order.
    ChatGpt {
        /// The files.
        files: Vec<AccountFile>,
    },
}

/// A file with ChatGPT credentials, one a line.
#[derive(Debug, Clone)]
pub struct AccountFile {
    /// What its lines are.
    pub kind: AccountKind,
    /// Where it is, absolute.
    pub path: PathBuf,
    /// What it holds; `None` when it is not there.
    pub text: Option<SecretString>,
}

/// What the lines of an account file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccountKind {
    /// `access`: access tokens.
    Access,
    /// `refresh`: refresh tokens.
    Refresh,
    /// `session`: session tokens.
    Session,
    /// `device`: device ids.
    Device,
}

impl AccountKind {
    /// The setting that names such a file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
            Self::Session => "session",
            Self::Device => "device",
        }
    }
}

/// One upstream credential.
#[derive(Debug, Clone)]
pub struct Token {
    /// The credential.
    pub secret: SecretString,
    /// Where it was written, such as `openai_keys.txt:3` or `OPENAI_API_KEY`; never the credential.
    pub origin: String,
}

/// How a pool picks among usable tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one with the fewest requests under way.
    LeastBusy,
    /// The first usable one, until it fails.
    Sticky,
}
