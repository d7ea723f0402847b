//! `/v1/files` over the service's files: what was uploaded here is remembered with the account that holds it.

use std::sync::Arc;

use aurora_accounts::{Feature, Lease};
use aurora_chatgpt::request::Attachment;
use aurora_sdk::Error;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

use super::content::{download, not_found};
use super::pins::FileRecord;
use super::references::of_spooled;
use super::serving::Asking;
use super::stamp::seconds;
use super::{Service, decided, json_answer};
use crate::providers::{Answer, Call, Fault, Tries, Visitor};
use crate::spool::Spooled;

/// The largest file, bytes: the service's own limit.
const MAX_FILE: u64 = 512 << 20;

/// Answers `files`, `files/{id}` and `files/{id}/content`.
pub(super) async fn answer(service: &Arc<Service>, call: Call) -> Result<Answer, Fault> {
    let path = call.path.split('?').next().unwrap_or_default().to_owned();
    let mut segments = path.trim_matches('/').split('/').skip(1);
    let owner = Arc::clone(&call.visitor.owner);
    match (segments.next(), segments.next(), &call.method) {
        (None, _, &Method::POST) => upload(service, call).await,
        (None, _, _) => list(service, &owner).await.map_err(decided),
        (Some(id), None, &Method::DELETE) => forget(service, &owner, id).await.map_err(decided),
        (Some(id), None, _) => {
            let record = find(service, &owner, id).await.map_err(decided)?;
            Ok(json_answer(&file_object(&record)))
        }
        (Some(id), Some("content"), &Method::GET) => {
            content(service, &call.visitor, &call.tries, id).await
        }
        (Some(_), Some(_), _) => Err(decided(not_found("this path"))),
    }
}

async fn upload(service: &Arc<Service>, call: Call) -> Result<Answer, Fault> {
    let visitor = Arc::clone(&call.visitor);
    let folder = service.uploads();
    let form = Spooled::read(&call.headers, call.body, folder, MAX_FILE)
        .await
        .map_err(decided)?;
    let Some(file) = form.file("file") else {
        let message = "the form has no part `file` with a file";
        return Err(decided(Error::invalid(
            "missing_required_parameter",
            "file",
            message,
        )));
    };
    let upload = of_spooled(file).await.map_err(decided)?;
    let asking = Asking {
        visitor: &visitor,
        tries: &call.tries,
        model: None,
        feature: Feature::Files,
        login_for: Some("file upload"),
        pinned: None,
        turn: false,
    };
    let upload = &upload;
    let sent = |lease: Arc<Lease>| async move { upload.send(&service.web, &lease).await };
    let (attachment, lease) = service.with_account(&asking, sent).await?;
    let purpose = form.field("purpose").unwrap_or("assistants");
    let record = record(attachment, &lease, &visitor, purpose);
    service.pins.keep_file(&record).await.map_err(decided)?;
    Ok(json_answer(&file_object(&record)))
}

fn record(attachment: Attachment, lease: &Lease, visitor: &Visitor, purpose: &str) -> FileRecord {
    FileRecord {
        account: lease.id().to_string(),
        owner: visitor.owner.to_string(),
        id: attachment.id,
        name: attachment.name,
        mime_type: attachment.mime_type,
        size: attachment.size,
        dimensions: attachment.dimensions,
        library_file_id: attachment.library_file_id,
        purpose: purpose.to_owned(),
        created_at: seconds(),
    }
}

async fn find(service: &Service, owner: &str, id: &str) -> Result<FileRecord, Error> {
    let record = service.pins.file(owner, id).await?;
    record.ok_or_else(|| not_found(&format!("the file `{id}`")))
}

async fn list(service: &Service, owner: &str) -> Result<Answer, Error> {
    let files = service.pins.files(owner).await?;
    let data: Vec<Value> = files.iter().map(file_object).collect();
    let list = json!({"object": "list", "data": data, "has_more": false,
        "first_id": files.first().map(|file| &file.id), "last_id": files.last().map(|file| &file.id)});
    Ok(json_answer(&list))
}

async fn forget(service: &Service, owner: &str, id: &str) -> Result<Answer, Error> {
    if !service.pins.forget_file(owner, id).await? {
        return Err(not_found(&format!("the file `{id}`")));
    }
    Ok(json_answer(
        &json!({"id": id, "object": "file", "deleted": true}),
    ))
}

async fn content(
    service: &Arc<Service>,
    visitor: &Visitor,
    tries: &Tries,
    id: &str,
) -> Result<Answer, Fault> {
    let record = find(service, &visitor.owner, id).await.map_err(decided)?;
    let asking = Asking {
        visitor,
        tries,
        model: None,
        feature: Feature::Files,
        login_for: Some("a file's content"),
        pinned: record.account.parse().ok(),
        turn: false,
    };
    let id = record.id.as_str();
    let fetched = |lease: Arc<Lease>| async move { download(&service.web, &lease, id, None).await };
    let (mut answer, _) = service.with_account(&asking, fetched).await?;
    let content_type = HeaderValue::from_str(&record.mime_type)
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    answer.headers.insert(CONTENT_TYPE, content_type);
    answer.judged = true;
    Ok(answer)
}

/// The file as the API gives it; both names of the id, since clients of the historic gateway read the second.
fn file_object(record: &FileRecord) -> Value {
    let (width, height) = record.dimensions.unwrap_or_default();
    let mut object = json!({
        "id": record.id,
        "file_id": record.id,
        "object": "file",
        "bytes": record.size,
        "created_at": record.created_at,
        "filename": record.name,
        "purpose": record.purpose,
        "status": "processed",
        "mime_type": record.mime_type,
        "width": width,
        "height": height,
    });
    if let (Some(id), Some(object)) = (&record.library_file_id, object.as_object_mut()) {
        object.insert("library_file_id".to_owned(), id.as_str().into());
    }
    object
}
