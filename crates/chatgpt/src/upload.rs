//! Uploads: what a file is for, its type, its id.

use serde_json::{Value, json};

/// What the service does with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UseCase {
    /// A picture that the model sees.
    Multimodal,
    /// A document that is indexed before it can be asked about.
    MyFiles,
    /// A file that only the code tool reads.
    AceUpload,
}

impl UseCase {
    /// The use case of a type: pictures, archives and tables apart from documents.
    pub fn of(mime_type: &str) -> Self {
        let kind = mime_type
            .split(';')
            .next()
            .unwrap_or("")
            .trim()
            .to_lowercase();
        match kind.as_str() {
            "image/png" | "image/jpeg" | "image/jpg" | "image/webp" | "image/gif" => {
                Self::Multimodal
            }
            "text/csv"
            | "text/tab-separated-values"
            | "application/zip"
            | "application/gzip"
            | "application/x-tar"
            | "application/x-7z-compressed"
            | "application/octet-stream"
            | "application/vnd.ms-excel"
            | "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => {
                Self::AceUpload
            }
            kind if ["audio/", "video/", "image/"]
                .iter()
                .any(|start| kind.starts_with(start)) =>
            {
                Self::AceUpload
            }
            _ => Self::MyFiles,
        }
    }

    /// The service's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Multimodal => "multimodal",
            Self::MyFiles => "my_files",
            Self::AceUpload => "ace_upload",
        }
    }

    /// Whether the file can be asked about only after it was indexed.
    pub fn needs_index(self) -> bool {
        self == Self::MyFiles
    }
}

/// Body of `POST /files`.
pub fn create(name: &str, size: u64, mime_type: &str, dimensions: Option<(u32, u32)>) -> Value {
    let mut body = json!({
        "file_name": name,
        "file_size": size,
        "use_case": UseCase::of(mime_type).as_str(),
        "mime_type": mime_type,
        "store_in_library": true,
        "library_persistence_mode": "opportunistic",
    });
    if let (Some((width, height)), Some(body)) = (dimensions, body.as_object_mut()) {
        body.insert("width".to_owned(), width.into());
        body.insert("height".to_owned(), height.into());
    }
    body
}

/// The type that a file's name tells; `None` when it tells none.
pub fn type_by_name(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    Some(match extension.to_lowercase().as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "csv" => "text/csv",
        "json" => "application/json",
        "md" => "text/markdown",
        _ => return None,
    })
}

/// Whether a text is an id of the service's: `file-` or `file_` and letters and digits.
pub fn is_file_id(text: &str) -> bool {
    let rest = text
        .strip_prefix("file-")
        .or_else(|| text.strip_prefix("file_"));
    rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_their_use_case() {
        let of = |kind| UseCase::of(kind).as_str();

        assert_eq!(
            ["image/png", "IMAGE/JPEG; q=1", "image/webp"].map(of),
            ["multimodal"; 3]
        );
        assert_eq!(
            ["application/pdf", "text/plain", ""].map(of),
            ["my_files"; 3]
        );
        assert_eq!(
            ["application/zip", "text/csv", "image/svg+xml", "audio/mpeg"].map(of),
            ["ace_upload"; 4]
        );
        assert!(UseCase::MyFiles.needs_index() && !UseCase::Multimodal.needs_index());
    }

    #[test]
    fn ids_and_names_are_told() {
        assert!(is_file_id("file-AbC123") && is_file_id("file_00000000c4a7"));
        assert!(
            ["file-", "file.x", "file-a/b", "x"]
                .iter()
                .all(|text| !is_file_id(text))
        );
        assert_eq!(type_by_name("a.b.PDF"), Some("application/pdf"));
        assert_eq!(type_by_name("pdf"), None);
    }

    #[test]
    fn a_picture_tells_its_size() {
        let body = create("a.png", 7, "image/png", Some((2, 3)));

        assert_eq!(
            (&body["use_case"], &body["width"]),
            (&json!("multimodal"), &json!(2))
        );
        assert_eq!(
            create("a.pdf", 7, "application/pdf", None).get("width"),
            None
        );
    }
}
