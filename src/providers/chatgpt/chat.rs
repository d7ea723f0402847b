//! Chat completions as turns of the service.

mod asked;
mod flow;

use std::sync::Arc;

use aurora_accounts::{Feature, Lease};
use aurora_chatgpt::stream::Event;
use tokio::time::Instant;

use self::asked::Asked;
use self::flow::Flow;
use super::failure::Failure;
use super::serving::Asking;
use super::turn::{Running, Step, failed};
use super::{Service, decided, events_answer, held, json_answer};
use crate::providers::{Answer, Call, Fault};

/// How long the head of a streamed answer waits for the first words: until then another account may still answer.
const HOLD: std::time::Duration = std::time::Duration::from_secs(3);

/// A turn whose first words have come, or are late.
struct Begun {
    running: Running,
    early: Vec<Event>,
}

/// Answers `POST chat/completions`.
pub(super) async fn answer(service: &Arc<Service>, call: Call) -> Result<Answer, Fault> {
    let body = held(call.body).await.map_err(Fault::Client)?;
    let asked = Asked::read(&body, call.model, &service.web.settings).map_err(decided)?;
    let visitor = Arc::clone(&call.visitor);
    let pinned = service
        .pinned(&visitor, &asked.drafts)
        .await
        .map_err(decided)?;
    let asking = Asking {
        visitor: &visitor,
        tries: &call.tries,
        model: Some(&asked.settings.model.slug),
        feature: Feature::Chat,
        login_for: asked.login_for(),
        pinned,
        turn: true,
    };
    let (wanted, owner) = (&asked, &*visitor.owner);
    if wanted.stream {
        let begin = |lease: Arc<Lease>| async move {
            let running = service.begin(&lease, owner, wanted).await?;
            first_words(running, wanted).await
        };
        let (begun, lease) = service.with_account(&asking, begin).await?;
        let flow = Flow::new(service, lease, asked, Arc::clone(&visitor), begun);
        return Ok(events_answer(flow.into_body()));
    }
    let visitor = &visitor;
    let whole = |lease: Arc<Lease>| async move {
        let running = service.begin(&lease, owner, wanted).await?;
        flow::whole(service, &lease, wanted, (visitor, running)).await
    };
    let (completion, _) = service.with_account(&asking, whole).await?;
    Ok(json_answer(&completion))
}

impl Service {
    async fn begin(
        &self,
        lease: &Arc<Lease>,
        owner: &str,
        asked: &Asked,
    ) -> Result<Running, Failure> {
        let messages = self.messages(lease, owner, asked, false).await?;
        Running::begin(&self.web, lease, asked.settings.clone(), messages).await
    }
}

/// Waits for the first words, a failure, or the end of the hold.
async fn first_words(mut running: Running, asked: &Asked) -> Result<Begun, Failure> {
    let until = Instant::now() + HOLD;
    let mut early = Vec::new();
    loop {
        match running.next().await? {
            Some(Step::Event(Event::Failed(error))) => return Err(failed(&error)),
            Some(Step::Event(event)) => {
                if let Event::Pending(_) = event {
                    asked.check_kept()?;
                }
                let is_word = matches!(
                    event,
                    Event::Text(_) | Event::Reasoning(_) | Event::Finish(_) | Event::Pending(_)
                );
                early.push(event);
                if is_word {
                    return Ok(Begun { running, early });
                }
            }
            Some(Step::Alive) if Instant::now() < until => {}
            Some(Step::Alive) | None => return Ok(Begun { running, early }),
        }
    }
}
