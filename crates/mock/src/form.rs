//! Multipart forms (RFC 7578), read as a whole from memory.

use std::convert::Infallible;

use aurora_sdk::{Error, ErrorKind, Origin};
use bytes::Bytes;
use futures_util::{future, stream};
use multer::Multipart;

use crate::fields::Fields;
use crate::refusal::{missing, wrong_value};

/// More parts than any endpoint has a use for.
const MAX_PARTS: usize = 128;

/// A form: its files and its text fields.
#[derive(Debug)]
pub(crate) struct Form {
    /// The parts with a file name, in order.
    pub(crate) files: Vec<Upload>,
    /// The other parts.
    pub(crate) fields: Fields,
}

/// A part with a file name.
#[derive(Debug)]
pub(crate) struct Upload {
    /// The name of the form field.
    pub(crate) field: String,
    /// The name of the file as the client says; may be anything.
    pub(crate) name: String,
    /// The media type as the client says.
    pub(crate) media_type: Option<String>,
    /// The content.
    pub(crate) content: Bytes,
}

impl Form {
    /// Reads `body`, which `content_type` says to be a form.
    ///
    /// # Errors
    /// 400 `invalid_multipart` for another content type, a broken form or too many parts.
    pub(crate) async fn read(content_type: &str, body: Bytes) -> Result<Self, Error> {
        let boundary = multer::parse_boundary(content_type)
            .map_err(|_| broken("expected content-type multipart/form-data with a boundary"))?;
        let body = stream::once(future::ready(Ok::<_, Infallible>(body)));
        let mut parts = Multipart::new(body, boundary);
        let mut files = Vec::new();
        let mut fields = Vec::new();
        while let Some(part) = parts.next_field().await.map_err(unreadable)? {
            if files.len() + fields.len() >= MAX_PARTS {
                return Err(broken(&format!("more than {MAX_PARTS} parts")));
            }
            let field = part.name().unwrap_or_default().to_owned();
            let name = part.file_name().map(str::to_owned);
            let media_type = part.content_type().map(ToString::to_string);
            let content = part.bytes().await.map_err(unreadable)?;
            match name {
                Some(name) => files.push(Upload {
                    field,
                    name,
                    media_type,
                    content,
                }),
                None => fields.push((field, String::from_utf8_lossy(&content).into_owned())),
            }
        }
        Ok(Self {
            files,
            fields: Fields::of_form(fields),
        })
    }

    /// The one file of field `file`, which must not be empty.
    pub(crate) fn file(&self) -> Result<&Upload, Error> {
        let upload = self
            .files
            .iter()
            .find(|upload| upload.field == "file")
            .ok_or_else(|| missing("file"))?;
        if upload.content.is_empty() {
            return Err(wrong_value("file", "a file that is not empty"));
        }
        Ok(upload)
    }
}

impl Upload {
    /// The file's name on one line, for texts; `file` where there is none.
    pub(crate) fn title(&self) -> String {
        let line = self.name.replace(char::is_control, " ");
        let title: String = line.trim().chars().take(255).collect();
        if title.is_empty() {
            "file".to_owned()
        } else {
            title
        }
    }
}

fn unreadable(error: multer::Error) -> Error {
    broken(&error.to_string()).with_source(error)
}

fn broken(detail: &str) -> Error {
    Error::new(
        ErrorKind::InvalidRequest,
        Origin::Downstream,
        "invalid_multipart",
        format!("the request body is not a multipart form that can be read: {detail}"),
    )
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn read(content_type: &str, body: &'static str) -> Result<Form, Error> {
        Form::read(content_type, Bytes::from_static(body.as_bytes()))
            .now_or_never()
            .expect("everything is there")
    }

    #[test]
    fn files_and_fields_are_told_apart_by_the_file_name() {
        let form = read(
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\\\"b.txt\"\r\n\r\nhi\r\n\
             --x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nassistants\r\n--x--\r\n",
        )
        .unwrap();

        assert_eq!(form.file().unwrap().content, "hi");
        assert_eq!(form.fields.text("purpose").unwrap(), Some("assistants"));
    }

    #[test]
    fn a_broken_form_is_refused() {
        let cut = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nhi";
        for (content_type, body) in [
            ("application/json", "{}"),
            ("multipart/form-data", "--x--"),
            ("multipart/form-data; boundary=x", cut),
            ("multipart/form-data; boundary=x", "nothing of the kind"),
        ] {
            let error = read(content_type, body).unwrap_err();

            assert_eq!(error.code(), "invalid_multipart", "{content_type} {body}");
        }
    }
}
