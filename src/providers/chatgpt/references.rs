//! Pictures and files that a request's messages name, made attachments of the account that answers.

use aurora_accounts::Lease;
use aurora_chatgpt::request::{Attachment, Draft, Reference};
use aurora_chatgpt::upload::type_by_name;
use aurora_sdk::Error;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use super::Service;
use super::failure::Failure;
use super::upload::{Content, Upload};
use crate::spool::{SpooledFile, beginning};

/// The largest picture that is fetched from a URL, bytes.
const MAX_FETCHED: usize = 20 << 20;

/// How much of a picture is read for its size in pixels.
const HEADER_BYTES: u64 = 512 << 10;

/// Base64 with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The attachments of every draft, in order. Pictures are decoded, fetched and uploaded; known files are looked up.
pub(super) async fn attachments(
    service: &Service,
    lease: &Lease,
    owner: &str,
    drafts: &[Draft],
) -> Result<Vec<Vec<Attachment>>, Failure> {
    let mut all = Vec::with_capacity(drafts.len());
    let mut number = 0;
    for draft in drafts {
        let mut attachments = Vec::with_capacity(draft.references.len());
        for reference in &draft.references {
            number += 1;
            let named = attachment(service, lease, owner, reference).await;
            attachments.push(named.map_err(|failure| place(failure, number))?);
        }
        all.push(attachments);
    }
    Ok(all)
}

/// Says which of the request's pictures and files was meant.
fn place(failure: Failure, number: usize) -> Failure {
    match failure {
        Failure::Decided(error) if error.code().starts_with("invalid_") => {
            let message = format!(
                "picture or file {number} of the request: {}",
                error.message()
            );
            let code = error.code().to_owned();
            Failure::Decided(
                Error::new(error.kind(), error.origin(), code, message).with_param("messages"),
            )
        }
        failure => failure,
    }
}

async fn attachment(
    service: &Service,
    lease: &Lease,
    owner: &str,
    reference: &Reference,
) -> Result<Attachment, Failure> {
    let upload = match reference {
        Reference::File {
            id,
            name,
            mime_type,
            size,
            dimensions,
        } => {
            if let Some(record) = service.pins.file(owner, id).await? {
                return Ok(record.attachment());
            }
            // Not uploaded through this gateway: what the client says about it must do.
            return Ok(Attachment {
                id: id.clone(),
                name: name.clone().unwrap_or_else(|| id.clone()),
                mime_type: mime_type
                    .clone()
                    .or_else(|| type_by_name(name.as_deref()?).map(str::to_owned))
                    .unwrap_or_else(|| "application/octet-stream".to_owned()),
                size: size.unwrap_or(0),
                dimensions: *dimensions,
                library_file_id: None,
            });
        }
        Reference::Data { url, is_picture } => decode(url, *is_picture)?,
        Reference::Url { url, is_picture } => {
            let fetched = service.fetcher.fetch(url, MAX_FETCHED).await?;
            of_bytes(fetched.bytes, &fetched.content_type, *is_picture)?
        }
    };
    upload.send(&service.web, lease).await
}

/// An upload of a file on disk. Its type: what the form says, else what its first bytes or its name say.
pub(super) async fn of_spooled(file: &SpooledFile) -> Result<Upload, Error> {
    if file.size == 0 {
        return Err(Error::invalid("empty_file", "file", "the file is empty"));
    }
    let head = beginning(file.path(), HEADER_BYTES).await?;
    let sniffed = picture_type(&head);
    let said = file
        .content_type
        .clone()
        .filter(|kind| kind != "application/octet-stream");
    let by_name = file.name.as_deref().and_then(type_by_name);
    // What looks like a picture is one, whatever it is called: the service wants its size.
    let mime_type = sniffed
        .map(str::to_owned)
        .or(said)
        .or(by_name.map(str::to_owned))
        .unwrap_or_else(|| "application/octet-stream".to_owned());
    let extension = mime_type.rsplit('/').next().unwrap_or("bin");
    Ok(Upload {
        name: file
            .name
            .clone()
            .unwrap_or_else(|| format!("file-{}.{extension}", file.size)),
        size: file.size,
        dimensions: sniffed.and_then(|_| dimensions(&head)),
        content: Content::Disk(file.path().to_owned()),
        mime_type,
    })
}

/// The file in a `data:` URL.
pub(super) fn decode(url: &str, is_picture: bool) -> Result<Upload, Error> {
    let data = url.get("data:".len()..).unwrap_or_default();
    let (head, data) = data
        .split_once(',')
        .ok_or_else(|| invalid("a data URL has no comma"))?;
    let Some(mime_type) = head.strip_suffix(";base64") else {
        return Err(invalid("a data URL is not base64"));
    };
    let mime_type = mime_type.split(';').next().unwrap_or_default();
    of_bytes(base64(data)?, mime_type, is_picture)
}

/// The bytes of base64 text, line breaks allowed.
pub(super) fn base64(text: &str) -> Result<Bytes, Error> {
    let wrapped = text.bytes().any(|byte| byte.is_ascii_whitespace());
    let decoded = if wrapped {
        let text: String = text.split_ascii_whitespace().collect();
        LENIENT.decode(text)
    } else {
        LENIENT.decode(text)
    };
    decoded
        .map(Bytes::from)
        .map_err(|_| invalid("its base64 is broken"))
}

/// Base64 as the API writes it.
pub(super) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A file of these bytes; a picture must be one, with a size that its header tells.
pub(super) fn of_bytes(bytes: Bytes, mime_type: &str, is_picture: bool) -> Result<Upload, Error> {
    if bytes.is_empty() {
        return Err(invalid("it is empty"));
    }
    let sniffed = picture_type(&bytes);
    let mime_type = mime_type.trim().to_ascii_lowercase();
    if is_picture && sniffed.is_none() {
        return Err(invalid("it is no PNG, JPEG, GIF or WebP picture"));
    }
    let mime_type = match sniffed {
        Some(sniffed) => sniffed.to_owned(),
        None if mime_type.is_empty() => "application/octet-stream".to_owned(),
        None => mime_type,
    };
    let dimensions = sniffed.and_then(|_| dimensions(&bytes));
    if is_picture && dimensions.is_none() {
        return Err(invalid("its header does not tell its size"));
    }
    let extension = mime_type
        .rsplit('/')
        .next()
        .filter(|kind| kind.chars().all(|c| c.is_ascii_alphanumeric()))
        .unwrap_or("bin");
    Ok(Upload {
        name: format!("file-{}.{extension}", bytes.len()),
        size: bytes.len() as u64,
        dimensions,
        content: Content::Memory(bytes),
        mime_type,
    })
}

/// The type of a picture that the service takes, by its first bytes.
pub(super) fn picture_type(bytes: &[u8]) -> Option<&'static str> {
    use imagesize::ImageType;
    match imagesize::image_type(bytes).ok()? {
        ImageType::Png => Some("image/png"),
        ImageType::Jpeg => Some("image/jpeg"),
        ImageType::Gif => Some("image/gif"),
        ImageType::Webp => Some("image/webp"),
        _ => None,
    }
}

/// Width and height in pixels.
pub(super) fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    let size = imagesize::blob_size(bytes).ok()?;
    let side = |pixels: usize| u32::try_from(pixels).ok().filter(|pixels| *pixels > 0);
    side(size.width).zip(side(size.height))
}

fn invalid(what: &str) -> Error {
    Error::invalid("invalid_image", "messages", what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x03\x08\x06\0\0\0";
    const GIF: &[u8] = b"GIF89a\x05\0\x06\0\0\0\0";

    fn url(mime_type: &str, bytes: &[u8]) -> String {
        format!("data:{mime_type};base64,{}", STANDARD.encode(bytes))
    }

    #[test]
    fn pictures_tell_their_type_and_size_whatever_the_url_says() {
        let png = decode(&url("image/png", PNG), true).unwrap();
        let gif = decode(&url("application/octet-stream", GIF), true).unwrap();

        assert_eq!(
            (png.mime_type.as_str(), png.dimensions),
            ("image/png", Some((2, 3)))
        );
        assert_eq!(
            (gif.mime_type.as_str(), gif.dimensions),
            ("image/gif", Some((5, 6)))
        );
    }

    #[test]
    fn files_keep_their_type() {
        let pdf = decode(&url("application/pdf", b"%PDF-1.4"), false).unwrap();

        assert_eq!((pdf.mime_type.as_str(), pdf.size), ("application/pdf", 8));
        assert_eq!(pdf.dimensions, None);
    }

    #[test]
    fn what_is_broken_is_refused() {
        let broken = "data:image/png;base64,@@@".to_owned();
        let plain = "data:image/png,abc".to_owned();
        for (url, is_picture) in [
            (broken, true),
            (plain, true),
            (url("image/png", b""), true),
            (url("application/pdf", b"%PDF-1.4"), true),
            (url("image/png", PNG.get(..10).unwrap()), true),
            ("data:nothing".to_owned(), false),
        ] {
            let error = decode(&url, is_picture).unwrap_err();
            assert_eq!(error.code(), "invalid_image", "{url}");
        }
    }

    #[test]
    fn base64_may_be_wrapped_and_unpadded() {
        assert_eq!(&base64("aGk=").unwrap()[..], b"hi");
        assert_eq!(&base64("aG\nk").unwrap()[..], b"hi");
    }
}
