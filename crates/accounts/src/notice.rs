//! What to tell the operator about the files.

use std::fmt;
use std::path::PathBuf;

/// Something about a file of accounts; never a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1; `None` for the file as a whole.
    pub line: Option<usize>,
    /// Whether somebody should look at it.
    pub is_warning: bool,
    /// What it is.
    pub message: String,
}

impl Notice {
    pub(crate) fn warning(path: PathBuf, line: usize, message: impl Into<String>) -> Self {
        Self {
            path,
            line: Some(line),
            is_warning: true,
            message: message.into(),
        }
    }

    pub(crate) fn count(path: PathBuf, message: String) -> Self {
        Self {
            path,
            line: None,
            is_warning: false,
            message,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}
