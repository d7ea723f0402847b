//! An answer that goes on beside its stream: the rest is to be had by resuming, over a websocket, or by asking again.

use std::sync::Arc;
use std::time::Duration;

use aurora_accounts::Lease;
use aurora_chatgpt::fault::FaultKind;
use aurora_chatgpt::stream::Handoff;
use aurora_sdk::{Error, ErrorKind, Origin};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::content::checked_id;
use super::failure::Failure;
use super::web::{Ask, Web};
use super::websocket;
use crate::providers::{Chunks, Fault};

/// How often a stream may be resumed without another way being tried.
const MAX_RESUMES: u32 = 3;

/// How often a saved conversation is looked at.
const POLL_GAP: Duration = Duration::from_secs(3);

/// The longest pause that the service can ask for between two looks.
const MAX_PAUSE: Duration = Duration::from_mins(1);

/// How long a websocket has before the conversation is looked at.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// How far the ways were tried.
#[derive(Debug, Default)]
pub(super) struct Following {
    /// When the answer must be there, and the conversation that it belongs to; set by the first handoff.
    until: Option<(Instant, String)>,
    resumes: u32,
    is_resume_gone: bool,
    is_websocket_tried: bool,
    is_polled: bool,
}

/// An answer that goes on elsewhere.
pub(super) struct Place {
    pub(super) web: Arc<Web>,
    pub(super) lease: Arc<Lease>,
    pub(super) handoff: Handoff,
    /// Whether the conversation is kept, so that it can be looked at.
    pub(super) is_kept: bool,
}

impl Following {
    /// The stream that goes on: resumed, else the websocket's, else what the saved conversation holds in the end.
    ///
    /// # Errors
    /// Where every way failed; names the conversation.
    pub(super) async fn follow(&mut self, place: &Place) -> Result<Chunks, Failure> {
        let (web, handoff) = (&place.web, &place.handoff);
        self.until.get_or_insert_with(|| {
            let until = Instant::now() + web.settings.handoff_timeout;
            (until, handoff.conversation_id.clone())
        });
        if let Some(token) = handoff.resume_token.clone()
            && !self.is_resume_gone
            && self.resumes < MAX_RESUMES
        {
            self.resumes += 1;
            match resume(place, token).await {
                Ok(body) => return Ok(body),
                Err(failure) => {
                    tracing::debug!(cause = ?failure, "a stream cannot be resumed");
                    self.is_resume_gone = true;
                }
            }
        }
        if let Some(topic) = &handoff.topic_id
            && !self.is_websocket_tried
        {
            self.is_websocket_tried = true;
            match websocket::turn(web, &place.lease, &handoff.conversation_id, topic).await {
                // The service may never speak on it, while the answer is there to be looked at.
                Ok(body) if place.is_kept => {
                    return Ok(Box::pin(stream::select(body, looks(place, FIRST_LOOK)?)));
                }
                Ok(body) => return Ok(body),
                Err(failure) => {
                    tracing::debug!(cause = ?failure, "the service's websocket cannot be used");
                }
            }
        }
        if self.is_polled || !place.is_kept {
            return Err(gone(handoff));
        }
        self.is_polled = true;
        looks(place, Duration::ZERO)
    }

    /// Whether the answer should have been there by now.
    pub(super) fn is_too_late(&self) -> bool {
        let until = self.until.as_ref();
        until.is_some_and(|(until, _)| *until <= Instant::now())
    }

    /// 504, naming the conversation.
    pub(super) fn too_late(&self) -> Failure {
        let id = self.until.as_ref().map_or("", |(_, id)| id);
        Failure::Transport(Fault::Judged {
            error: Error::new(
                ErrorKind::GatewayTimeout,
                Origin::Upstream,
                "upstream_handoff_timeout",
                format!(
                    "the ChatGPT service did not finish this answer within the upstream's `handoff` timeout \
                     (conversation {id})"
                ),
            ),
            retry_on: None,
        })
    }
}

async fn resume(place: &Place, token: String) -> Result<Chunks, Failure> {
    let body = json!({"conversation_id": place.handoff.conversation_id, "offset": 0});
    let ask = Ask::events("f/conversation/resume", &body, Some(token));
    place.web.events(&place.lease, ask).await
}

/// Looks at the kept conversation until it holds the answer, and gives it as a stream would have; no bytes meanwhile.
fn looks(place: &Place, first: Duration) -> Result<Chunks, Failure> {
    let id = checked_id(&place.handoff.conversation_id)?.to_owned();
    let (web, lease) = (Arc::clone(&place.web), Arc::clone(&place.lease));
    let looking = (web, lease, id, first);
    Ok(Box::pin(stream::unfold(Some(looking), async |looking| {
        let (web, lease, id, wait) = looking?;
        tokio::time::sleep(wait).await;
        match look(&web, &lease, &id).await {
            Ok(Look::There(frames)) => Some((Ok(Bytes::from(frames)), None)),
            Ok(Look::NotYet(wait)) => Some((Ok(Bytes::new()), Some((web, lease, id, wait)))),
            Err(Failure::Transport(fault)) => Some((Err(fault), None)),
            // The stream ends here: what is missing is told as what it is.
            Ok(Look::Never) | Err(_) => None,
        }
    })))
}

/// What a look at a kept conversation showed.
enum Look {
    /// The answer, as frames.
    There(String),
    /// Look again after this.
    NotYet(Duration),
    /// There is no such conversation.
    Never,
}

async fn look(web: &Web, lease: &Lease, id: &str) -> Result<Look, Failure> {
    match web
        .value(lease, Ask::get(format!("conversation/{id}")))
        .await
    {
        Ok(saved) => Ok(match answer_frame(&saved, id) {
            Some(frames) => Look::There(frames),
            None => Look::NotYet(POLL_GAP),
        }),
        Err(Failure::Service(fault)) => Ok(match fault.kind {
            FaultKind::RateLimited | FaultKind::ModelCap => {
                let wait = fault.clears_in.unwrap_or(POLL_GAP);
                Look::NotYet(wait.clamp(POLL_GAP, MAX_PAUSE))
            }
            FaultKind::ServerError => Look::NotYet(POLL_GAP),
            _ => Look::Never,
        }),
        Err(failure) => Err(failure),
    }
}

/// The finished answer of a saved conversation as frames of a stream.
fn answer_frame(saved: &Value, conversation_id: &str) -> Option<String> {
    let newest = saved.get("current_node")?.as_str()?;
    let message = saved.get("mapping")?.get(newest)?.get("message")?;
    let role = message.get("author")?.get("role")?.as_str()?;
    let status = message.get("status")?.as_str()?;
    let is_over = message.get("end_turn").and_then(Value::as_bool) == Some(true);
    if role != "assistant" || !status.starts_with("finished") || !is_over {
        return None;
    }
    let frame = json!({"message": message, "conversation_id": conversation_id, "error": null});
    Some(format!("data: {frame}\n\ndata: [DONE]\n\n"))
}

fn gone(handoff: &Handoff) -> Failure {
    Failure::of_kind(
        FaultKind::Truncated,
        format!(
            "the ChatGPT service went on with this answer elsewhere and it could not be followed (conversation {})",
            handoff.conversation_id
        ),
    )
}
