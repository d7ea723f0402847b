//! One owner's files in the host's state.
//!
//! Per file one value for its description and one for its content, and one value that lists the ids. The list is read
//! and written without a lock: of two uploads at the same moment one may be missing in the list, while both are found
//! by id.

use std::time::Duration;

use aurora_sdk::{Error, State};
use bytes::Bytes;
use serde_json::Value;

use crate::Exchange;
use crate::seed::Seed;

/// How long files are kept.
pub(super) const KEEP: Duration = Duration::from_hours(24);

/// Files and bytes of one owner at most: the state may live in memory.
const MAX_FILES: usize = 200;
const MAX_TOTAL_BYTES: u64 = 256 * 1024 * 1024;

/// The files of one owner.
pub(super) struct Shelf<'a> {
    state: &'a dyn State,
    /// A hash of the owner: of one length, and without signs that keys are made of.
    owner: String,
}

impl<'a> Shelf<'a> {
    pub(super) fn of(exchange: &Exchange<'a>) -> Self {
        Self {
            state: exchange.state,
            owner: Seed::of(&[exchange.owner.as_bytes()]).id(""),
        }
    }

    /// Keeps a file under `id`.
    pub(super) async fn put(&self, id: &str, file: &Value, content: Bytes) -> Result<(), Error> {
        let others: Vec<Value> = self
            .list()
            .await?
            .into_iter()
            .filter(|known| known.get("id").and_then(Value::as_str) != Some(id))
            .collect();
        let held: u64 = others
            .iter()
            .filter_map(|file| file.get("bytes")?.as_u64())
            .sum();
        if others.len() >= MAX_FILES || held + content.len() as u64 > MAX_TOTAL_BYTES {
            return Err(full());
        }
        let mut ids: Vec<&str> = others
            .iter()
            .filter_map(|file| file.get("id")?.as_str())
            .collect();
        ids.push(id);
        // Listed last: what is listed can be read.
        self.write(&format!("content/{id}"), content).await?;
        self.write(&format!("file/{id}"), file.to_string().into())
            .await?;
        self.write("files", Value::from(ids).to_string().into())
            .await
    }

    /// The descriptions of all files, oldest first.
    pub(super) async fn list(&self) -> Result<Vec<Value>, Error> {
        let mut files = Vec::new();
        for id in self.ids().await? {
            files.extend(self.find(&id).await?);
        }
        Ok(files)
    }

    /// The description of `id`.
    pub(super) async fn find(&self, id: &str) -> Result<Option<Value>, Error> {
        if !is_id(id) {
            return Ok(None);
        }
        let text = self.read(&format!("file/{id}")).await?;
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
    }

    /// The content of `id`.
    pub(super) async fn content(&self, id: &str) -> Result<Option<Bytes>, Error> {
        self.read(&format!("content/{id}")).await
    }

    /// Forgets `id`.
    pub(super) async fn remove(&self, id: &str) -> Result<(), Error> {
        let mut ids = self.ids().await?;
        ids.retain(|known| known != id);
        self.write("files", Value::from(ids).to_string().into())
            .await?;
        self.state.delete(&self.key(&format!("file/{id}"))).await?;
        self.state
            .delete(&self.key(&format!("content/{id}")))
            .await?;
        Ok(())
    }

    async fn ids(&self) -> Result<Vec<String>, Error> {
        let text = self.read("files").await?.unwrap_or_default();
        Ok(serde_json::from_slice(&text).unwrap_or_default())
    }

    async fn read(&self, name: &str) -> Result<Option<Bytes>, Error> {
        self.state.get(&self.key(name)).await
    }

    async fn write(&self, name: &str, value: Bytes) -> Result<(), Error> {
        self.state.put(&self.key(name), value, KEEP).await
    }

    fn key(&self, name: &str) -> String {
        format!("mock/{}/{name}", self.owner)
    }
}

/// Whether `id` is one that the mock gives; anything else must not become part of a key.
fn is_id(id: &str) -> bool {
    id.strip_prefix("file-").is_some_and(|digits| {
        digits.len() == 24 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

fn full() -> Error {
    Error::invalid(
        "file_limit_reached",
        "file",
        format!(
            "the mock upstream keeps at most {MAX_FILES} files and {MAX_TOTAL_BYTES} bytes for one client, each for a \
             day; delete some"
        ),
    )
}
