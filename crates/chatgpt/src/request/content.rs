//! The content of a client's message: text, pictures, files.

use serde_json::{Map, Value};

/// A picture or file that a client's message names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A `data:` URL, to be decoded and uploaded.
    Data {
        /// The URL.
        url: String,
        /// Whether it must be a picture.
        is_picture: bool,
    },
    /// An HTTP URL, to be fetched (if that is allowed) and uploaded.
    Url {
        /// The URL.
        url: String,
        /// Whether it must be a picture.
        is_picture: bool,
    },
    /// A file that was uploaded before; what the client says about it counts only where the gateway knows nothing.
    File {
        /// Its id.
        id: String,
        /// The name.
        name: Option<String>,
        /// The type.
        mime_type: Option<String>,
        /// Bytes.
        size: Option<u64>,
        /// Pixels.
        dimensions: Option<(u32, u32)>,
    },
}

/// A request that cannot be converted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// There is no message.
    #[error("messages must hold at least one message")]
    NoMessages,
    /// A message has an unknown role.
    #[error(
        "messages[{index}].role `{role}` is not one of system, developer, user, assistant, tool, function"
    )]
    Role {
        /// Which message.
        index: usize,
        /// Its role.
        role: String,
    },
    /// A message's content is neither text nor parts nor null.
    #[error("messages[{index}].content must be text, a list of parts, or null")]
    Content {
        /// Which message.
        index: usize,
    },
    /// A part names a picture or file that cannot be read.
    #[error("messages[{index}].content[{part}] names no usable picture or file")]
    Part {
        /// Which message.
        index: usize,
        /// Which part.
        part: usize,
    },
}

/// Text and references of a message's content; equal file ids count once.
pub(super) fn read(index: usize, content: &Value) -> Result<(String, Vec<Reference>), Invalid> {
    let single;
    let parts = match content {
        Value::Null => return Ok((String::new(), Vec::new())),
        Value::String(text) => return Ok((text.clone(), Vec::new())),
        Value::Array(parts) => parts.as_slice(),
        Value::Object(_) => {
            single = [content.clone()];
            single.as_slice()
        }
        _ => return Err(Invalid::Content { index }),
    };
    let (mut text, mut references) = (String::new(), Vec::new());
    for (number, part) in parts.iter().enumerate() {
        match part {
            Value::String(more) => text.push_str(more),
            Value::Object(part) => {
                let invalid = Invalid::Part {
                    index,
                    part: number,
                };
                if let Some(reference) = self::part(part, &mut text).ok_or(invalid)? {
                    add(&mut references, reference);
                }
            }
            _ => return Err(Invalid::Content { index }),
        }
    }
    Ok((text, references))
}

/// Adds a reference unless the same file is there already.
pub(super) fn add(references: &mut Vec<Reference>, new: Reference) {
    let same = |known: &Reference| match (known, &new) {
        (Reference::File { id: known, .. }, Reference::File { id: new, .. }) => known == new,
        _ => false,
    };
    if !references.iter().any(same) {
        references.push(new);
    }
}

/// One part: text goes to `text`, a reference is returned; `None` when it is neither.
#[expect(
    clippy::option_option,
    reason = "outer: readable at all; inner: names something"
)]
fn part(part: &Map<String, Value>, text: &mut String) -> Option<Option<Reference>> {
    match string(part, "type").unwrap_or("text") {
        "text" | "input_text" | "output_text" | "refusal" => {
            text.push_str(
                string(part, "text")
                    .or_else(|| string(part, "refusal"))
                    .unwrap_or(""),
            );
            Some(None)
        }
        "image_url" => picture(part).map(Some),
        "file" | "input_file" | "image" | "input_image" => {
            file(part).or_else(|| picture(part)).map(Some)
        }
        _ => None,
    }
}

/// `image_url` as text or as `{"url": ..}`.
fn picture(part: &Map<String, Value>) -> Option<Reference> {
    let image = part.get("image_url")?;
    let url = image.as_str().or_else(|| image.get("url")?.as_str())?;
    located(url, true)
}

fn located(url: &str, is_picture: bool) -> Option<Reference> {
    let is = |scheme: &str| {
        url.get(..scheme.len())
            .is_some_and(|s| s.eq_ignore_ascii_case(scheme))
    };
    if is("data:") {
        Some(Reference::Data {
            url: url.to_owned(),
            is_picture,
        })
    } else if is("https://") || is("http://") {
        Some(Reference::Url {
            url: url.to_owned(),
            is_picture,
        })
    } else {
        None
    }
}

/// File fields at the top of a part or in its `file` object; also the official `file_data`.
pub(super) fn file(part: &Map<String, Value>) -> Option<Reference> {
    let inner = part.get("file").and_then(Value::as_object).unwrap_or(part);
    let either = |key: &str| string(inner, key).or_else(|| string(part, key));
    let number = |key: &str| {
        let value = inner.get(key).or_else(|| part.get(key));
        value.and_then(Value::as_u64)
    };
    let side = |key: &str| u32::try_from(number(key)?).ok();
    if let Some(id) = either("file_id").or_else(|| either("id")) {
        return Some(Reference::File {
            id: id.to_owned(),
            name: either("filename")
                .or_else(|| either("name"))
                .map(str::to_owned),
            mime_type: either("mime_type")
                .or_else(|| either("mimeType"))
                .map(str::to_owned),
            size: number("size"),
            dimensions: side("width").zip(side("height")),
        });
    }
    located(either("file_data").or_else(|| either("file_url"))?, false)
}

fn string<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    map.get(key)?.as_str().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_joined_in_every_form() {
        let table = [
            (json!("a"), "a"),
            (json!(null), ""),
            (
                json!([{"type": "text", "text": "a"}, {"type": "input_text", "text": "b"}, {"text": "c"}, "d"]),
                "abcd",
            ),
            (json!({"type": "text", "text": "a"}), "a"),
            (json!([{"type": "text", "text": ""}]), ""),
            (json!([]), ""),
        ];

        for (content, expected) in table {
            assert_eq!(
                read(0, &content),
                Ok((expected.to_owned(), Vec::new())),
                "{content}"
            );
        }
    }

    #[test]
    fn pictures_and_files_are_referenced_once() {
        let content = json!([
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
            {"type": "image_url", "image_url": "https://a.example/x.png"},
            {"type": "input_file", "file_id": "file-1", "filename": "a.pdf"},
            {"type": "file", "file": {"file_id": "file-1", "size": 7}},
            {"type": "input_image", "image_url": "HTTPS://a.example/y.png"},
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA=="}}]);

        let (text, references) = read(0, &content).unwrap();

        assert_eq!((text.as_str(), references.len()), ("", 5));
        assert!(
            matches!(&references[2], Reference::File { id, name: Some(name), .. } if id == "file-1" && name == "a.pdf")
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let part = Err(Invalid::Part { index: 3, part: 1 });
        let content = Err(Invalid::Content { index: 3 });
        for (value, expected) in [
            (
                json!(["a", {"type": "image_url", "image_url": {"url": "ftp://x"}}]),
                &part,
            ),
            (json!(["a", {"type": "input_audio"}]), &part),
            (json!(["a", {"type": "file"}]), &part),
            (json!(7), &content),
            (json!([7]), &content),
        ] {
            assert_eq!(read(3, &value), *expected, "{value}");
        }
    }
}
