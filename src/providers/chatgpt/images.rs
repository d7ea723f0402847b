//! Pictures: one conversation each, inline or awaited, given as base64 or as links of the gateway.

mod asked;
mod made;
mod outcome;
mod streamed;

pub(super) use made::markdown;
pub(super) use outcome::awaited;

use std::sync::Arc;

use aurora_accounts::{Feature, Lease};
use aurora_chatgpt::model::{Effort, Model};
use aurora_chatgpt::request::{Draft, Role};
use aurora_sdk::Error;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use self::asked::Asked;
use self::outcome::Pictured;
use super::failure::Failure;
use super::serving::Asking;
use super::stamp::{message_id, now, seconds};
use super::turn::turn_settings;
use super::{Service, decided, json_answer};
use crate::providers::{Answer, Call, Fault, Tries, Visitor};

/// Answers `images/generations`, `images/edits` and `images/variations`.
pub(super) async fn answer(service: &Arc<Service>, call: Call) -> Result<Answer, Fault> {
    let visitor = Arc::clone(&call.visitor);
    let tries = call.tries.clone();
    let asked = Asked::read(service, call).await.map_err(decided)?;
    let job = Arc::new(Job {
        service: Arc::clone(service),
        asked,
        visitor,
        tries,
    });
    if job.asked.stream {
        return Ok(super::events_answer(streamed::body(job)));
    }
    let mut data = Vec::new();
    let mut failure = None;
    for number in 0..job.asked.count {
        if data.len() >= job.asked.count {
            break;
        }
        match job.one().await {
            Ok(items) => data.extend(items),
            Err(fault) => {
                tracing::warn!(number, cause = ?fault, "a picture could not be made");
                failure = Some(fault);
            }
        }
    }
    match failure {
        // Better some pictures than none.
        Some(fault) if data.is_empty() => Err(fault),
        _ => Ok(json_answer(&json!({"created": seconds(), "data": data}))),
    }
}

/// A request for pictures while it is worked on.
struct Job {
    service: Arc<Service>,
    asked: Asked,
    visitor: Arc<Visitor>,
    tries: Tries,
}

impl Job {
    /// The items of one conversation: one picture as a rule.
    async fn one(&self) -> Result<Vec<Value>, Fault> {
        let model = Model::for_images(&self.asked.model);
        let asking = Asking {
            visitor: &self.visitor,
            tries: &self.tries,
            model: Some(&model.slug),
            feature: Feature::Images,
            login_for: Some(self.asked.feature()),
            pinned: None,
            turn: true,
        };
        let chosen = &model;
        let made = |lease: Arc<Lease>| async move { self.made_by(&lease, chosen).await };
        let (items, _) = self.service.with_account(&asking, made).await?;
        Ok(items)
    }

    async fn made_by(&self, lease: &Arc<Lease>, model: &Model) -> Result<Vec<Value>, Failure> {
        let web = &self.service.web;
        let mut attachments = Vec::new();
        for reference in &self.asked.references {
            attachments.push(reference.send(web, lease).await?);
        }
        let draft = Draft {
            role: Role::User,
            text: self.asked.prompt_text(),
            references: Vec::new(),
        };
        let message = draft.message(&message_id(), now(), &attachments, &model.hints);
        // A picture can be asked for later only in a conversation that is kept.
        let mut settings = turn_settings(model.clone(), Effort::Standard, false);
        settings.form = aurora_chatgpt::request::Form::Delta;
        let pictured = Pictured::of_turn(&self.service, lease, settings, vec![message]).await?;
        let mut items = Vec::new();
        for picture in &pictured.pictures {
            items.push(self.item(lease, &pictured, picture).await?);
        }
        Ok(items)
    }

    async fn item(
        &self,
        lease: &Lease,
        pictured: &Pictured,
        picture: &aurora_chatgpt::stream::Picture,
    ) -> Result<Value, Failure> {
        let conversation = pictured.conversation_id.as_deref();
        let mut item = if self.asked.wants_url {
            let link =
                made::link(&self.service, lease, &self.visitor, (conversation, picture)).await?;
            json!({"url": link})
        } else {
            let bytes = made::bytes(&self.service, lease, (conversation, picture)).await?;
            json!({"b64_json": super::references::to_base64(&bytes)})
        };
        let revised = picture.prompt.as_deref().unwrap_or(&self.asked.prompt);
        if let Some(item) = item.as_object_mut() {
            item.insert("revised_prompt".to_owned(), revised.into());
        }
        Ok(item)
    }
}

/// Reads the rest of a body into memory, at most `max` bytes.
async fn gathered(answer: Answer, max: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut body = answer.body;
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        if bytes.len() + chunk.len() > max {
            return Err(Failure::Decided(Error::internal("a picture is too large")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
