//! `POST /responses`.

use std::time::{SystemTime, UNIX_EPOCH};

use aurora_openai::responses::{Answer, CreateResponse, Ids, Turn};
use aurora_sdk::{Context, Error, Level, Request, Response};
use uuid::Uuid;

use crate::answer::Answering;
use crate::refused;
use crate::shelf::Shelf;

/// Makes a response of a chat turn.
pub(crate) async fn create(cx: &Context, mut request: Request) -> Result<Response, Error> {
    let mut ids = Ids::new(Uuid::new_v4().as_u128());
    let body = request.json().await?;
    let mut create = CreateResponse::parse(body, &mut ids).map_err(refused)?;
    let turn = turn(cx, &mut create).await?;
    for warning in &turn.warnings {
        cx.host().log(Level::Warn, warning);
    }
    let chat = cx.host().chat(turn.chat).await?;
    let answer = Answer::new(&create, turn.custom_tools, ids, now());
    let kept_input = create.store.then_some(create.input);
    let answering = Answering::new(cx.clone(), chat, answer, kept_input);
    if create.stream && cx.stream() {
        Ok(answering.into_events())
    } else {
        answering.into_json().await
    }
}

async fn turn(cx: &Context, create: &mut CreateResponse) -> Result<Turn, Error> {
    let mut shelf = Shelf::new(cx);
    let history = match &create.previous_response_id {
        Some(id) => shelf.history(id).await?,
        None => Vec::new(),
    };
    shelf.resolve(&mut create.input).await?;
    Turn::new(create, &history).map_err(refused)
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
