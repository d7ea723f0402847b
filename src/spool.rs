//! Forms with files: fields in memory, files on disk, because the size must be told before the first byte is passed on.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aurora_sdk::{Body, BodyStream, Error};
use bytes::Bytes;
use futures_core::Stream;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use tokio::io::AsyncWriteExt as _;

use crate::disk;
use crate::keeper::Leftovers;

/// The largest field, bytes.
const MAX_FIELD: usize = 1 << 20;

/// The most parts in a form.
const MAX_PARTS: usize = 128;

/// The most of a form that no field comes of, bytes: its preamble, and the head of a part.
const MAX_UNREAD: usize = 256 * 1024;

/// How the name of a file on its way begins.
const PREFIX: &str = "aurora-upload-";

/// How long a file that a crash left behind stays.
const KEEP: Duration = Duration::from_hours(24);

/// Where files are held on their way, below `data_dir`.
pub(crate) fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("uploads")
}

/// What a crash may have left there.
pub(crate) fn leftovers(data_dir: &Path) -> Leftovers {
    Leftovers {
        folder: folder(data_dir),
        is_ours: |name| name.starts_with(PREFIX),
        keep: KEEP,
        is_locked: true,
        max_total: u64::MAX,
    }
}

/// A form whose files are on disk. Dropping it removes them.
#[derive(Debug, Default)]
pub(crate) struct Spooled {
    fields: Vec<(String, String)>,
    files: Vec<SpooledFile>,
}

/// A file of a form.
#[derive(Debug)]
pub(crate) struct SpooledFile {
    /// The part's name.
    pub(crate) field: String,
    /// The file's name, without folders.
    pub(crate) name: Option<String>,
    /// The part's media type, lower case, without parameters.
    pub(crate) content_type: Option<String>,
    /// Bytes.
    pub(crate) size: u64,
    path: tempfile::TempPath,
    /// Its lock says that somebody needs it.
    _locked: std::fs::File,
}

impl SpooledFile {
    /// Where its bytes are.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Spooled {
    /// Reads a form; its files, at most `max` bytes each, go to `folder`.
    ///
    /// # Errors
    /// 400 `invalid_content_type` or `invalid_multipart`, 413, or what broke the transfer off.
    pub(crate) async fn read(
        headers: &HeaderMap,
        body: Body,
        folder: PathBuf,
        max: u64,
    ) -> Result<Self, Error> {
        let content_type = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let boundary = multer::parse_boundary(content_type).map_err(|_| {
            Error::invalid(
                "invalid_content_type",
                "Content-Type",
                "this endpoint takes multipart/form-data, with a boundary",
            )
        })?;
        let (pieces, unread) = Pieces::of(body);
        let mut form = multer::Multipart::new(pieces, boundary);
        let mut spooled = Self::default();
        let mut parts = 0;
        while let Some(part) = form.next_field().await.map_err(of_form)? {
            unread.store(0, Ordering::Relaxed);
            parts += 1;
            if parts > MAX_PARTS {
                return Err(invalid("the form has too many parts"));
            }
            spooled.part(part, &folder, max, &unread).await?;
        }
        Ok(spooled)
    }

    async fn part(
        &mut self,
        mut part: multer::Field<'_>,
        folder: &Path,
        max: u64,
        unread: &AtomicUsize,
    ) -> Result<(), Error> {
        let field = part.name().unwrap_or_default().to_owned();
        let content_type = part
            .content_type()
            .map(|kind| kind.essence_str().to_ascii_lowercase());
        if part.file_name().is_none() && content_type.is_none() {
            let mut value = Vec::new();
            while let Some(chunk) = part.chunk().await.map_err(of_form)? {
                unread.store(0, Ordering::Relaxed);
                if value.len() + chunk.len() > MAX_FIELD {
                    return Err(invalid("a field of the form is larger than 1 MiB"));
                }
                value.extend_from_slice(&chunk);
            }
            let value = String::from_utf8(value)
                .map_err(|_| invalid("a field of the form is not UTF-8 text"))?;
            self.fields.push((field, value));
            return Ok(());
        }
        let name = part
            .file_name()
            .map(plain_name)
            .filter(|name| !name.is_empty());
        let (locked, path) = create(folder.to_owned()).await?;
        let file = locked.try_clone().map_err(Error::internal)?;
        let mut file = tokio::fs::File::from_std(file);
        let mut size = 0;
        while let Some(chunk) = part.chunk().await.map_err(of_form)? {
            unread.store(0, Ordering::Relaxed);
            size += chunk.len() as u64;
            if size > max {
                return Err(Error::too_large(max));
            }
            let written = file.write_all(&chunk).await;
            written.map_err(|error| disk::refused(folder, error))?;
        }
        let flushed = file.flush().await;
        flushed.map_err(|error| disk::refused(folder, error))?;
        self.files.push(SpooledFile {
            field,
            name,
            content_type,
            size,
            path,
            _locked: locked,
        });
        Ok(())
    }

    /// The text of a field; the last one where it comes twice.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter().rev();
        let found = fields.find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Every text of a field.
    pub(crate) fn fields(&self, name: &str) -> impl Iterator<Item = &str> {
        let fields = self.fields.iter().filter(move |(known, _)| known == name);
        fields.map(|(_, value)| value.as_str())
    }

    /// The files, in order.
    pub(crate) fn files(&self) -> &[SpooledFile] {
        &self.files
    }

    /// The first file of a field.
    pub(crate) fn file(&self, field: &str) -> Option<&SpooledFile> {
        self.files.iter().find(|file| file.field == field)
    }
}

/// A body that is given away piece by piece, and only while the reader makes something of it. By itself it would take all
/// that has come at once, and look for the end of a head or a border without end.
struct Pieces {
    stream: BodyStream,
    /// Bytes given since something was made of them.
    unread: Arc<AtomicUsize>,
    given: bool,
}

impl Pieces {
    fn of(body: Body) -> (Self, Arc<AtomicUsize>) {
        let unread = Arc::<AtomicUsize>::default();
        let pieces = Self {
            stream: body.into_stream(),
            unread: Arc::clone(&unread),
            given: false,
        };
        (pieces, unread)
    }
}

impl Stream for Pieces {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.given) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let next = ready!(self.stream.as_mut().poll_next(cx));
        if let Some(Ok(piece)) = &next {
            self.given = true;
            let before = self.unread.fetch_add(piece.len(), Ordering::Relaxed);
            if before > MAX_UNREAD {
                let message = "the form has a preamble or a part's head that is too long";
                return Poll::Ready(Some(Err(invalid(message))));
            }
        }
        Poll::Ready(next)
    }
}

async fn create(folder: PathBuf) -> Result<(std::fs::File, tempfile::TempPath), Error> {
    let place = folder.clone();
    let created = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&folder)?;
        let file = tempfile::NamedTempFile::with_prefix_in(PREFIX, &folder)?;
        // Where a file system has no locks, the file is one that anybody may sweep when it is old.
        file.as_file().try_lock().unwrap_or_default();
        Ok::<_, std::io::Error>(file)
    });
    let file = created
        .await
        .map_err(Error::internal)?
        .map_err(|error| disk::refused(&place, error))?;
    Ok(file.into_parts())
}

/// A file's name without the folders and characters that no header can carry.
fn plain_name(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = name.chars().filter(|c| !c.is_control() && *c != '"');
    plain.take(255).collect()
}

fn of_form(error: multer::Error) -> Error {
    match error {
        // What the transfer itself said tells more.
        multer::Error::StreamReadFailed(source) => match source.downcast::<Error>() {
            Ok(error) => *error,
            Err(source) => Error::internal(source),
        },
        error => invalid(&format!("the form cannot be read: {error}")),
    }
}

fn invalid(message: &str) -> Error {
    Error::invalid("invalid_multipart", "body", message)
}

/// The first bytes of a file on disk.
///
/// # Errors
/// Where the disk refuses.
pub(crate) async fn beginning(path: &Path, max: u64) -> Result<Bytes, Error> {
    use tokio::io::AsyncReadExt as _;
    let file = tokio::fs::File::open(path).await.map_err(Error::internal)?;
    let mut bytes = Vec::new();
    file.take(max)
        .read_to_end(&mut bytes)
        .await
        .map_err(Error::internal)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;

    use super::*;

    async fn read(body: &str, max: u64) -> Result<Spooled, Error> {
        let folder = tempfile::tempdir().unwrap();
        let content_type = HeaderValue::from_static("multipart/form-data; boundary=b");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type)]);
        let body = body.replace('\n', "\r\n").into_bytes();
        Spooled::read(&headers, body.into(), folder.path().join("uploads"), max).await
    }

    const FORM: &str = "--b\nContent-Disposition: form-data; name=\"purpose\"\n\nassistants\n--b\n\
        Content-Disposition: form-data; name=\"file\"; filename=\"../\u{fc}ber.pdf\"\nContent-Type: application/PDF; x=1\n\n\
        abc\n--b--\n";

    #[tokio::test]
    async fn fields_and_files_are_told_apart() {
        let form = read(FORM, 10).await.unwrap();
        let file = form.file("file").unwrap();

        assert_eq!(form.field("purpose"), Some("assistants"));
        assert_eq!(file.name.as_deref(), Some("\u{fc}ber.pdf"));
        assert_eq!(file.content_type.as_deref(), Some("application/pdf"));
        assert_eq!(file.size, 3);
        assert_eq!(form.field("file"), None);
    }

    #[tokio::test]
    async fn what_is_too_large_or_broken_is_refused() {
        assert_eq!(read(FORM, 2).await.unwrap_err().code(), "request_too_large");
        let cut = FORM.split_once("abc").unwrap().0;
        assert_eq!(read(cut, 10).await.unwrap_err().code(), "invalid_multipart");
        let plain = Spooled::read(&HeaderMap::new(), Body::empty(), PathBuf::new(), 1).await;
        assert_eq!(plain.unwrap_err().code(), "invalid_content_type");
    }

    #[tokio::test]
    async fn files_go_with_their_form() {
        let form = read(FORM, 10).await.unwrap();
        let path = form.file("file").unwrap().path().to_owned();

        drop(form);

        assert!(!path.exists());
    }
}
