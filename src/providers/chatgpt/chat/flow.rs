//! From a turn to the client: chunk by chunk, or as a whole.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use aurora_accounts::{Feature, Lease};
use aurora_chatgpt::stream::{Event, FinishReason, Picture};
use bytes::Bytes;
use futures_util::stream;
use serde_json::Value;

use super::super::answer::{Composer, Told};
use super::super::failure::{Failure, Standing};
use super::super::turn::{Running, SIGN_OF_LIFE, Step, failed};
use super::super::{Service, images};
use super::Begun;
use super::asked::Asked;
use crate::providers::{Chunks, Fault, Visitor};

/// The whole answer of a turn, asking again where the model refused its functions.
pub(super) async fn whole(
    service: &Arc<Service>,
    lease: &Arc<Lease>,
    asked: &Asked,
    (visitor, mut running): (&Visitor, Running),
) -> Result<Value, Failure> {
    let mut retries = service.web.settings.refusal_retries;
    loop {
        let (mut told, mut reasoning) = (Told::default(), String::new());
        let mut made = Vec::new();
        let reason = loop {
            let event = match running.next().await {
                Ok(Some(Step::Event(event))) => event,
                Ok(Some(Step::Alive)) => continue,
                Ok(None) => break FinishReason::Stop,
                // A continuation failed: what there is, is an answer that was cut.
                Err(failure) if running.turn().continuation().is_some() => {
                    tracing::warn!(cause = ?failure, "a cut answer could not be continued");
                    break FinishReason::Length;
                }
                Err(failure) => return Err(failure),
            };
            note(&event, asked, &mut told);
            match event {
                Event::Reasoning(text) => reasoning.push_str(&text),
                Event::Finish(reason) => break reason,
                Event::Failed(error) => return Err(failed(&error)),
                Event::Image(picture) => made.push(picture),
                Event::Pending(task) => {
                    asked.check_kept()?;
                    made.extend(images::awaited(service, lease, &task).await?);
                    break FinishReason::Stop;
                }
                _ => {}
            }
        };
        let mut answer = running.turn().answer();
        let conversation = told.conversation_id.as_deref();
        for picture in &made {
            let line = images::markdown(service, lease, visitor, (conversation, picture)).await?;
            if !answer.is_empty() {
                answer.push_str("\n\n");
            }
            answer.push_str(&line);
        }
        let (completion, refused) = asked.shape.completion(&answer, &reasoning, reason, &told);
        if !refused || retries == 0 {
            return Ok(completion);
        }
        retries -= 1;
        tracing::info!(
            upstream = service.web.name,
            "the model refused its functions; asked again"
        );
        let messages = service.messages(lease, &visitor.owner, asked, true).await?;
        running = Running::begin(&service.web, lease, asked.settings.clone(), messages).await?;
    }
}

/// Takes down what answers tell along.
fn note(event: &Event, asked: &Asked, told: &mut Told) {
    match event {
        Event::Conversation(id) => told.conversation_id = Some(id.clone()),
        Event::Model(model) => {
            let wanted = &asked.settings.model.slug;
            if wanted != "auto" && model != wanted {
                tracing::warn!(
                    wanted,
                    served = model,
                    "the service answers with another model"
                );
                told.served_model = Some(model.clone());
            }
        }
        _ => {}
    }
}

type Awaited = Pin<Box<dyn Future<Output = Result<Vec<Picture>, Failure>> + Send>>;

/// A streamed answer.
pub(super) struct Flow {
    service: Arc<Service>,
    lease: Arc<Lease>,
    asked: Asked,
    visitor: Arc<Visitor>,
    running: Running,
    early: VecDeque<Event>,
    /// Pictures that are still being made.
    awaited: Option<Awaited>,
    composer: Composer,
    told: Told,
    retries: u32,
    /// Whether words were given.
    has_text: bool,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Beginning,
    Open,
    Over,
}

impl Flow {
    pub(super) fn new(
        service: &Arc<Service>,
        lease: Arc<Lease>,
        asked: Asked,
        visitor: Arc<Visitor>,
        begun: Begun,
    ) -> Self {
        Self {
            composer: Composer::new(asked.shape.clone()),
            retries: service.web.settings.refusal_retries,
            service: Arc::clone(service),
            visitor,
            lease,
            asked,
            running: begun.running,
            early: begun.early.into(),
            awaited: None,
            told: Told::default(),
            has_text: false,
            phase: Phase::Beginning,
        }
    }

    /// The chunks. Dropping the body drops the turn and frees its account.
    pub(super) fn into_body(self) -> Chunks {
        Box::pin(stream::unfold(self, async |mut flow| {
            let chunk = flow.next().await?;
            Some((chunk, flow))
        }))
    }

    async fn next(&mut self) -> Option<Result<Bytes, Fault>> {
        let mut out = String::new();
        match self.phase {
            Phase::Over => return None,
            Phase::Beginning => {
                self.phase = Phase::Open;
                for event in &self.early {
                    note(event, &self.asked, &mut self.told);
                }
                self.composer.begin(&self.told, &mut out);
                return Some(Ok(out.into()));
            }
            Phase::Open => {}
        }
        match self.step(&mut out).await {
            Ok(()) => Some(Ok(out.into())),
            Err(failure) => {
                self.phase = Phase::Over;
                let model = self.asked.settings.model.slug.as_str();
                if let Failure::Service(fault) = &failure {
                    self.lease.settle(fault, Some(model), Feature::Chat);
                }
                let standing = Standing {
                    is_external: self.lease.is_external(),
                    is_pinned: true,
                };
                Some(Err(failure.into_fault(standing)))
            }
        }
    }

    /// One step of the turn; writes what the client gets of it, which may be nothing.
    async fn step(&mut self, out: &mut String) -> Result<(), Failure> {
        if let Some(awaited) = &mut self.awaited {
            let Ok(pictures) = tokio::time::timeout(SIGN_OF_LIFE, awaited).await else {
                // No words, but not silence either.
                return Ok(());
            };
            self.awaited = None;
            for picture in pictures? {
                self.show(&picture, out).await?;
            }
            return self.end(FinishReason::Stop, out).await;
        }
        let event = match self.early.pop_front() {
            Some(event) => event,
            None => match self.running.next().await? {
                Some(Step::Event(event)) => {
                    note(&event, &self.asked, &mut self.told);
                    event
                }
                Some(Step::Alive) => return Ok(()),
                None => return self.end(FinishReason::Stop, out).await,
            },
        };
        match event {
            Event::Text(text) => {
                self.has_text = true;
                self.composer.text(&text, &self.told, out);
                if self.composer.is_stopped() {
                    return self.end(FinishReason::Stop, out).await;
                }
            }
            Event::Reasoning(text) => self.composer.reasoning(&text, &self.told, out),
            Event::Image(picture) => self.show(&picture, out).await?,
            Event::Pending(task) => {
                self.asked.check_kept()?;
                let (service, lease) = (Arc::clone(&self.service), Arc::clone(&self.lease));
                self.awaited = Some(Box::pin(async move {
                    images::awaited(&service, &lease, &task).await
                }));
            }
            Event::Finish(reason) => return self.end(reason, out).await,
            Event::Failed(error) => return Err(failed(&error)),
            _ => {}
        }
        Ok(())
    }

    /// A picture in the answer.
    async fn show(&mut self, picture: &Picture, out: &mut String) -> Result<(), Failure> {
        let placed = (self.told.conversation_id.as_deref(), picture);
        let line = images::markdown(&self.service, &self.lease, &self.visitor, placed).await?;
        if self.has_text {
            self.composer.text("\n\n", &self.told, out);
        }
        self.has_text = true;
        self.composer.text(&line, &self.told, out);
        Ok(())
    }

    async fn end(&mut self, reason: FinishReason, out: &mut String) -> Result<(), Failure> {
        let may_ask_again = self.retries > 0;
        if !self.composer.end_text(may_ask_again, &self.told, out) {
            self.retries -= 1;
            tracing::info!(
                upstream = self.service.web.name,
                "the model refused its functions; asked again"
            );
            let (service, lease) = (&self.service, &self.lease);
            let messages = service
                .messages(lease, &self.visitor.owner, &self.asked, true)
                .await?;
            let settings = self.asked.settings.clone();
            self.running = Running::begin(&service.web, lease, settings, messages).await?;
            return Ok(());
        }
        self.composer.finish(reason, &self.told, out);
        self.phase = Phase::Over;
        Ok(())
    }
}
