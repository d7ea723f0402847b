//! What a request hears when the disk refuses: full, read-only, or not ours.

use std::path::{Path, PathBuf};

use aurora_sdk::{Error, ErrorKind, Origin};

/// Which place, for the log; clients learn no paths.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
struct Refused {
    path: PathBuf,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// 503 `storage_failed`: `path` could not be used.
pub(crate) fn refused(
    path: &Path,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    let refused = Refused {
        path: path.to_owned(),
        source: source.into(),
    };
    Error::new(
        ErrorKind::Unavailable,
        Origin::Gateway,
        "storage_failed",
        "the gateway cannot use its disk for this request; its log says why",
    )
    .with_source(refused)
}
