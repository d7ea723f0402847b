//! The only way this crate reaches the world: environment variables and files.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

mod dotenv;

/// The largest file that is read, bytes; far more than any list of tokens.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Environment and files as a configuration sees them.
pub trait Sources {
    /// Value of an environment variable; `None` when unset. An empty value counts as unset.
    fn env(&self, name: &str) -> Option<String>;

    /// Names of all environment variables.
    fn env_names(&self) -> Vec<String>;

    /// Content of a file.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Files that the environment itself came from, such as `.env`; to be watched.
    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// The real environment and the real file system.
#[derive(Debug, Clone, Default)]
pub struct System {
    dotenv: Dotenv,
}

#[derive(Clone, Default)]
struct Dotenv {
    path: Option<PathBuf>,
    variables: BTreeMap<String, String>,
}

impl std::fmt::Debug for Dotenv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dotenv")
            .field("path", &self.path)
            .field("names", &self.variables.keys())
            .finish()
    }
}

impl System {
    /// The process environment alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// The process environment over the `KEY=VALUE` lines of the file at `path`, which need not exist.
    ///
    /// The file is read once, here: build a new `System` for every reload.
    pub fn with_dotenv(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let text = read_file(&path).unwrap_or_default();
        let variables = dotenv::parse(&String::from_utf8_lossy(&text));
        Self {
            dotenv: Dotenv {
                path: Some(path),
                variables,
            },
        }
    }
}

impl Sources for System {
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name)
            .ok()
            .or_else(|| self.dotenv.variables.get(name).cloned())
            .filter(|value| !value.is_empty())
    }

    fn env_names(&self) -> Vec<String> {
        let process = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let mut names: Vec<String> = process
            .chain(self.dotenv.variables.keys().cloned())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        read_file(path)
    }

    fn files(&self) -> Vec<PathBuf> {
        self.dotenv.path.iter().cloned().collect()
    }
}

/// Reads a regular file. Whoever reads a pipe waits until somebody writes, which may be never, and a device may have no end.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is a pipe, a socket or a device"));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::other("it is larger than 64 MiB"));
    }
    Ok(bytes)
}

/// An environment and files held in memory.
#[derive(Clone, Default)]
pub struct Memory {
    variables: BTreeMap<String, String>,
    files: BTreeMap<PathBuf, Vec<u8>>,
    folders: Vec<PathBuf>,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory")
            .field("variables", &self.variables.keys())
            .field("files", &self.files.keys())
            .field("folders", &self.folders)
            .finish()
    }
}

impl Memory {
    /// Nothing set, no files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets the variables of a `.env` text.
    #[must_use]
    pub fn dotenv(mut self, text: &str) -> Self {
        self.variables.extend(dotenv::parse(text));
        self
    }

    /// Adds a file.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), content.into());
        self
    }

    /// Adds a folder, which cannot be read as a file.
    #[must_use]
    pub fn folder(mut self, path: impl Into<PathBuf>) -> Self {
        self.folders.push(path.into());
        self
    }
}

impl Sources for Memory {
    fn env(&self, name: &str) -> Option<String> {
        self.variables
            .get(name)
            .filter(|value| !value.is_empty())
            .cloned()
    }

    fn env_names(&self) -> Vec<String> {
        self.variables.keys().cloned().collect()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if self.folders.iter().any(|folder| folder == path) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        self.files
            .get(path)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dotenv_file_is_read_and_watched() {
        let folder = std::env::temp_dir().join(format!("aurora-config-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(".env");
        std::fs::write(&path, "AURORA_TEST_ONLY=1\nPATH=nonsense\n").unwrap();

        let system = System::with_dotenv(&path);

        assert_eq!(system.env("AURORA_TEST_ONLY").as_deref(), Some("1"));
        assert_ne!(system.env("PATH").as_deref(), Some("nonsense"));
        assert!(system.env_names().contains(&"AURORA_TEST_ONLY".to_owned()));
        assert_eq!(system.files(), std::slice::from_ref(&path));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
