//! Filters around a handler: the first one listed sees the request first and the answer last.

mod chunks;
mod events;
mod passing;

use aurora_openai::sse;
use aurora_sdk::{
    Body, Context, Error, ErrorKind, Event, Follows, Handler, Origin, Request, Response,
};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH};
use serde_json::Value;

use self::chunks::{Chunks, Followed};
use self::events::Events;
use self::passing::{Group, Passing};
use crate::snapshot::{Built, Route};

/// The largest answer that is shown to filters as a whole, bytes.
const MAX_WHOLE: u64 = 64 << 20;

/// Answers `request` with the handler of `route`, and its filters around it.
///
/// # Errors
/// What the client is told instead.
pub(super) async fn around(
    route: &Route,
    built: &Built<dyn Handler>,
    cx: &Context,
    mut request: Request,
) -> Result<Response, Error> {
    let mut passes = Vec::with_capacity(route.filters.len());
    let mut answer = None;
    for filter in &route.filters {
        let mut passing = Passing::new(filter, cx);
        match passing.request(&mut request).await {
            Ok(None) => passes.push(passing),
            Ok(Some(own)) => {
                answer = Some(Ok(own));
                passing.forget();
                break;
            }
            Err(error) => {
                answer = Some(Err(error));
                passing.forget();
                break;
            }
        }
    }
    let answer = if let Some(answer) = answer {
        answer
    } else {
        if passes.iter().any(Passing::follows_body) {
            // What is compressed cannot be followed.
            request.headers.remove(ACCEPT_ENCODING);
        }
        built.what.handle(cx, request).await
    };
    match answer {
        Ok(answer) => follow(answer, passes).await,
        Err(error) => {
            for passing in &mut passes {
                passing.failed(error.status());
            }
            Err(error)
        }
    }
}

/// Shows `answer` to `passes`, the last one first.
async fn follow(mut answer: Response, mut passes: Vec<Passing>) -> Result<Response, Error> {
    for passing in passes.iter_mut().rev() {
        passing.head(&mut answer)?;
    }
    let is_followed = passes.iter().any(Passing::follows_body);
    if is_followed && answer.headers.contains_key(CONTENT_ENCODING) {
        return Err(encoded());
    }
    if is_followed {
        answer.headers.remove(CONTENT_LENGTH);
    }
    let kind = answer.content_type();
    let is_json = kind == "application/json" || kind.ends_with("+json");
    let is_events = kind == "text/event-stream";
    let (mut body, mut group) = (answer.body, Group::default());
    for passing in passes.into_iter().rev() {
        if passing.follows() == Follows::Events && (is_json || is_events) {
            group.push(passing);
            continue;
        }
        body = through(body, std::mem::take(&mut group), is_events).await?;
        body = match passing.follows() {
            Follows::Chunks => Chunks::around(body, passing),
            Follows::Nothing | Follows::Head | Follows::Events => Followed::around(body, passing),
        };
    }
    answer.body = through(body, group, is_events).await?;
    Ok(answer)
}

/// Leads `body` through filters that follow its events.
async fn through(body: Body, mut group: Group, is_events: bool) -> Result<Body, Error> {
    if group.is_empty() {
        return Ok(body);
    }
    if is_events {
        return Ok(Body::stream(Box::pin(Events::new(body, group)), None));
    }
    let bytes = body.read_all(MAX_WHOLE).await?;
    let Ok(data) = serde_json::from_slice::<Value>(&bytes) else {
        group.end(true);
        return Ok(bytes.into());
    };
    let event = Event {
        name: String::new(),
        data,
        is_whole: true,
    };
    let mut out = group.event(event)?;
    out.append(&mut group.last()?);
    group.end(true);
    let whole = out.into_iter().next().map(|event| event.data.to_string());
    Ok(whole.unwrap_or_default().into())
}

fn encoded() -> Error {
    let message = "the upstream compressed its answer though it was not asked to, so that the filters of this route cannot follow it";
    Error::new(
        ErrorKind::BadGateway,
        Origin::Upstream,
        "upstream_error",
        message,
    )
}

/// An event as bytes.
fn written(event: &Event) -> Bytes {
    let name = (!event.name.is_empty()).then_some(event.name.as_str());
    sse::event(name, &event.data.to_string())
}
