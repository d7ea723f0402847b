//! What a library says of itself, read out of its file. None of its code runs.

use std::path::Path;

use aurora_sdk::Manifest;
use aurora_sdk::abi::import::is_compatible;
use aurora_sdk::abi::raw::Note;
use memchr::memmem;

use super::file::{self, Hash};
use super::note;

/// How a manifest begins, whatever stands between; it is static text in the file.
const BEGIN: &[u8] = b"{";

/// The longest manifest that is looked for, bytes.
const MAX: usize = 256 * 1024;

/// See the module.
pub(crate) struct Inspected {
    pub(crate) note: Note,
    pub(crate) hash: Hash,
    /// `None`: it is not in the file as a whole, since its code makes it.
    pub(crate) manifest: Option<Manifest>,
    /// Whether this gateway can load it, or why not.
    pub(crate) fits: Result<(), String>,
}

/// Reads the library at `path`.
///
/// # Errors
/// Why it cannot be read, or is no plugin.
pub(crate) fn inspect(path: &Path) -> Result<Inspected, String> {
    let content = file::read(path)?;
    let note = note::read(&content.bytes)?;
    Ok(Inspected {
        fits: is_compatible(&note),
        note,
        hash: content.hash,
        manifest: manifest(&content.bytes),
    })
}

/// The first thing in the file that can be read as a manifest.
fn manifest(bytes: &[u8]) -> Option<Manifest> {
    // Every manifest has these members.
    let name = memmem::Finder::new(b"\"name\"");
    let mut candidates = name.find_iter(bytes).filter_map(|at| {
        let before = bytes.get(at.saturating_sub(MAX)..at)?;
        let begin = memmem::rfind(before, BEGIN)?;
        let start = at - before.len() + begin;
        bytes.get(start..(start + MAX).min(bytes.len()))
    });
    candidates.find_map(read)
}

fn read(bytes: &[u8]) -> Option<Manifest> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<serde_json::Value>();
    let value = values.next()?.ok()?;
    // A version tells a manifest from other JSON with a name in it.
    value.get("version")?;
    Manifest::parse(&value.to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_found_in_the_midst_of_other_things() {
        let json = r#"{ "name": "hello", "version": "1.2", "options": { "type": "object" } }"#;
        let file = [
            b"\x7fELF {\"name\": 1} \0{\"name\":\"x\"}".as_slice(),
            json.as_bytes(),
            b"\0\xff{rest",
        ]
        .concat();

        let manifest = manifest(&file).unwrap();

        assert_eq!(
            (manifest.name.as_str(), manifest.version.as_str()),
            ("hello", "1.2")
        );
        assert!(super::manifest(b"\"name\" {\"name\"").is_none());
        assert!(super::manifest(b"").is_none());
    }
}
