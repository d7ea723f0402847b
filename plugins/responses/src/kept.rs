//! What can be done with a kept response.

use aurora_openai::responses::Page;
use aurora_sdk::{Context, Error, ErrorKind, Origin, Response};
use serde_json::json;

use crate::refused;
use crate::shelf::{Kept, Shelf};

/// `GET /responses/{id}`.
pub(crate) async fn retrieve(cx: &Context, id: &str, query: &str) -> Result<Response, Error> {
    if query.split('&').any(|pair| pair == "stream=true") {
        return Err(Error::invalid(
            "unsupported_parameter",
            "stream",
            "the events of a kept response cannot be played again; leave `stream` out",
        ));
    }
    Response::json(&kept(cx, id).await?.response)
}

/// `DELETE /responses/{id}`.
pub(crate) async fn delete(cx: &Context, id: &str) -> Result<Response, Error> {
    if !Shelf::new(cx).delete(id).await? {
        return Err(not_found(id));
    }
    Response::json(&json!({"id": id, "object": "response", "deleted": true}))
}

/// `GET /responses/{id}/input_items`: the input of this turn alone.
pub(crate) async fn input_items(cx: &Context, id: &str, query: &str) -> Result<Response, Error> {
    let page = Page::parse(query).map_err(refused)?;
    let items = kept(cx, id).await?.input;
    Response::json(&page.of(items).map_err(refused)?)
}

/// `POST /responses/{id}/cancel`: a kept response is always finished.
pub(crate) async fn cancel(cx: &Context, id: &str) -> Result<Response, Error> {
    kept(cx, id).await?;
    Err(Error::new(
        ErrorKind::InvalidRequest,
        Origin::Downstream,
        "response_not_cancellable",
        "only responses made with `background` can be cancelled; close the connection to stop a stream",
    ))
}

async fn kept(cx: &Context, id: &str) -> Result<Kept, Error> {
    Shelf::new(cx).get(id).await?.ok_or_else(|| not_found(id))
}

fn not_found(id: &str) -> Error {
    /// Longer than any id of ours.
    const MAX_SHOWN: usize = 80;
    let shown: String = id.chars().take(MAX_SHOWN).collect();
    Error::new(
        ErrorKind::NotFound,
        Origin::Downstream,
        "response_not_found",
        format!("response with id '{shown}' not found"),
    )
}
