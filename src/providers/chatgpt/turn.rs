//! One turn of a conversation: its stream, what continues it, and where it goes on when the service hands it over.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use aurora_accounts::Lease;
use aurora_chatgpt::fault::{Fault, FaultKind};
use aurora_chatgpt::model::{Effort, Model};
use aurora_chatgpt::request::{
    Form, PrepareState, Settings, continuation, conversation, init, prepare,
};
use aurora_chatgpt::stream::{Event, FinishReason, Handoff, StreamError, Turn, TurnOptions};
use http::Method;
use serde_json::Value;
use tokio::time::Instant;

use super::failure::Failure;
use super::handoff::{Following, Place};
use super::web::{Ask, Web, silent};
use crate::providers::Chunks;

/// Where turns are posted.
const CONVERSATION: &str = "f/conversation";

/// How long a stream is read on after the turn is complete.
const AFTER_COMPLETE: Duration = Duration::from_secs(1);

/// How often a silent turn gives a sign of life to its reader.
pub(super) const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// What a turn gives.
#[derive(Debug)]
pub(super) enum Step {
    /// Something was told.
    Event(Event),
    /// Nothing was told, but the turn goes on.
    Alive,
}

/// A turn that runs.
pub(super) struct Running {
    web: Arc<Web>,
    lease: Arc<Lease>,
    settings: Settings,
    turn: Turn,
    body: Option<Chunks>,
    queue: VecDeque<Event>,
    rounds_left: u32,
    following: Following,
    /// Where the answer went on, once it has.
    handoff: Option<Handoff>,
    heard: Instant,
    over: bool,
}

impl Running {
    /// Posts `messages` and waits for the stream to begin.
    pub(super) async fn begin(
        web: &Arc<Web>,
        lease: &Arc<Lease>,
        settings: Settings,
        messages: Vec<Value>,
    ) -> Result<Self, Failure> {
        let sent_ids = messages
            .iter()
            .filter_map(|message| message.get("id")?.as_str().map(str::to_owned))
            .collect();
        let conduit = if web.settings.prepare {
            announced(web, lease, &settings, &messages).await
        } else {
            None
        };
        let ask = Ask::events(CONVERSATION, &conversation(&settings, messages), conduit);
        let body = web.events(lease, ask).await?;
        let thread = settings.thread.as_ref();
        let options = TurnOptions {
            conversation_id: thread.map(|thread| thread.conversation_id.clone()),
            sent_ids,
            ..TurnOptions::default()
        };
        Ok(Self {
            rounds_left: web.settings.max_continue,
            web: Arc::clone(web),
            lease: Arc::clone(lease),
            settings,
            turn: Turn::new(options),
            body: Some(body),
            queue: VecDeque::new(),
            following: Following::default(),
            handoff: None,
            heard: Instant::now(),
            over: false,
        })
    }

    /// The turn as far as it is known.
    pub(super) fn turn(&self) -> &Turn {
        &self.turn
    }

    /// What comes next; `None` after the last event, which is `Finish`, `Pending` or `Failed`.
    ///
    /// # Errors
    /// Where the service fell silent, or a continuation or handoff failed.
    pub(super) async fn next(&mut self) -> Result<Option<Step>, Failure> {
        loop {
            match self.queue.pop_front() {
                Some(Event::Finish(FinishReason::Length)) if self.rounds_left > 0 => {
                    if !self.go_on().await? {
                        self.over = true;
                        let cut = Event::Finish(FinishReason::Length);
                        return Ok(Some(Step::Event(cut)));
                    }
                }
                Some(Event::Handoff(handoff)) => self.follow(handoff).await?,
                // The way that was taken broke off: there may be another.
                Some(Event::Failed(StreamError::Truncated)) if self.handoff.is_some() => {
                    if let Some(handoff) = self.handoff.take() {
                        self.follow(handoff).await?;
                    }
                }
                Some(event) => {
                    self.over = matches!(
                        event,
                        Event::Finish(_) | Event::Pending(_) | Event::Failed(_)
                    );
                    return Ok(Some(Step::Event(event)));
                }
                None if self.over => return Ok(None),
                None => {
                    if let Some(step) = self.read().await? {
                        return Ok(Some(step));
                    }
                }
            }
        }
    }

    async fn follow(&mut self, handoff: Handoff) -> Result<(), Failure> {
        let place = Place {
            web: Arc::clone(&self.web),
            lease: Arc::clone(&self.lease),
            handoff: handoff.clone(),
            is_kept: !self.settings.temporary,
        };
        self.body = Some(self.following.follow(&place).await?);
        self.turn.next_body();
        self.queue.clear();
        self.handoff = Some(handoff);
        self.heard = Instant::now();
        Ok(())
    }

    /// Goes on with an answer that was cut; `false` where it is not known how.
    async fn go_on(&mut self) -> Result<bool, Failure> {
        let Some(cut) = self.turn.continuation() else {
            return Ok(false);
        };
        self.rounds_left -= 1;
        let ask = Ask::events(CONVERSATION, &continuation(&self.settings, &cut), None);
        let body = self.web.events(&self.lease, ask).await?;
        self.turn.next_body();
        self.body = Some(body);
        self.heard = Instant::now();
        Ok(true)
    }

    /// Reads on; a step only where there is no event.
    async fn read(&mut self) -> Result<Option<Step>, Failure> {
        let Some(body) = &mut self.body else {
            self.end();
            return Ok(None);
        };
        let patience = if self.turn.is_complete() {
            AFTER_COMPLETE
        } else {
            let silence = self.web.timeouts.idle;
            let left = (self.heard + silence).saturating_duration_since(Instant::now());
            left.min(SIGN_OF_LIFE)
        };
        let next = futures_util::StreamExt::next(body);
        match tokio::time::timeout(patience, next).await {
            Ok(Some(Ok(bytes))) => {
                self.heard = Instant::now();
                self.queue.extend(self.turn.feed(&bytes));
                // Nothing that follows can matter, but a body read to its end leaves a connection to use again.
                if self.turn.is_done() && self.queue.is_empty() {
                    self.drain().await;
                    self.end();
                }
                if self.queue.is_empty() && self.following.is_too_late() {
                    return Err(self.following.too_late());
                }
                return Ok(self.queue.is_empty().then_some(Step::Alive));
            }
            Ok(Some(Err(fault))) => {
                tracing::debug!(cause = ?fault, "a conversation stream broke off");
                self.end();
            }
            Ok(None) => self.end(),
            Err(_) if self.turn.is_complete() => self.end(),
            Err(_) if self.heard.elapsed() >= self.web.timeouts.idle => return Err(silent()),
            Err(_) if self.following.is_too_late() => return Err(self.following.too_late()),
            Err(_) => return Ok(Some(Step::Alive)),
        }
        Ok(None)
    }

    /// The body is over.
    fn end(&mut self) {
        self.body = None;
        self.queue.extend(self.turn.finish());
        if self.queue.is_empty() {
            // A failure was told already.
            self.over = true;
        }
    }

    async fn drain(&mut self) {
        const A_MOMENT: Duration = Duration::from_millis(100);
        if let Some(body) = &mut self.body {
            let rest =
                async { while let Some(Ok(_)) = futures_util::StreamExt::next(body).await {} };
            if tokio::time::timeout(A_MOMENT, rest).await.is_err() {
                tracing::trace!("a conversation stream stayed open after its end");
            }
        }
    }
}

/// Announces a turn as the service's web application does; gives the token that goes with it. The turn decides, so
/// nothing that goes wrong here matters.
async fn announced(
    web: &Web,
    lease: &Lease,
    settings: &Settings,
    messages: &[Value],
) -> Option<String> {
    let last = messages.last()?;
    let text = last
        .get("content")
        .and_then(|content| content.get("parts")?.as_array()?.last()?.as_str());
    let query = last.get("id").and_then(Value::as_str).zip(text);
    let ask = Ask::json(Method::POST, "conversation/init", &init(settings));
    if let Err(failure) = web.value(lease, ask).await {
        tracing::debug!(cause = ?failure, "init failed");
    }
    let mut conduit = None;
    for state in [
        PrepareState::None,
        PrepareState::Sent,
        PrepareState::Success,
    ] {
        let mut ask = Ask::json(
            Method::POST,
            "f/conversation/prepare",
            &prepare(settings, state, query),
        );
        ask.conduit = conduit.take();
        match web.value(lease, ask).await {
            Ok(answer) => {
                let token = answer.get("conduit_token").and_then(Value::as_str);
                conduit = token.map(str::to_owned);
            }
            Err(failure) => tracing::debug!(cause = ?failure, "prepare failed"),
        }
    }
    conduit
}

/// How a turn is asked for; `temporary` keeps it out of the history.
pub(super) fn turn_settings(model: Model, effort: Effort, temporary: bool) -> Settings {
    Settings {
        model,
        effort,
        temporary,
        form: Form::Snapshot,
        timezone: "Etc/UTC".to_owned(),
        timezone_offset_min: 0,
        thread: None,
    }
}

/// A failed turn as a failure of the request.
pub(super) fn failed(error: &StreamError) -> Failure {
    Failure::Service(Fault::from(error))
}

/// An answer that ended as nothing else does.
pub(super) fn unexpected(what: &str) -> Failure {
    Failure::of_kind(FaultKind::Unexpected, format!("the ChatGPT service {what}"))
}
