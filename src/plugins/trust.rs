//! Which libraries may be loaded. A plugin is trusted code: this is about whose code it is, not about what it may do.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use aurora_config::Trust;
use minisign_verify::{PublicKey, Signature};

use super::file::{Content, hex};

/// Writable by the group, or by others.
const WRITABLE: u32 = 0o022;

/// The sticky bit: in such a folder only owners replace their files.
const STICKY: u32 = 0o1000;

/// Whether the library at `path` may be loaded.
///
/// # Errors
/// Why not, and what to do.
pub(super) fn check(path: &Path, content: &Content, trust: &Trust) -> Result<(), String> {
    match trust {
        Trust::OwnerCheck => {
            check_owner(&content.metadata, "it")?;
            check_folders(path)
        }
        Trust::AllowList(allowed) if allowed.contains(&content.hash) => Ok(()),
        Trust::AllowList(_) => Err(format!(
            "its SHA-256 is not in `allow` of [plugins]; to let it in, add \"sha256:{}\"",
            hex(&content.hash)
        )),
        Trust::Signature(keys) => check_signature(path, &content.bytes, keys),
        Trust::Unreadable => Err("[plugins] cannot be read, so nothing new is loaded".to_owned()),
    }
}

/// Who can write a file can run code in this process.
fn check_owner(metadata: &Metadata, what: &str) -> Result<(), String> {
    let (owner, us) = (metadata.uid(), effective_user());
    if owner != 0 && owner != us {
        return Err(format!(
            "{what} belongs to user {owner}, and may belong to root or to the user that Aurora runs as ({us}) only: `chown` it"
        ));
    }
    let mode = metadata.mode();
    let is_shared_folder = metadata.is_dir() && mode & STICKY != 0;
    if mode & WRITABLE != 0 && !is_shared_folder {
        return Err(format!(
            "{what} can be written by others than its owner (mode {:04o}): `chmod go-w` it",
            mode & 0o7777
        ));
    }
    Ok(())
}

fn check_folders(path: &Path) -> Result<(), String> {
    let absolute = path
        .canonicalize()
        .map_err(|error| format!("its folder cannot be read: {error}"))?;
    for folder in absolute.ancestors().skip(1) {
        let metadata = folder
            .metadata()
            .map_err(|error| format!("its folder cannot be read: {error}"))?;
        check_owner(&metadata, &format!("the folder {}", folder.display()))?;
    }
    Ok(())
}

fn effective_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn check_signature(path: &Path, bytes: &[u8], keys: &[String]) -> Result<(), String> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".minisig");
    let beside = Path::new(&beside);
    let name = beside.file_name().unwrap_or_default().display();
    let signature = std::fs::read_to_string(beside).map_err(|error| {
        format!("its signature `{name}` cannot be read: {error}; `minisign -S` makes one")
    })?;
    let signature = Signature::decode(&signature)
        .map_err(|error| format!("its signature `{name}` cannot be read: {error}"))?;
    let keys = keys
        .iter()
        .filter_map(|key| PublicKey::from_base64(key).ok());
    let verified = keys
        .into_iter()
        .any(|key| key.verify(bytes, &signature, false).is_ok());
    if verified {
        return Ok(());
    }
    Err(format!(
        "its signature `{name}` is not by any of `public_keys` of [plugins] over this very file"
    ))
}
