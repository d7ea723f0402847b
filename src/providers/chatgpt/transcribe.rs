//! Transcription: the sound goes to the service as it came, its text back in the form asked for.

use std::sync::Arc;

use aurora_accounts::{Feature, Lease};
use aurora_sdk::{Body, Error};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::Method;
use http::StatusCode;
use http::header::HeaderValue;
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::failure::Failure;
use super::serving::Asking;
use super::web::{Ask, Web};
use super::words::wrong;
use super::{Service, decided, json_answer, whole};
use crate::providers::{Answer, Call, Fault};
use crate::spool::{Spooled, SpooledFile};

/// The largest sound file, bytes.
const MAX_SOUND: u64 = 50 << 20;

/// The largest answer, bytes.
const MAX_TEXT: usize = 16 << 20;

/// How the text is given.
#[derive(Debug, Clone, Copy)]
enum Form {
    Json,
    Text,
    Verbose,
}

/// Answers `audio/transcriptions` and `audio/translations`. The service translates nothing: both give what was said.
pub(super) async fn answer(service: &Arc<Service>, call: Call) -> Result<Answer, Fault> {
    let task = if call.path.contains("translations") {
        "translate"
    } else {
        "transcribe"
    };
    let form = Spooled::read(&call.headers, call.body, service.uploads(), MAX_SOUND)
        .await
        .map_err(decided)?;
    let wanted = wanted(form.field("response_format")).map_err(decided)?;
    let file = sound(&form).map_err(decided)?;
    let language = language(form.field("language")).map_err(decided)?;
    let asking = Asking {
        visitor: &call.visitor,
        tries: &call.tries,
        model: None,
        feature: Feature::Transcription,
        login_for: Some("transcription"),
        pinned: None,
        turn: false,
    };
    let heard =
        |lease: Arc<Lease>| async move { transcribe(&service.web, &lease, file, language).await };
    let (text, _) = service.with_account(&asking, heard).await?;
    Ok(match wanted {
        Form::Json => json_answer(&json!({"text": text})),
        Form::Verbose => json_answer(&json!({
            "task": task, "language": language.unwrap_or_default(), "duration": 0, "text": text,
            "segments": [], "words": []})),
        Form::Text => whole(
            StatusCode::OK,
            HeaderValue::from_static("text/plain; charset=utf-8"),
            Bytes::from(text),
        ),
    })
}

fn wanted(format: Option<&str>) -> Result<Form, Error> {
    match format {
        None | Some("" | "json") => Ok(Form::Json),
        Some("text") => Ok(Form::Text),
        Some("verbose_json") => Ok(Form::Verbose),
        Some(other) => {
            let message = format!(
                "`response_format` is `{other}`; the ChatGPT service gives json, text and verbose_json"
            );
            Err(Error::invalid(
                "invalid_response_format",
                "response_format",
                message,
            ))
        }
    }
}

/// A language such as `en` or `zh-TW`; it goes into a form, so it must be a plain word.
fn language(word: Option<&str>) -> Result<Option<&str>, Error> {
    let word = word.map(str::trim).filter(|word| !word.is_empty());
    let is_plain = |word: &str| {
        word.chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    };
    if word.is_some_and(|word| !is_plain(word)) {
        return Err(wrong("language", "a language code such as `en`"));
    }
    Ok(word)
}

fn sound(form: &Spooled) -> Result<&SpooledFile, Error> {
    let Some(file) = form.file("file") else {
        let message = "the form has no part `file` with a sound file";
        return Err(Error::invalid(
            "missing_required_parameter",
            "file",
            message,
        ));
    };
    if file.size == 0 {
        return Err(Error::invalid(
            "empty_file",
            "file",
            "the sound file is empty",
        ));
    }
    Ok(file)
}

async fn transcribe(
    web: &Web,
    lease: &Lease,
    file: &SpooledFile,
    language: Option<&str>,
) -> Result<String, Failure> {
    let boundary = format!("aurora-{}", Uuid::new_v4().simple());
    let content_type = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}"))
        .map_err(Error::internal)?;
    let ask = Ask {
        method: Method::POST,
        content_type: Some(content_type),
        body: body(&boundary, file, language).await?,
        ..Ask::get("transcribe")
    };
    let answer = web.accepted(lease, ask).await?;
    let bytes = web.read(answer.body, MAX_TEXT).await?;
    let json: Option<Value> = serde_json::from_slice(&bytes).ok();
    let text = json.as_ref().and_then(|json| json.get("text")?.as_str());
    // Some answers are the text alone.
    Ok(match text {
        Some(text) => text.to_owned(),
        None => String::from_utf8_lossy(&bytes).trim().to_owned(),
    })
}

/// The form for the service, its file streamed from the disk.
async fn body(boundary: &str, file: &SpooledFile, language: Option<&str>) -> Result<Body, Failure> {
    let language = match language {
        Some(language) => format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"language\"\r\n\r\n{language}\r\n"
        ),
        None => String::new(),
    };
    let name = file.name.as_deref().unwrap_or("audio");
    let content_type = file
        .content_type
        .as_deref()
        .unwrap_or("application/octet-stream");
    let head = format!(
        "{language}--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: {content_type}\r\n\r\n"
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let length = head.len() as u64 + file.size + tail.len() as u64;
    let opened = tokio::fs::File::open(file.path())
        .await
        .map_err(Error::internal)?;
    let content = ReaderStream::new(opened).map(|piece| piece.map_err(Error::internal));
    let body = stream::iter([Ok(Bytes::from(head))])
        .chain(content)
        .chain(stream::iter([Ok(Bytes::from(tail))]));
    Ok(Body::stream(Box::pin(body), Some(length)))
}
