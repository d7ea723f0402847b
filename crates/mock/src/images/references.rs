//! The pictures that an edit or a variation starts from.
//!
//! Their bytes decide the colours of the result; they are not decoded, so any file will do.

use aurora_sdk::Error;
use serde_json::Value;

use crate::fields::Fields;
use crate::form::Form;
use crate::refusal::{missing, wrong_type, wrong_value};
use crate::seed::Seed;

/// As at OpenAI.
const MAX_PICTURES: usize = 16;

/// What is known of the pictures.
#[derive(Debug, Default)]
pub(super) struct References {
    /// How many there are, a mask not counted.
    pub(super) count: usize,
    /// Differs where any of them differs.
    pub(super) hash: String,
}

impl References {
    /// The files in `image`, `image[]`, `images` or `images[]`, and the mask.
    pub(super) fn of_form(form: &Form) -> Result<Self, Error> {
        let mut references = Self::default();
        for upload in &form.files {
            let picture = matches!(
                upload.field.as_str(),
                "image" | "image[]" | "images" | "images[]"
            );
            if !picture && upload.field != "mask" {
                continue;
            }
            if upload.content.is_empty() {
                return Err(wrong_value(&upload.field, "a file that is not empty"));
            }
            references.add(&upload.content, picture)?;
        }
        if let Some(url) = form.fields.text("image_url")? {
            references.add(url.as_bytes(), true)?;
        }
        references.checked()
    }

    /// The URLs and file ids in `images`, `image`, `image_url` and `mask`.
    pub(super) fn of_json(fields: &Fields) -> Result<Self, Error> {
        let mut references = Self::default();
        for name in ["images", "image", "image_url", "mask"] {
            let Some(value) = fields.get(name) else {
                continue;
            };
            let items = match value {
                Value::Array(items) => items.as_slice(),
                other => std::slice::from_ref(other),
            };
            for item in items {
                let place = ["image_url", "file_id", "url"];
                let source = match item {
                    Value::String(url) => Some(url.as_str()),
                    other => place
                        .iter()
                        .find_map(|member| text_of(other.get(member)?))
                        .filter(|url| !url.is_empty()),
                };
                let source = source
                    .ok_or_else(|| wrong_type(name, "objects with an image_url or a file_id"))?;
                references.add(source.as_bytes(), name != "mask")?;
            }
        }
        references.checked()
    }

    fn add(&mut self, source: &[u8], picture: bool) -> Result<(), Error> {
        self.count += usize::from(picture);
        self.hash = Seed::of(&[self.hash.as_bytes(), source]).id("");
        if self.count > MAX_PICTURES {
            let expected = format!("at most {MAX_PICTURES} pictures");
            return Err(wrong_value("image", &expected));
        }
        Ok(())
    }

    fn checked(self) -> Result<Self, Error> {
        if self.count == 0 {
            return Err(missing("image"));
        }
        Ok(self)
    }
}

/// A text, or the `url` of an object.
fn text_of(value: &Value) -> Option<&str> {
    value
        .as_str()
        .or_else(|| value.get("url").and_then(Value::as_str))
}
