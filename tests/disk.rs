//! Disks that are full, files that cannot be read: a clear message, the last good state, and recovery without a restart.

mod full;
mod unreadable;

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of its own, gone with this value. Needs the right to mount.
pub(crate) struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// A file system of `size`, such as `1m`.
    pub(crate) fn new(size: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        run(
            "mount",
            &["-t", "tmpfs", "-o", &options, "tmpfs"],
            folder.path(),
        );
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves no space on it.
    pub(crate) fn fill(&self) {
        // Whatever is smaller than the last piece is taken as well.
        let file = self.filler();
        let mut all = Vec::new();
        for size in [1 << 20, 1 << 16, 1 << 12] {
            all.resize(size, b'x');
            let mut opened = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&file)
                .unwrap();
            while std::io::Write::write_all(&mut opened, &all).is_ok() {}
        }
    }

    /// Frees what [`Self::fill`] took.
    pub(crate) fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    /// Says whether it can be written to.
    pub(crate) fn writable(&self, writable: bool) {
        let mode = if writable { "remount,rw" } else { "remount,ro" };
        run("mount", &["-o", mode], self.path());
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the gateway may still hold files of it.
        run("umount", &["-l"], self.path());
    }
}

fn run(program: &str, args: &[&str], last: &Path) {
    let status = Command::new(program).args(args).arg(last).status().unwrap();
    assert!(
        status.success(),
        "{program} {args:?} (this test needs root)"
    );
}
