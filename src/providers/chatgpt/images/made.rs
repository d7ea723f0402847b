//! Pictures that are made: fetched from the service, given as bytes or as a link of the gateway.

use std::time::Duration;

use aurora_accounts::Lease;
use aurora_chatgpt::fault::FaultKind;
use aurora_chatgpt::stream::Picture;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use url::Url;

use super::super::failure::Failure;
use super::super::files::checked_id;
use super::super::turn::unexpected;
use super::super::web::{Ask, Web, next_chunk};
use super::super::{Service, references};
use super::gathered;
use crate::providers::{Answer, Visitor};

/// The largest picture, bytes.
const MAX_PICTURE: usize = 64 << 20;

/// How often a file that is not there yet is asked for, and how long apart.
const TRIES: u32 = 5;
const GAP: Duration = Duration::from_secs(1);

/// How often a link leads elsewhere.
const MAX_REDIRECTS: u32 = 3;

/// A picture with the conversation that holds it.
pub(in super::super) type Placed<'a> = (Option<&'a str>, &'a Picture);

/// A Markdown line that shows a picture in a chat.
pub(in super::super) async fn markdown(
    service: &Service,
    lease: &Lease,
    visitor: &Visitor,
    placed: Placed<'_>,
) -> Result<String, Failure> {
    let link = link(service, lease, visitor, placed).await?;
    Ok(format!("![image]({link})"))
}

/// Keeps a picture and gives its signed link.
pub(super) async fn link(
    service: &Service,
    lease: &Lease,
    visitor: &Visitor,
    (conversation, picture): Placed<'_>,
) -> Result<String, Failure> {
    let answer = fetched(service, lease, (conversation, picture)).await?;
    let mut body = answer.body;
    let idle = service.web.timeouts.idle;
    let Some(first) = next_chunk(&mut body, idle).await? else {
        return Err(unexpected("gave an empty picture"));
    };
    let content_type = references::picture_type(&first)
        .ok_or_else(|| unexpected("gave something that is no picture"))?;
    let mut new = service.gallery.begin(content_type).await?;
    new.write(&first).await?;
    let mut size = first.len();
    while let Some(chunk) = next_chunk(&mut body, idle).await? {
        size += chunk.len();
        if size > MAX_PICTURE {
            return Err(unexpected("gave a picture that is too large"));
        }
        new.write(&chunk).await?;
    }
    let name = new.keep().await?;
    let public = service.public_url.as_ref().map(Url::as_str);
    let origin = public.or(visitor.origin.as_deref()).unwrap_or_default();
    Ok(service.gallery.link(origin, &name).await?)
}

/// The bytes of a picture.
pub(super) async fn bytes(
    service: &Service,
    lease: &Lease,
    placed: Placed<'_>,
) -> Result<Vec<u8>, Failure> {
    let answer = fetched(service, lease, placed).await?;
    let bytes = gathered(answer, MAX_PICTURE).await?;
    if references::picture_type(&bytes).is_none() {
        return Err(unexpected("gave something that is no picture"));
    }
    Ok(bytes)
}

/// A picture on its way. A link that does not hold any more is asked for once again.
async fn fetched(
    service: &Service,
    lease: &Lease,
    (conversation, picture): Placed<'_>,
) -> Result<Answer, Failure> {
    // Only pictures of the newer kind belong to their conversation.
    let is_new = picture.asset_pointer.starts_with("sediment://");
    let conversation = conversation.filter(|_| is_new);
    let first = download(&service.web, lease, &picture.file_id, conversation).await;
    match first {
        Err(Failure::Service(fault)) if fault.kind == FaultKind::Unexpected => {
            download(&service.web, lease, &picture.file_id, conversation).await
        }
        outcome => outcome,
    }
}

/// The content of a file of the service's: its link is resolved and followed.
pub(in super::super) async fn download(
    web: &Web,
    lease: &Lease,
    file_id: &str,
    conversation: Option<&str>,
) -> Result<Answer, Failure> {
    let mut url = resolved(web, lease, file_id, conversation).await?;
    for _ in 0..=MAX_REDIRECTS {
        let answer = web.link(lease, url.clone()).await?;
        if answer.status.is_redirection() {
            let location = answer.headers.get(http::header::LOCATION);
            let location = location.and_then(|value| value.to_str().ok());
            url = location
                .and_then(|location| url.join(location).ok())
                .ok_or_else(|| unexpected("gave a link that leads nowhere"))?;
            continue;
        }
        let is_page = answer.headers.get(CONTENT_TYPE).is_some_and(|value| {
            value
                .as_bytes()
                .to_ascii_lowercase()
                .starts_with(b"text/html")
        });
        if answer.status != StatusCode::OK || is_page {
            let status = answer.status.as_u16();
            return Err(unexpected(&format!(
                "gave a link that does not hold (status {status})"
            )));
        }
        return Ok(answer);
    }
    Err(unexpected("gave a link that leads in circles"))
}

/// The link to a file's content.
async fn resolved(
    web: &Web,
    lease: &Lease,
    file_id: &str,
    conversation: Option<&str>,
) -> Result<Url, Failure> {
    let file_id = checked_id(file_id)?;
    let path = match conversation {
        Some(id) => format!(
            "conversation/{}/attachment/{file_id}/download",
            checked_id(id)?
        ),
        None => format!("files/{file_id}/download"),
    };
    for attempt in 0..TRIES {
        if attempt > 0 {
            tokio::time::sleep(GAP).await;
        }
        let answer = web.value(lease, Ask::get(path.as_str())).await?;
        let text = |key: &str| answer.get(key).and_then(Value::as_str);
        if let Some(url) = text("download_url").and_then(|url| url_of(web, url)) {
            return Ok(url);
        }
        if text("status") != Some("retry") {
            break;
        }
    }
    Err(Failure::of_kind(
        FaultKind::NotFound,
        "the ChatGPT service does not have this file for the account",
    ))
}

/// A link, which may be relative to the service.
fn url_of(web: &Web, text: &str) -> Option<Url> {
    let url = web.settings.base_url.join(text).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(url)
}
