//! Library files: read when they are at rest, and by nobody else's hand.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::OFlags;
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

/// The largest library that is read, bytes.
const MAX_FILE: u64 = 512 * 1024 * 1024;

/// A file is at rest when it has not changed for this long.
const REST: Duration = Duration::from_millis(200);

/// How long a file that goes on changing is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// A link is refused, and a pipe does not hold us.
const FLAGS: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// What a change of a file changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
    mode: u32,
    owner: u32,
}

impl Stamp {
    /// Of the file at `path` as it is now.
    pub(super) fn of(path: &Path) -> Option<Self> {
        path.symlink_metadata()
            .ok()
            .map(|metadata| Self::read(&metadata))
    }

    fn read(metadata: &Metadata) -> Self {
        Self {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            inode: metadata.ino(),
            mode: metadata.mode(),
            owner: metadata.uid(),
        }
    }

    /// The same content, as far as can be told from outside.
    fn is_at_rest(&self, other: &Self) -> bool {
        let age = self
            .modified
            .and_then(|modified| SystemTime::now().duration_since(modified).ok());
        // A time in the future says nothing.
        self == other && age.is_none_or(|age| age >= REST)
    }
}

/// A library file as it was read.
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    pub(super) hash: Hash,
    pub(super) metadata: Metadata,
}

/// Reads the file at `path` once it is at rest.
///
/// # Errors
/// Why it cannot be used.
pub(super) fn read(path: &Path) -> Result<Content, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let file = open(path)?;
        let metadata = file.metadata().map_err(|error| error.to_string())?;
        check_form(&metadata)?;
        let before = Stamp::read(&metadata);
        if before.is_at_rest(&before) || Instant::now() >= deadline {
            let mut bytes = Vec::new();
            let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
            read.map_err(|error| format!("it cannot be read: {error}"))?;
            let after = Stamp::of(path);
            if after.is_some_and(|after| after == before) && bytes.len() as u64 == before.length {
                let hash = Sha256::digest(&bytes).into();
                return Ok(Content {
                    bytes,
                    hash,
                    metadata,
                });
            }
            if Instant::now() >= deadline {
                return Err(
                    "it changes all the time: replace it by renaming a whole file over it"
                        .to_owned(),
                );
            }
        }
        // On a thread of its own, and bounded.
        #[expect(clippy::disallowed_methods, reason = "this thread may block")]
        std::thread::sleep(REST / 4);
    }
}

fn open(path: &Path) -> Result<File, String> {
    let flags = FLAGS.bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    opened.map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::LOOP) => {
            "it is a symbolic link: put the file itself into the plugin folder".to_owned()
        }
        _ => format!("it cannot be opened: {error}"),
    })
}

fn check_form(metadata: &Metadata) -> Result<(), String> {
    if !metadata.is_file() {
        return Err("it is no regular file".to_owned());
    }
    if metadata.len() > MAX_FILE {
        return Err(format!(
            "it has {} bytes, more than the {MAX_FILE} that are read",
            metadata.len()
        ));
    }
    if metadata.len() == 0 {
        return Err("it is empty".to_owned());
    }
    Ok(())
}

/// The libraries directly in `folder`, sorted. No folder: none.
pub(super) fn libraries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| is_library(path))
        .collect();
    paths.sort();
    paths
}

/// Whether a file of that name is looked at: what editors and `cargo` write beside it is not.
pub(crate) fn is_library(path: &Path) -> bool {
    let is_hidden = path
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let extension = path.extension().and_then(|extension| extension.to_str());
    !is_hidden && matches!(extension, Some("so" | "dylib" | "dll"))
}

/// A hash as people write it.
pub(crate) fn hex(hash: &Hash) -> String {
    use std::fmt::Write as _;
    hash.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_a_folder_a_pipe_and_nothing_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("real.so"), "x").unwrap();
        std::fs::write(at("empty.so"), "").unwrap();
        std::os::unix::fs::symlink("real.so", at("link.so")).unwrap();
        std::fs::create_dir(at("folder.so")).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(at("pipe.so"))
            .status()
            .unwrap();
        assert!(made.success());
        let sparse = File::create(at("sparse.so")).unwrap();
        sparse.set_len(2 << 30).unwrap();
        let table = [
            ("link.so", "symbolic link"),
            ("folder.so", "no regular file"),
            ("pipe.so", "no regular file"),
            ("empty.so", "empty"),
            ("gone.so", "cannot be opened"),
            ("sparse.so", "more than"),
        ];
        for (name, part) in table {
            let error = read(&at(name)).err().unwrap();
            assert!(error.contains(part), "{name}: {error}");
        }
        assert_eq!(read(&at("real.so")).unwrap().bytes, b"x");
    }

    #[test]
    fn only_libraries_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "b.so",
            "a.so",
            ".hidden.so",
            "c.txt",
            "d.so.minisig",
            "noext",
        ] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        let names: Vec<_> = libraries(folder.path())
            .iter()
            .map(|path| path.file_name().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["a.so", "b.so"]);
        assert!(libraries(Path::new("/nonexistent")).is_empty());
    }
}
