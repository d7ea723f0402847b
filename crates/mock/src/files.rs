//! `files`: uploads that live in the host's state for a day.

mod shelf;

use aurora_sdk::{Error, ErrorKind, Origin};
use http::header::{CONTENT_DISPOSITION, HeaderValue};
use serde_json::{Value, json};

use crate::refusal::{not_found, wrong_value};
use crate::seed::Seed;
use crate::words::quote;
use crate::{Answer, Exchange};
use shelf::{KEEP, Shelf};

/// Bytes of one file at most: files live in memory or in a small store.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Files of one list page at most, as at OpenAI.
const MAX_LIMIT: usize = 10_000;

/// `POST files`.
pub(crate) async fn upload(exchange: &Exchange<'_>) -> Result<Answer, Error> {
    let form = exchange.form().await?;
    let upload = form.file()?;
    if upload.content.len() > MAX_BYTES {
        return Err(too_large(upload.content.len()));
    }
    let purpose = match form.fields.text("purpose")? {
        None | Some("") => "user_data",
        Some(purpose) => purpose,
    };
    let created = exchange.created();
    // The time counts as well, else a client with a fixed boundary could not upload a file twice.
    let seed = Seed::of(&[&exchange.body, &created.to_le_bytes()]);
    let id = seed.id("file-");
    let file = json!({
        "id": id,
        "object": "file",
        "bytes": upload.content.len(),
        "created_at": created,
        "expires_at": created + KEEP.as_secs(),
        "filename": upload.title(),
        "purpose": quote(purpose, 64),
        "status": "processed",
        "mime_type": upload.media_type.as_deref().map(|kind| quote(kind, 100)),
    });
    Shelf::of(exchange)
        .put(&id, &file, upload.content.clone())
        .await?;
    Ok(Answer::json(&file))
}

/// `GET files`, newest first unless `order=asc`.
pub(crate) async fn list(exchange: &Exchange<'_>) -> Result<Answer, Error> {
    let limit = match exchange.query("limit") {
        None => MAX_LIMIT,
        Some(limit) => limit
            .parse()
            .ok()
            .filter(|limit| (1..=MAX_LIMIT).contains(limit))
            .ok_or_else(|| wrong_value("limit", &format!("an integer from 1 to {MAX_LIMIT}")))?,
    };
    let mut files = Shelf::of(exchange).list().await?;
    match exchange.query("order").as_deref() {
        None | Some("desc") => files.reverse(),
        Some("asc") => {}
        Some(_) => return Err(wrong_value("order", "asc or desc")),
    }
    if let Some(purpose) = exchange.query("purpose") {
        files.retain(|file| file.get("purpose").and_then(Value::as_str) == Some(&purpose));
    }
    if let Some(after) = exchange.query("after") {
        let place = files.iter().position(|file| id_of(file) == Some(&after));
        let place = place.ok_or_else(|| wrong_value("after", "the id of a file in the list"))?;
        files.drain(..=place);
    }
    let has_more = files.len() > limit;
    files.truncate(limit);
    Ok(Answer::json(&json!({
        "object": "list",
        "first_id": files.first().and_then(id_of),
        "last_id": files.last().and_then(id_of),
        "has_more": has_more,
        "data": files,
    })))
}

/// `GET files/{id}`.
pub(crate) async fn show(exchange: &Exchange<'_>, id: &str) -> Result<Answer, Error> {
    Ok(Answer::json(&find(exchange, id).await?))
}

/// `GET files/{id}/content`: always as plain bytes, so that no browser runs what was uploaded.
pub(crate) async fn content(exchange: &Exchange<'_>, id: &str) -> Result<Answer, Error> {
    let file = find(exchange, id).await?;
    let content = Shelf::of(exchange).content(id).await?;
    let content = content.ok_or_else(|| no_such_file(id))?;
    let mut answer = Answer::new("application/octet-stream", content);
    let name: String = file
        .get("filename")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .chars()
        .map(|letter| match letter {
            '"' | '\\' => '_',
            letter if letter.is_ascii() => letter,
            _ => '_',
        })
        .collect();
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        answer.headers.insert(CONTENT_DISPOSITION, value);
    }
    Ok(answer)
}

/// `DELETE files/{id}`.
pub(crate) async fn delete(exchange: &Exchange<'_>, id: &str) -> Result<Answer, Error> {
    find(exchange, id).await?;
    Shelf::of(exchange).remove(id).await?;
    Ok(Answer::json(
        &json!({"id": id, "object": "file", "deleted": true}),
    ))
}

async fn find(exchange: &Exchange<'_>, id: &str) -> Result<Value, Error> {
    let shelf = Shelf::of(exchange);
    shelf.find(id).await?.ok_or_else(|| no_such_file(id))
}

fn id_of(file: &Value) -> Option<&str> {
    file.get("id")?.as_str()
}

fn no_such_file(id: &str) -> Error {
    let message = format!("no such file: `{}`", quote(id, 100));
    not_found("file_not_found", message).with_param("id")
}

fn too_large(bytes: usize) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        Origin::Downstream,
        "file_too_large",
        format!("the file has {bytes} bytes; the mock upstream keeps files of at most {MAX_BYTES}"),
    )
    .with_param("file")
}
