//! Generated pictures, kept for a day and shown to whoever holds their signed link.
//!
//! An upstream's own links need its account's token, so no client could open them; browsers that show a link have no key
//! of the gateway either. The signature is what lets them in.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aurora_sdk::{Body, Error, ErrorKind, Origin, Response, State as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::stream;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::disk;
use crate::keeper::Leftovers;
use crate::store::ScopedStore;

/// Where pictures are shown.
pub(crate) const PATH: &str = "/_aurora/pictures/";

/// How long a link holds.
const KEEP: Duration = Duration::from_hours(24);

/// How long the key that signs is kept; every new link keeps it longer.
const KEEP_KEY: Duration = Duration::from_hours(24 * 365);

/// All pictures together, bytes; the oldest go first.
const MAX_TOTAL: u64 = 1 << 30;

/// How the name of a picture begins that is not complete.
const UNFINISHED: &str = ".aurora-new-";

/// Pieces in which a picture is sent.
const PIECE: usize = 64 * 1024;

/// The types that are shown, with the extension of their files.
const TYPES: [(&str, &str); 4] = [
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
];

/// The pictures of one data folder.
#[derive(Debug)]
pub(crate) struct Gallery {
    folder: PathBuf,
    store: ScopedStore,
    key: OnceCell<Vec<u8>>,
}

/// A picture that is being written. Dropped before its end, nothing stays.
#[derive(Debug)]
pub(crate) struct NewPicture {
    file: tokio::fs::File,
    path: tempfile::TempPath,
    kept_as: PathBuf,
    name: String,
}

impl Gallery {
    /// The gallery below `data_dir`; its key is kept in `store`.
    pub(crate) fn new(data_dir: &Path, store: ScopedStore) -> Self {
        Self {
            folder: data_dir.join("pictures"),
            store,
            key: OnceCell::new(),
        }
    }

    /// Begins to keep a picture of `content_type`.
    ///
    /// # Errors
    /// Where the type is not shown, or the disk refuses.
    pub(crate) async fn begin(&self, content_type: &str) -> Result<NewPicture, Error> {
        let extension = TYPES
            .iter()
            .find(|(_, known)| *known == content_type)
            .map(|(extension, _)| *extension)
            .ok_or_else(|| Error::internal(format!("`{content_type}` is no picture")))?;
        let name = format!("{}.{extension}", Uuid::new_v4().simple());
        let (folder, kept_as) = (self.folder.clone(), self.folder.join(&name));
        let begun = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&folder)?;
            tempfile::NamedTempFile::with_prefix_in(UNFINISHED, &folder)
        });
        let (file, path) = begun
            .await
            .map_err(Error::internal)?
            .map_err(|error| disk::refused(&self.folder, error))?
            .into_parts();
        Ok(NewPicture {
            file: tokio::fs::File::from_std(file),
            path,
            kept_as,
            name,
        })
    }

    /// The link to a kept picture, below `origin` (`scheme://host`).
    ///
    /// # Errors
    /// Where the key cannot be read or kept.
    pub(crate) async fn link(&self, origin: &str, name: &str) -> Result<String, Error> {
        let until = (SystemTime::now() + KEEP)
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let signature =
            URL_SAFE_NO_PAD.encode(self.mac(name, until).await?.finalize().into_bytes());
        let origin = origin.trim_end_matches('/');
        Ok(format!(
            "{origin}{PATH}{name}?expires={until}&signature={signature}"
        ))
    }

    /// The picture that a link shows.
    ///
    /// # Errors
    /// 403 `invalid_link` where the signature is wrong or the time is over, 404 where the picture is gone.
    pub(crate) async fn show(&self, name: &str, query: &str) -> Result<Response, Error> {
        let value = |key: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .find(|(known, _)| *known == key)
                .map(|(_, value)| value)
        };
        let until: Option<u64> = value("expires").and_then(|text| text.parse().ok());
        let signature = value("signature").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let (Some(until), Some(signature)) = (until, signature) else {
            return Err(invalid_link());
        };
        let is_right = self
            .mac(name, until)
            .await?
            .verify_slice(&signature)
            .is_ok();
        if !is_right || SystemTime::now() > UNIX_EPOCH + Duration::from_secs(until) {
            return Err(invalid_link());
        }
        let content_type = name
            .rsplit_once('.')
            .and_then(|(_, extension)| TYPES.iter().find(|(known, _)| *known == extension))
            .map_or("application/octet-stream", |(_, content_type)| content_type);
        // The signature covers the name, so it is one of ours and no path.
        let file = tokio::fs::File::open(self.folder.join(name)).await;
        let file = file.map_err(|_| gone())?;
        let length = file.metadata().await.map_err(Error::internal)?.len();
        let headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static(content_type)),
            (CONTENT_LENGTH, HeaderValue::from(length)),
            (
                CACHE_CONTROL,
                HeaderValue::from_static("private, max-age=3600"),
            ),
            (
                HeaderName::from_static("x-content-type-options"),
                HeaderValue::from_static("nosniff"),
            ),
        ]);
        let pieces = stream::try_unfold(file, async |mut file| {
            let mut piece = vec![0; PIECE];
            let read = file.read(&mut piece).await.map_err(Error::internal)?;
            piece.truncate(read);
            Ok((read > 0).then(|| (Bytes::from(piece), file)))
        });
        Ok(Response {
            status: StatusCode::OK,
            headers: headers.into(),
            body: Body::stream(Box::pin(pieces), Some(length)),
        })
    }

    /// What of its folder goes when it is too old or too much.
    pub(crate) fn leftovers(&self) -> Leftovers {
        Leftovers {
            folder: self.folder.clone(),
            is_ours,
            keep: KEEP,
            is_locked: false,
            max_total: MAX_TOTAL,
        }
    }

    async fn mac(&self, name: &str, until: u64) -> Result<Hmac<Sha256>, Error> {
        let key = self.key.get_or_try_init(|| self.key()).await?;
        let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(Error::internal)?;
        mac.update(format!("{until}/{name}").as_bytes());
        Ok(mac)
    }

    /// The key that signs: made once, the same after a restart.
    async fn key(&self) -> Result<Vec<u8>, Error> {
        let key = match self.store.get("key").await? {
            Some(key) if key.len() == 32 => key,
            _ => {
                let mut key = Uuid::new_v4().into_bytes().to_vec();
                key.extend(Uuid::new_v4().into_bytes());
                Bytes::from(key)
            }
        };
        self.store.put("key", key.clone(), KEEP_KEY).await?;
        Ok(key.into())
    }
}

impl NewPicture {
    /// More of it.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.file.write_all(bytes).await;
        written.map_err(|error| disk::refused(&self.kept_as, error))
    }

    /// It is complete: gives the name to link to.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(crate) async fn keep(mut self) -> Result<String, Error> {
        let flushed = self.file.flush().await;
        flushed.map_err(|error| disk::refused(&self.kept_as, error))?;
        let (path, kept_as) = (self.path, self.kept_as);
        tokio::task::spawn_blocking(move || path.persist(kept_as))
            .await
            .map_err(Error::internal)?
            .map_err(Error::internal)?;
        Ok(self.name)
    }
}

/// A name that this gallery gives: the folder may hold an operator's own pictures, too.
fn is_ours(name: &str) -> bool {
    if name.starts_with(UNFINISHED) {
        return true;
    }
    let Some((stem, extension)) = name.rsplit_once('.') else {
        return false;
    };
    let is_id = stem.len() == 32 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id && TYPES.iter().any(|(known, _)| *known == extension)
}

fn invalid_link() -> Error {
    Error::new(
        ErrorKind::Forbidden,
        Origin::Downstream,
        "invalid_link",
        "this link to a picture is not valid or not valid any more; links hold for a day",
    )
}

fn gone() -> Error {
    Error::new(
        ErrorKind::NotFound,
        Origin::Downstream,
        "not_found",
        "this picture is not kept any more",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    async fn kept(gallery: &Gallery) -> String {
        let mut picture = gallery.begin("image/png").await.unwrap();
        picture.write(b"\x89PNG").await.unwrap();
        picture.keep().await.unwrap()
    }

    fn split(link: &str) -> (&str, &str) {
        let rest = link.split_once(PATH).unwrap().1;
        rest.split_once('?').unwrap()
    }

    #[tokio::test]
    async fn a_link_shows_its_picture_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::in_memory();
        let gallery = Gallery::new(folder.path(), store.scoped("gallery"));
        let (one, two) = (kept(&gallery).await, kept(&gallery).await);

        let link = gallery.link("http://h:1/", &one).await.unwrap();
        assert!(link.starts_with(&format!("http://h:1{PATH}{one}?")));
        let (name, query) = split(&link);
        let shown = gallery.show(name, query).await.unwrap();
        assert_eq!(&shown.body.read_all(100).await.unwrap()[..], b"\x89PNG");

        for (name, query) in [
            (two.as_str(), query.to_owned()),
            (name, query.replace("expires=", "expires=9")),
            (name, query.replace("signature=", "signature=A")),
            (name, String::new()),
            ("../aurora.redb", query.to_owned()),
        ] {
            let error = gallery.show(name, &query).await.unwrap_err();
            assert_eq!(error.code(), "invalid_link", "{name} {query}");
        }
    }

    #[tokio::test]
    async fn links_hold_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::in_memory();
        let before = Gallery::new(folder.path(), store.scoped("gallery"));
        let name = kept(&before).await;
        let link = before.link("http://h", &name).await.unwrap();

        let after = Gallery::new(folder.path(), store.scoped("gallery"));
        let (name, query) = split(&link);

        assert_eq!(after.show(name, query).await.unwrap().status, 200);
    }

    #[tokio::test]
    async fn what_was_broken_off_does_not_stay() {
        let folder = tempfile::tempdir().unwrap();
        let gallery = Gallery::new(folder.path(), Store::in_memory().scoped("gallery"));

        let mut picture = gallery.begin("image/png").await.unwrap();
        picture.write(b"half").await.unwrap();
        drop(picture);

        assert_eq!(
            std::fs::read_dir(folder.path().join("pictures"))
                .unwrap()
                .count(),
            0
        );
        assert!(gallery.begin("text/html").await.is_err());
    }

    #[test]
    fn names_that_others_gave_are_not_ours() {
        for name in [
            "holiday.png",
            "0123.png",
            "a.b",
            "noext",
            &format!("{}.txt", "a".repeat(32)),
        ] {
            assert!(!is_ours(name), "{name}");
        }
        assert!(is_ours(&format!("{}.png", "0a".repeat(16))) && is_ours(".aurora-new-x"));
    }
}
