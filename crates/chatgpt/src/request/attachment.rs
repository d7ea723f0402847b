//! Uploaded pictures and files, as messages name them.

use serde_json::{Map, Value, json};

/// An uploaded file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    /// The service's id.
    pub id: String,
    /// The file's name.
    pub name: String,
    /// Its type.
    pub mime_type: String,
    /// Bytes.
    pub size: u64,
    /// Pixels, for pictures; the service requires them there.
    pub dimensions: Option<(u32, u32)>,
    /// The library's id, where the upload gave one.
    pub library_file_id: Option<String>,
}

impl Attachment {
    /// Whether the model sees it as a picture.
    pub fn is_picture(&self) -> bool {
        matches!(
            self.mime_type.as_str(),
            "image/png" | "image/jpeg" | "image/jpg" | "image/webp" | "image/gif"
        )
    }

    /// The part of a `multimodal_text` that shows it.
    pub(super) fn pointer(&self) -> Value {
        let mut part = json!({
            "content_type": "image_asset_pointer",
            "asset_pointer": format!("file-service://{}", self.id),
            "size_bytes": self.size,
        });
        self.measure(&mut part);
        part
    }

    /// The entry in `metadata.attachments`; both spellings of the type occur, so both are sent.
    pub(super) fn entry(&self) -> Value {
        let mut entry = json!({
            "id": self.id,
            "size": self.size,
            "name": self.name,
            "mime_type": self.mime_type,
            "mimeType": self.mime_type,
            "source": "library",
            "is_big_paste": false,
        });
        self.measure(&mut entry);
        if let (Some(id), Some(entry)) = (&self.library_file_id, entry.as_object_mut()) {
            entry.insert("library_file_id".to_owned(), id.clone().into());
        }
        entry
    }

    fn measure(&self, value: &mut Value) {
        if let (Some((width, height)), Some(map)) = (self.dimensions, value.as_object_mut()) {
            let sides: Map<String, Value> = [("width", width), ("height", height)]
                .into_iter()
                .map(|(key, side)| (key.to_owned(), side.into()))
                .collect();
            map.extend(sides);
        }
    }
}
