//! What a turn that should make pictures came to: at once, or in the conversation a while later.

use std::sync::Arc;
use std::time::Duration;

use aurora_accounts::Lease;
use aurora_chatgpt::fault::{Fault, FaultKind};
use aurora_chatgpt::image::Outcome;
use aurora_chatgpt::request::Settings;
use aurora_chatgpt::socket::Item;
use aurora_chatgpt::stream::{Event, ImageTask, Picture, Saved};
use serde_json::Value;
use tokio::time::Instant;

use super::super::Service;
use super::super::content::checked_id;
use super::super::failure::Failure;
use super::super::turn::{Running, Step, unexpected};
use super::super::web::{Ask, Web};
use super::super::websocket::Connection;

/// How often a conversation is looked at.
const POLL_GAP: Duration = Duration::from_secs(3);

/// How long a conversation may be unknown after its turn.
const NOT_YET_STORED: Duration = Duration::from_secs(30);

/// The longest pause that the service can ask for between two looks.
const MAX_PAUSE: Duration = Duration::from_mins(1);

/// The pictures of a turn.
pub(super) struct Pictured {
    pub(super) conversation_id: Option<String>,
    pub(super) pictures: Vec<Picture>,
}

impl Pictured {
    /// Runs a turn and waits for its pictures.
    ///
    /// # Errors
    /// Where none were made, in the service's words; `ImageTimeout` after the upstream's `image` timeout.
    pub(super) async fn of_turn(
        service: &Service,
        lease: &Arc<Lease>,
        settings: Settings,
        messages: Vec<Value>,
    ) -> Result<Self, Failure> {
        let web = &service.web;
        let limit = web.settings.image_timeout;
        let made = async {
            let mut running = Running::begin(web, lease, settings, messages).await?;
            let ending = last_event(&mut running).await?;
            let conversation_id = running.turn().conversation_id().map(str::to_owned);
            let pictures = match (Outcome::of_turn(running.turn(), &ending), ending) {
                (Outcome::Ready(pictures), _) => pictures,
                (Outcome::Failed(fault), _) => return Err(Failure::Service(fault)),
                (Outcome::Pending, Event::Pending(task)) => awaited(service, lease, &task).await?,
                (Outcome::Pending, _) => return Err(unexpected("left a picture open")),
            };
            Ok(Self {
                conversation_id,
                pictures,
            })
        };
        tokio::time::timeout(limit, made)
            .await
            .unwrap_or_else(|_| Err(too_late()))
    }
}

async fn last_event(running: &mut Running) -> Result<Event, Failure> {
    loop {
        match running.next().await? {
            Some(Step::Event(
                ending @ (Event::Finish(_) | Event::Pending(_) | Event::Failed(_)),
            )) => return Ok(ending),
            Some(_) => {}
            None => return Err(unexpected("ended a turn without a last word")),
        }
    }
}

/// The pictures of a task that goes on beside its stream. Looks at the conversation, sooner when the websocket has news.
///
/// # Errors
/// As [`Pictured::of_turn`].
pub(in super::super) async fn awaited(
    service: &Service,
    lease: &Lease,
    task: &ImageTask,
) -> Result<Vec<Picture>, Failure> {
    let web = &service.web;
    let limit = web.settings.image_timeout;
    tokio::time::timeout(limit, wait(web, lease, &task.conversation_id))
        .await
        .unwrap_or_else(|_| Err(too_late()))
}

async fn wait(web: &Web, lease: &Lease, id: &str) -> Result<Vec<Picture>, Failure> {
    let started = Instant::now();
    let mut news = Connection::open(web, lease, None).await.ok();
    let path = format!("conversation/{}", checked_id(id)?);
    loop {
        let mut pause = POLL_GAP;
        match web.value(lease, Ask::get(path.as_str())).await {
            Ok(conversation) => match Outcome::of_saved(&Saved::read(&conversation)) {
                Outcome::Ready(pictures) => return Ok(pictures),
                Outcome::Failed(fault) => return Err(Failure::Service(fault)),
                Outcome::Pending => {}
            },
            Err(Failure::Service(fault)) if may_pass(&fault, started) => {
                if let Some(wait) = fault.clears_in {
                    pause = wait.clamp(POLL_GAP, MAX_PAUSE);
                }
            }
            Err(failure) => return Err(failure),
        }
        until_news(&mut news, id, pause).await;
    }
}

/// Refusals that mean: ask again. The conversation is stored a moment after its turn, and looks may be limited.
fn may_pass(fault: &Fault, started: Instant) -> bool {
    match fault.kind {
        FaultKind::ConversationNotFound | FaultKind::NotFound => started.elapsed() < NOT_YET_STORED,
        FaultKind::RateLimited | FaultKind::ModelCap | FaultKind::ServerError => true,
        _ => false,
    }
}

/// Waits for `pause`, or until the websocket says that the conversation changed.
async fn until_news(news: &mut Option<Connection>, id: &str, pause: Duration) {
    let changed = async {
        while let Some(connection) = news {
            match connection.next().await {
                Ok(Some(items)) => {
                    let is_ours = |item: &Item| match item {
                        Item::Update {
                            conversation_id, ..
                        } => conversation_id == id,
                        Item::Stream {
                            conversation_id, ..
                        } => conversation_id.as_deref() == Some(id),
                    };
                    if items.iter().any(is_ours) {
                        return;
                    }
                }
                Ok(None) | Err(_) => *news = None,
            }
        }
        std::future::pending::<()>().await;
    };
    // Silence is no failure: then it is time to look.
    drop(tokio::time::timeout(pause, changed).await);
}

fn too_late() -> Failure {
    Failure::of_kind(
        FaultKind::ImageTimeout,
        "the picture was not ready within the upstream's `image` timeout",
    )
}
