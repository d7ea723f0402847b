//! Pictures that are made: fetched from the service, given as bytes or as a link of the gateway.

use aurora_accounts::Lease;
use aurora_chatgpt::fault::FaultKind;
use aurora_chatgpt::stream::Picture;
use url::Url;

use super::super::content::download;
use super::super::failure::Failure;
use super::super::turn::unexpected;
use super::super::web::next_chunk;
use super::super::{Service, references};
use super::gathered;
use crate::providers::{Answer, Visitor};

/// The largest picture, bytes.
const MAX_PICTURE: usize = 64 << 20;

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
