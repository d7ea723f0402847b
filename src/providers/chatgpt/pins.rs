//! What belongs to which account: files and conversations can be reached with the account that made them only.

use std::time::Duration;

use aurora_chatgpt::request::Attachment;
use aurora_sdk::{Error, State as _};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::store::ScopedStore;

/// How long a file is known. The service keeps files until they are deleted.
const KEEP_FILES: Duration = Duration::from_hours(24 * 90);

/// How long it is known whose a conversation is, from its last turn on.
const KEEP_CONVERSATIONS: Duration = Duration::from_hours(24 * 30);

/// How many files of one client are listed.
const MAX_LISTED: usize = 1000;

/// The memory of one upstream.
#[derive(Debug)]
pub(super) struct Pins {
    upstream: String,
    store: ScopedStore,
    listing: Mutex<()>,
}

/// An uploaded file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FileRecord {
    /// The account that holds it.
    pub(super) account: String,
    /// The client that uploaded it.
    pub(super) owner: String,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) mime_type: String,
    /// Bytes.
    pub(super) size: u64,
    /// Pixels, for pictures.
    pub(super) dimensions: Option<(u32, u32)>,
    pub(super) library_file_id: Option<String>,
    /// The client's word for what it is for.
    pub(super) purpose: String,
    /// Seconds since 1970.
    pub(super) created_at: u64,
}

/// A conversation of the passthrough.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ConversationRecord {
    /// The account that holds it.
    pub(super) account: String,
    /// The client that began it.
    pub(super) owner: String,
}

impl FileRecord {
    /// The file as messages name it.
    pub(super) fn attachment(&self) -> Attachment {
        Attachment {
            id: self.id.clone(),
            name: self.name.clone(),
            mime_type: self.mime_type.clone(),
            size: self.size,
            dimensions: self.dimensions,
            library_file_id: self.library_file_id.clone(),
        }
    }
}

impl Pins {
    pub(super) fn new(upstream: &str, store: ScopedStore) -> Self {
        Self {
            upstream: upstream.to_owned(),
            store,
            listing: Mutex::new(()),
        }
    }

    fn key(&self, kind: &str, name: &str) -> String {
        format!("{}/{kind}/{name}", self.upstream)
    }

    async fn read<T: for<'de> Deserialize<'de>>(&self, key: &str) -> Result<Option<T>, Error> {
        let bytes = self.store.get(key).await?;
        // What an older version wrote and this one cannot read is forgotten.
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    async fn write<T: Serialize>(&self, key: &str, value: &T, keep: Duration) -> Result<(), Error> {
        let bytes = serde_json::to_vec(value).map_err(Error::internal)?;
        self.store.put(key, bytes.into(), keep).await
    }

    /// Whose a conversation is, where that is known.
    pub(super) async fn conversation(&self, id: &str) -> Result<Option<ConversationRecord>, Error> {
        self.read(&self.key("conversation", id)).await
    }

    /// Remembers whose a conversation is.
    pub(super) async fn keep_conversation(
        &self,
        id: &str,
        record: &ConversationRecord,
    ) -> Result<(), Error> {
        let key = self.key("conversation", id);
        self.write(&key, record, KEEP_CONVERSATIONS).await
    }

    /// A file that `owner` uploaded.
    pub(super) async fn file(&self, owner: &str, id: &str) -> Result<Option<FileRecord>, Error> {
        let record: Option<FileRecord> = self.read(&self.key("file", id)).await?;
        Ok(record.filter(|record| record.owner == owner))
    }

    /// Remembers a file.
    pub(super) async fn keep_file(&self, record: &FileRecord) -> Result<(), Error> {
        let _listing = self.listing.lock().await;
        self.write(&self.key("file", &record.id), record, KEEP_FILES)
            .await?;
        let list = self.key("files", &record.owner);
        let mut ids: Vec<String> = self.read(&list).await?.unwrap_or_default();
        ids.retain(|id| *id != record.id);
        ids.push(record.id.clone());
        let surplus = ids.len().saturating_sub(MAX_LISTED);
        ids.drain(..surplus);
        self.write(&list, &ids, KEEP_FILES).await
    }

    /// The files of `owner`, newest first.
    pub(super) async fn files(&self, owner: &str) -> Result<Vec<FileRecord>, Error> {
        let ids: Option<Vec<String>> = self.read(&self.key("files", owner)).await?;
        let mut files = Vec::new();
        for id in ids.unwrap_or_default().iter().rev() {
            files.extend(self.file(owner, id).await?);
        }
        Ok(files)
    }

    /// Forgets a file of `owner`; returns whether it was there.
    pub(super) async fn forget_file(&self, owner: &str, id: &str) -> Result<bool, Error> {
        let _listing = self.listing.lock().await;
        if self.file(owner, id).await?.is_none() {
            return Ok(false);
        }
        self.store.delete(&self.key("file", id)).await?;
        let list = self.key("files", owner);
        let mut ids: Vec<String> = self.read(&list).await?.unwrap_or_default();
        ids.retain(|known| known != id);
        self.write(&list, &ids, KEEP_FILES).await?;
        Ok(true)
    }
}
