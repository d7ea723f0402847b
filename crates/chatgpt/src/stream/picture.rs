//! Pointers to pictures, and which of them a turn made.

use serde_json::{Map, Value};

/// A picture that the service holds (an `image_asset_pointer` part).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    /// The pointer without its scheme: `file_...` or `file-...`.
    pub file_id: String,
    /// `sediment://file_...` or `file-service://file-...`.
    pub asset_pointer: String,
    /// Generation, where it was generated.
    pub gen_id: Option<String>,
    /// The generation that it revises.
    pub parent_gen_id: Option<String>,
    /// The prompt that the image tool got.
    pub prompt: Option<String>,
    /// Pixels.
    pub width: Option<u64>,
    /// Pixels.
    pub height: Option<u64>,
    /// Bytes.
    pub size_bytes: Option<u64>,
    /// The message that shows it; a download may need it.
    pub message_id: String,
    /// Whether the message is hidden in the web application.
    pub hidden: bool,
}

impl Picture {
    /// Reads a pointer part; `None` when the part is something else.
    pub fn read(part: &Value, message_id: &str) -> Option<Self> {
        let part = part.as_object()?;
        if text(part, "content_type").as_deref() != Some("image_asset_pointer") {
            return None;
        }
        let asset_pointer = text(part, "asset_pointer")?;
        let file_id = asset_pointer.split_once("://")?.1;
        let file_id = file_id.split(['?', '#']).next().unwrap_or_default();
        if file_id.is_empty() {
            return None;
        }
        let metadata = part.get("metadata");
        let dalle = metadata.and_then(|metadata| metadata.get("dalle")?.as_object());
        let generation = metadata.and_then(|metadata| metadata.get("generation")?.as_object());
        let either = |key: &str| {
            let mut places = [dalle, generation].into_iter().flatten();
            places.find_map(|place| text(place, key))
        };
        Some(Self {
            file_id: file_id.to_owned(),
            gen_id: either("gen_id"),
            parent_gen_id: either("parent_gen_id"),
            prompt: either("prompt"),
            width: part.get("width").and_then(Value::as_u64),
            height: part.get("height").and_then(Value::as_u64),
            size_bytes: part.get("size_bytes").and_then(Value::as_u64),
            message_id: message_id.to_owned(),
            hidden: false,
            asset_pointer,
        })
    }

    /// The results among the pictures of a turn, in order.
    ///
    /// One per file; hidden ones only when no visible one exists; of a chain of revisions (`parent_gen_id`) the last.
    pub fn results(found: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let found: Vec<Self> = found.into_iter().collect();
        let any_visible = found.iter().any(|picture| !picture.hidden);
        let mut results: Vec<Self> = Vec::new();
        for picture in found {
            let known = results.iter().any(|other| other.file_id == picture.file_id);
            if known || (any_visible && picture.hidden) {
                continue;
            }
            results.retain(|other| {
                picture.parent_gen_id.is_none() || other.gen_id != picture.parent_gen_id
            });
            let revised = picture.gen_id.is_some()
                && results
                    .iter()
                    .any(|other| other.parent_gen_id == picture.gen_id);
            if !revised {
                results.push(picture);
            }
        }
        results
    }
}

fn text(object: &Map<String, Value>, key: &str) -> Option<String> {
    let text = object.get(key)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn picture(file: &str, generation: &str, parent: Option<&str>) -> Picture {
        let part = json!({"content_type": "image_asset_pointer", "asset_pointer": format!("sediment://{file}"),
            "metadata": {"dalle": {"gen_id": generation, "parent_gen_id": parent, "prompt": "a cat"}}});
        Picture::read(&part, "m").unwrap()
    }

    fn files(found: Vec<Picture>) -> Vec<String> {
        let results = Picture::results(found).into_iter();
        results.map(|picture| picture.file_id).collect()
    }

    #[test]
    fn the_last_revision_of_a_chain_is_the_result() {
        let chain = vec![
            picture("file_1", "a", None),
            picture("file_2", "b", Some("a")),
            picture("file_9", "z", None),
            picture("file_3", "c", Some("b")),
        ];

        assert_eq!(files(chain), ["file_9", "file_3"]);
    }

    #[test]
    fn an_older_revision_that_comes_late_is_no_result() {
        let late = vec![
            picture("file_2", "b", Some("a")),
            picture("file_1", "a", None),
        ];

        assert_eq!(files(late), ["file_2"]);
    }

    #[test]
    fn hidden_pictures_count_only_alone() {
        let mut hidden = picture("file_2", "b", None);
        hidden.hidden = true;

        assert_eq!(
            files(vec![hidden.clone(), picture("file_1", "a", None)]),
            ["file_1"]
        );
        assert_eq!(files(vec![hidden.clone(), hidden]), ["file_2"]);
    }

    #[test]
    fn other_parts_are_no_pictures() {
        for part in [
            json!("text"),
            json!({"content_type": "image_asset_pointer"}),
            json!({"content_type": "image_asset_pointer", "asset_pointer": "file_1"}),
            json!({"content_type": "audio", "asset_pointer": "sediment://file_1"}),
        ] {
            assert_eq!(Picture::read(&part, "m"), None);
        }
    }
}
