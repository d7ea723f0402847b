//! An answer that goes on beside its stream: the rest is to be had by resuming, over a websocket, or by asking again.

use std::time::Duration;

use aurora_accounts::Lease;
use aurora_chatgpt::fault::FaultKind;
use aurora_chatgpt::stream::Handoff;
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::failure::Failure;
use super::web::{Ask, Web};
use super::websocket;
use crate::providers::Chunks;

/// How often a stream may be resumed without another way being tried.
const MAX_RESUMES: u32 = 3;

/// How often a saved conversation is asked for.
const POLL_GAP: Duration = Duration::from_secs(3);

/// How far the ways were tried.
#[derive(Debug, Default)]
pub(super) struct Following {
    /// When the answer must be there; set by the first handoff.
    until: Option<Instant>,
    resumes: u32,
    is_resume_gone: bool,
    is_websocket_tried: bool,
    is_polled: bool,
}

impl Following {
    /// The stream that goes on: resumed, else the websocket's, else what the saved conversation holds in the end.
    ///
    /// # Errors
    /// Where every way failed; names the conversation.
    pub(super) async fn follow(
        &mut self,
        web: &Web,
        lease: &Lease,
        handoff: Handoff,
    ) -> Result<Chunks, Failure> {
        let until = *self
            .until
            .get_or_insert_with(|| Instant::now() + web.settings.handoff_timeout);
        let every_way = self.every_way(web, lease, &handoff);
        match tokio::time::timeout_at(until, every_way).await {
            Ok(found) => found,
            Err(_) => Err(too_late(&handoff)),
        }
    }

    async fn every_way(
        &mut self,
        web: &Web,
        lease: &Lease,
        handoff: &Handoff,
    ) -> Result<Chunks, Failure> {
        if let Some(token) = handoff.resume_token.clone()
            && !self.is_resume_gone
            && self.resumes < MAX_RESUMES
        {
            self.resumes += 1;
            match resume(web, lease, handoff, token).await {
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
            match websocket::turn(web, lease, &handoff.conversation_id, topic).await {
                Ok(body) => return Ok(body),
                Err(failure) => {
                    tracing::debug!(cause = ?failure, "the service's websocket cannot be used");
                }
            }
        }
        if self.is_polled {
            return Err(gone(handoff));
        }
        self.is_polled = true;
        poll(web, lease, handoff).await
    }
}

async fn resume(
    web: &Web,
    lease: &Lease,
    handoff: &Handoff,
    token: String,
) -> Result<Chunks, Failure> {
    let body = json!({"conversation_id": handoff.conversation_id, "offset": 0});
    let ask = Ask::events("f/conversation/resume", &body, Some(token));
    web.events(lease, ask).await
}

/// Asks for the saved conversation until it holds an answer, and gives it as the stream would have.
async fn poll(web: &Web, lease: &Lease, handoff: &Handoff) -> Result<Chunks, Failure> {
    loop {
        let path = format!("conversation/{}", handoff.conversation_id);
        match web.value(lease, Ask::get(path)).await {
            Ok(saved) => {
                if let Some(frame) = answer_frame(&saved, &handoff.conversation_id) {
                    let body = stream::iter([Ok(Bytes::from(frame))]);
                    return Ok(Box::pin(body));
                }
            }
            Err(Failure::Service(fault)) if fault.kind == FaultKind::RateLimited => {
                tokio::time::sleep(
                    fault
                        .clears_in
                        .unwrap_or(POLL_GAP)
                        .min(Duration::from_mins(1)),
                )
                .await;
            }
            Err(Failure::Service(fault))
                if matches!(
                    fault.kind,
                    FaultKind::ConversationNotFound | FaultKind::NotFound
                ) =>
            {
                return Err(gone(handoff));
            }
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(POLL_GAP).await;
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

fn too_late(handoff: &Handoff) -> Failure {
    Failure::Transport(crate::providers::Fault::Judged {
        error: aurora_sdk::Error::new(
            aurora_sdk::ErrorKind::GatewayTimeout,
            aurora_sdk::Origin::Upstream,
            "upstream_handoff_timeout",
            format!(
                "the ChatGPT service did not finish this answer within the upstream's `handoff` timeout (conversation {})",
                handoff.conversation_id
            ),
        ),
        retry_on: None,
    })
}
