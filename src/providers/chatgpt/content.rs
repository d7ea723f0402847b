//! The content of files of the service: links that are resolved, and followed where they lead.

use std::time::Duration;

use aurora_accounts::Lease;
use aurora_chatgpt::fault::FaultKind;
use aurora_chatgpt::upload::is_file_id;
use aurora_sdk::{Error, ErrorKind, Origin};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use url::Url;

use super::failure::Failure;
use super::turn::unexpected;
use super::web::{Ask, Web};
use crate::providers::Answer;

/// How often a file that is not there yet is asked for, and how long apart.
const TRIES: u32 = 5;
const GAP: Duration = Duration::from_secs(1);

/// How often a link leads elsewhere.
const MAX_REDIRECTS: u32 = 3;

/// The content of a file of the service's: its link is resolved and followed.
pub(super) async fn download(
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

/// A part of a path that is an id of the service's, and nothing that leads elsewhere.
pub(super) fn checked_id(id: &str) -> Result<&str, Failure> {
    let is_plain = !id.is_empty()
        && id
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if is_plain || is_file_id(id) {
        return Ok(id);
    }
    Err(Failure::Decided(not_found("this id")))
}

/// 404.
pub(super) fn not_found(what: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        Origin::Downstream,
        "not_found",
        format!("{what} does not exist here"),
    )
}
