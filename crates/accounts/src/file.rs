//! Token files: a token that was replaced takes the old one's place, and nothing else changes.

mod text;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

pub(crate) use text::{Replacement, is_writable};

/// Only the owner reads tokens.
const MODE: u32 = 0o600;

/// Ends the names of files under way.
const SUFFIX: &str = ".aurora";

/// A file under way that is so old was left by a crash.
const LEFT_OVER: Duration = Duration::from_mins(1);

/// A file with tokens that are written back.
#[derive(Debug)]
pub(crate) struct TokenFile {
    path: PathBuf,
    /// One change at a time.
    lock: Mutex<()>,
}

/// Why a token was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// What the file holds is not known, so it is left alone.
    #[error("the file cannot be read: {0}")]
    Read(io::Error),
    #[error("the file is not UTF-8 text")]
    NotText,
    #[error("the new token cannot stand in a line")]
    Token,
    #[error("the file cannot be written: {0}")]
    Write(io::Error),
}

impl TokenFile {
    /// A file with tokens. What a killed process left half-written beside it is removed; it holds secrets.
    pub(crate) fn new(path: PathBuf) -> Self {
        static BEGAN: LazyLock<SystemTime> = LazyLock::new(SystemTime::now);
        let began = *BEGAN;
        remove_left_overs(&path, |modified| modified < began);
        Self {
            path,
            lock: Mutex::new(()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `replacement` into the file. Blocks.
    pub(crate) fn write(&self, replacement: &Replacement<'_>) -> Result<(), WriteError> {
        if !is_writable(replacement.new) {
            return Err(WriteError::Token);
        }
        let _one = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        // A link stays a link: what it points to is replaced.
        let path = match fs::canonicalize(&self.path) {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.path.clone(),
            Err(error) => return Err(WriteError::Read(error)),
        };
        if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            // Whoever reads a pipe may wait for ever.
            return Err(WriteError::Read(io::Error::other("it is no regular file")));
        }
        let old = match fs::read(&path) {
            Ok(old) => old,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(WriteError::Read(error)),
        };
        let text = std::str::from_utf8(&old).map_err(|_| WriteError::NotText)?;
        let Some(new) = replacement.apply(text) else {
            return Ok(());
        };
        remove_left_overs(&path, |modified| {
            modified.elapsed().is_ok_and(|age| age >= LEFT_OVER)
        });
        let Err(reason) = replace_file(&path, new.as_bytes()) else {
            return Ok(());
        };
        // A single file that is mounted cannot be renamed over.
        tracing::debug!(file = %path.display(), %reason, "token file is written in place");
        write_in_place(&path, &old, new.as_bytes()).map_err(WriteError::Write)
    }
}

fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = folder(path);
    let mut file = tempfile::Builder::new()
        .prefix(&prefix(path))
        .suffix(SUFFIX)
        .permissions(fs::Permissions::from_mode(MODE))
        .tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The rename itself is on disk only with its folder; some file systems cannot do that.
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .unwrap_or_default();
    Ok(())
}

/// Never shorter than the old content while it is written: a crash in between loses at most the change.
fn write_in_place(path: &Path, old: &[u8], new: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(MODE)
        .open(path)?;
    if let Err(error) = overwrite(&mut file, new) {
        overwrite(&mut file, old).unwrap_or_default();
        return Err(error);
    }
    // The file may belong to somebody else.
    file.set_permissions(fs::Permissions::from_mode(MODE))
        .unwrap_or_default();
    Ok(())
}

fn overwrite(file: &mut File, content: &[u8]) -> io::Result<()> {
    file.rewind()?;
    file.write_all(content)?;
    file.set_len(content.len().try_into().unwrap_or(u64::MAX))?;
    file.sync_all()
}

fn remove_left_overs(path: &Path, is_old: impl Fn(SystemTime) -> bool) {
    let Ok(entries) = fs::read_dir(folder(path)) else {
        return;
    };
    let prefix = prefix(path);
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_ours = name.starts_with(&prefix) && name.ends_with(SUFFIX);
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        if is_ours && modified.is_ok_and(&is_old) {
            // Another process may have been quicker.
            fs::remove_file(entry.path()).unwrap_or_default();
        }
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    format!(".{}.", name.to_string_lossy())
}

#[cfg(test)]
mod tests;
