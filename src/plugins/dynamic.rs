//! Loads a library: a private copy, so that nobody changes what is mapped; all symbols at once; and never unmapped, unless its
//! author and the operator say that it can be.
#![expect(
    unsafe_code,
    reason = "one of the two places: it runs what is in a file"
)]

use std::any::Any;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::mem::ManuallyDrop;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use aurora_sdk::abi::import::{Around, Imported, is_compatible};
use aurora_sdk::abi::raw::PluginVtable;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use super::file::{Content, hex};
use super::note;

/// Where copies are, below `data_dir`.
const FOLDER: &str = ".aurora-plugins";

/// The entry function.
const ENTRY: &str = "aurora_plugin_entry_v1";

/// The folder of private copies. They go with it: what is mapped needs its file no more, but for debuggers.
#[derive(Debug)]
pub(super) struct Copies {
    folder: PathBuf,
}

impl Drop for Copies {
    fn drop(&mut self) {
        self.sweep();
        // Another process may have copies of its own there.
        std::fs::remove_dir(&self.folder).unwrap_or_default();
    }
}

/// A library that is mapped.
pub(super) struct Mapped {
    library: ManuallyDrop<Library>,
    copy: PathBuf,
    /// Whether it may go when nobody uses it.
    may_go: AtomicBool,
}

impl Mapped {
    /// It may be unmapped when nobody uses it any more.
    pub(super) fn allow_unmapping(&self) {
        self.may_go.store(true, Ordering::Relaxed);
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if !self.may_go.load(Ordering::Relaxed) {
            return;
        }
        // SAFETY: taken once, here. Nobody uses its code any more: whatever does holds this.
        let library = unsafe { ManuallyDrop::take(&mut self.library) };
        if let Err(error) = library.close() {
            tracing::warn!(
                error = error_chain(&error),
                "a plugin's library cannot be unmapped"
            );
        }
        // What stays is removed at the next start.
        std::fs::remove_file(&self.copy).unwrap_or_default();
    }
}

/// A library that has been loaded.
pub(super) struct Opened {
    pub(super) plugin: Imported,
    pub(super) mapped: Arc<Mapped>,
}

impl Copies {
    /// The folder below `data_dir`; copies of processes that are gone are removed.
    pub(super) fn new(data_dir: &Path) -> Self {
        let copies = Self {
            folder: data_dir.join(FOLDER),
        };
        copies.sweep();
        copies
    }

    fn sweep(&self) {
        for entry in std::fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name();
            let pid = name
                .to_str()
                .and_then(|name| name.split('.').nth(1)?.parse::<u32>().ok());
            let lives = pid.is_some_and(|pid| Path::new("/proc").join(pid.to_string()).exists());
            if !lives || pid == Some(std::process::id()) {
                std::fs::remove_file(entry.path()).unwrap_or_default();
            }
        }
    }

    /// Loads the library of `content`, which may be trusted.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(super) fn load(
        &self,
        content: &Content,
        around: Arc<dyn Around>,
    ) -> Result<Opened, String> {
        is_compatible(&note::read(&content.bytes)?)?;
        let copy = self.copy(content)?;
        // SAFETY: the file is what was checked: only we can write it. Its code is the operator's to trust.
        let library = unsafe { Library::open(Some(&copy), RTLD_NOW | RTLD_LOCAL) };
        let library = library.map_err(|error| {
            std::fs::remove_file(&copy).unwrap_or_default();
            refused(&error_chain(&error))
        })?;
        // From here on its code has run: it is not unmapped again, whatever happens.
        let mapped = Arc::new(Mapped {
            library: ManuallyDrop::new(library),
            copy,
            may_go: AtomicBool::new(false),
        });
        // SAFETY: the symbol is a function of this form, as the note promises.
        let entry = unsafe {
            mapped
                .library
                .get::<unsafe extern "C" fn() -> *const PluginVtable>(ENTRY)
        };
        let entry = entry.map_err(|_| format!("it has no entry function `{ENTRY}`"))?;
        // SAFETY: as above.
        let vtable = unsafe { entry() };
        let keep = Arc::clone(&mapped) as Arc<dyn Any + Send + Sync>;
        // SAFETY: the table is the library's own, which `keep` keeps.
        let plugin = unsafe { Imported::new(vtable, keep, around) }?;
        Ok(Opened { plugin, mapped })
    }

    /// Writes the bytes that were checked to a file of our own. Every copy has a name and an inode of its own: the loader takes
    /// a file that it has seen for the library that it has.
    fn copy(&self, content: &Content) -> Result<PathBuf, String> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let failed = |error: std::io::Error| {
            format!(
                "a private copy cannot be written to {}: {error}",
                self.folder.display()
            )
        };
        match DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let hash = hex(&content.hash);
        let short: String = hash.chars().take(12).collect();
        let path = self.folder.join(format!("plugin.{pid}.{count}.{short}.so"));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o500)
            .open(&path)
            .map_err(failed)?;
        file.write_all(&content.bytes).map_err(failed)?;
        Ok(path)
    }
}

/// What the system's loader says, and what it most likely means.
fn refused(what: &str) -> String {
    let hint = if what.contains("failed to map segment") {
        "; is `data_dir` on a file system that is mounted `noexec`?"
    } else if what.contains("GLIBC_") {
        "; it was built on a newer system than this one: build it on the oldest that it must run on"
    } else if what.contains("undefined symbol") {
        "; a part of it is missing: link it in"
    } else {
        ""
    };
    format!("the system cannot load it: {what}{hint}")
}

/// The error and its causes: the loader's own words are in the cause.
fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
