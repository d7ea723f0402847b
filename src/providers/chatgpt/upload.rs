//! A file on its way to the service: told, put into the blob store, confirmed, indexed.

use std::path::PathBuf;
use std::time::Duration;

use aurora_accounts::Lease;
use aurora_chatgpt::fault::{FaultKind, redact};
use aurora_chatgpt::request::Attachment;
use aurora_chatgpt::upload::{self, UseCase};
use aurora_sdk::{Body, Error, ErrorKind, Origin};
use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use url::Url;

use super::failure::Failure;
use super::turn::unexpected;
use super::web::{Ask, Web};

/// How often, and how long apart, it is asked whether a document is indexed.
const INDEX_TRIES: u32 = 30;
const INDEX_GAP: Duration = Duration::from_secs(1);

/// Pieces in which a file on disk is sent.
const PIECE: usize = 64 * 1024;

/// A file to upload.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) name: String,
    pub(super) mime_type: String,
    pub(super) size: u64,
    /// Pixels, for pictures.
    pub(super) dimensions: Option<(u32, u32)>,
    pub(super) content: Content,
}

/// Where a file's bytes are.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// In memory: small ones.
    Memory(Bytes),
    /// On disk.
    Disk(PathBuf),
}

impl Upload {
    /// Uploads it to the account and workspace of `lease`. The blob host sees nothing of the account.
    pub(super) async fn send(&self, web: &Web, lease: &Lease) -> Result<Attachment, Failure> {
        let body = upload::create(&self.name, self.size, &self.mime_type, self.dimensions);
        let created = web
            .value(lease, Ask::json(Method::POST, "files", &body))
            .await?;
        let text = |key: &str| created.get(key).and_then(Value::as_str);
        let target = text("upload_url").and_then(|url| Url::parse(url).ok());
        let (Some(target), Some(id)) =
            (target, text("file_id").filter(|id| upload::is_file_id(id)))
        else {
            return Err(refused(text("error_message"), text("error_code")));
        };
        self.put(web, target).await?;
        let path = format!("files/{id}/uploaded");
        let confirmed = web
            .value(lease, Ask::json(Method::POST, path, &json!({})))
            .await?;
        if confirmed.get("status").and_then(Value::as_str) == Some("error") {
            let word = |key: &str| confirmed.get(key).and_then(Value::as_str);
            return Err(refused(word("error_message"), word("error_code")));
        }
        if UseCase::of(&self.mime_type).needs_index() {
            indexed(web, lease, id).await?;
        }
        Ok(Attachment {
            id: id.to_owned(),
            name: self.name.clone(),
            mime_type: self.mime_type.clone(),
            size: self.size,
            dimensions: self.dimensions,
            library_file_id: text("library_file_id").map(str::to_owned),
        })
    }

    async fn put(&self, web: &Web, target: Url) -> Result<(), Failure> {
        let content_type = HeaderValue::from_str(&self.mime_type)
            .unwrap_or(HeaderValue::from_static("application/octet-stream"));
        let headers = HeaderMap::from_iter([
            (CONTENT_TYPE, content_type),
            (
                HeaderName::from_static("x-ms-blob-type"),
                HeaderValue::from_static("BlockBlob"),
            ),
            (
                HeaderName::from_static("x-ms-version"),
                HeaderValue::from_static("2020-04-08"),
            ),
        ]);
        let body = self.content.body(self.size).await?;
        let answer = web.foreign(Method::PUT, target, headers, body).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        let status = answer.status.as_u16();
        tracing::warn!(upstream = web.name, status, "the blob store refused a file");
        Err(unexpected(&format!(
            "gave an upload address that refused the file (status {status})"
        )))
    }
}

impl Content {
    async fn body(&self, size: u64) -> Result<Body, Failure> {
        let path = match self {
            Self::Memory(bytes) => return Ok(bytes.clone().into()),
            Self::Disk(path) => path,
        };
        let file = tokio::fs::File::open(path).await.map_err(Error::internal)?;
        let pieces = stream::try_unfold(file, async |mut file| {
            let mut piece = vec![0; PIECE];
            let read = file.read(&mut piece).await.map_err(Error::internal)?;
            piece.truncate(read);
            Ok((read > 0).then(|| (Bytes::from(piece), file)))
        });
        Ok(Body::stream(Box::pin(pieces), Some(size)))
    }
}

/// Waits until a document can be asked about.
async fn indexed(web: &Web, lease: &Lease, id: &str) -> Result<(), Failure> {
    for attempt in 0..INDEX_TRIES {
        if attempt > 0 {
            tokio::time::sleep(INDEX_GAP).await;
        }
        let answer = web.value(lease, Ask::get(format!("files/{id}"))).await?;
        match answer.get("retrieval_index_status").and_then(Value::as_str) {
            // Not every file has an index.
            Some("success") | None => return Ok(()),
            Some("failed" | "error") => {
                return Err(refused(
                    Some("the ChatGPT service could not read the document"),
                    None,
                ));
            }
            Some(_) => {}
        }
    }
    Err(Failure::Decided(Error::new(
        ErrorKind::GatewayTimeout,
        Origin::Upstream,
        "file_processing_timeout",
        "the ChatGPT service did not finish reading the document in time",
    )))
}

/// The service does not take this file.
fn refused(message: Option<&str>, code: Option<&str>) -> Failure {
    if code == Some("file_not_found") {
        return Failure::of_kind(FaultKind::NotFound, "the file is not there");
    }
    let message = message.map(redact).filter(|message| !message.is_empty());
    let message = message.unwrap_or_else(|| "the ChatGPT service did not take the file".to_owned());
    let error = Error::new(
        ErrorKind::InvalidRequest,
        Origin::Upstream,
        "file_upload_error",
        message,
    );
    Failure::Decided(error.with_param("file"))
}
