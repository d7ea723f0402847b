//! The blob store: a foreign origin that knows signatures and no accounts.

use super::answer::{Outcome, Plain};
use super::record::Recorded;
use super::world::World;

/// `PUT` and `GET` of `/files/{id}/raw`.
pub(super) fn answer(world: &mut World, request: &Recorded) -> Outcome {
    let id = request
        .path
        .strip_prefix("/files/")
        .and_then(|rest| rest.strip_suffix("/raw"))
        .ok_or_else(|| error(404, "BlobNotFound"))?;
    let signature = request.parameter("sig").unwrap_or_default();
    let link = world
        .files
        .links
        .get(&signature)
        .filter(|link| link.file == id && !link.is_stale)
        .cloned()
        .ok_or_else(|| error(403, "AuthenticationFailed"))?;
    // Credentials of another kind beside the signature are an error there, and a leak here.
    if request.header("authorization").is_some() {
        return Err(error(400, "InvalidAuthenticationInfo"));
    }
    let file = world
        .files
        .by_id
        .get_mut(id)
        .ok_or_else(|| error(404, "BlobNotFound"))?;
    match (request.method.as_str(), link.is_for_writing) {
        ("PUT", true) => {
            if request.header("x-ms-blob-type") != Some("BlockBlob") {
                return Err(error(400, "MissingRequiredHeader"));
            }
            if request.header("x-ms-version").is_none() {
                return Err(error(400, "MissingRequiredHeader"));
            }
            if request.header("content-length").is_none() {
                return Err(error(411, "MissingContentLengthHeader"));
            }
            file.bytes = Some(request.body.clone());
            Ok(Plain::new(201, "", ""))
        }
        ("GET", false) => {
            let bytes = file.bytes.clone().unwrap_or_default();
            Ok(Plain::new(200, &file.mime_type, bytes))
        }
        ("PUT" | "GET", _) => Err(error(403, "AuthorizationPermissionMismatch")),
        _ => Err(error(405, "UnsupportedHttpVerb")),
    }
}

fn error(status: u16, code: &str) -> Plain {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
    Plain::new(status, "application/xml", body)
}
