//! Filters around a handler: the first one listed sees the request first and the answer last.

mod chunks;
mod events;
mod passing;

use std::sync::Arc;

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
use super::host::RequestHost;
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
    host: Arc<RequestHost>,
    mut request: Request,
) -> Result<Response, Error> {
    let mut passes = Vec::with_capacity(route.filters.len());
    let mut answer = None;
    for filter in &route.filters {
        let mut passing = Passing::new(filter, &host);
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
        built.what.handle(&Context::new(host), request).await
    };
    match answer {
        Ok(answer) => follow(answer, passes).await,
        Err(error) => {
            told(&mut passes, &error);
            Err(error)
        }
    }
}

/// `passes` hear that the answer is `error` instead.
fn told(passes: &mut [Passing], error: &Error) {
    for passing in passes {
        passing.failed(error.status());
    }
}

/// Shows `answer` to `passes`, the last one first.
async fn follow(mut answer: Response, mut passes: Vec<Passing>) -> Result<Response, Error> {
    let mut heads = passes.iter_mut().rev();
    if let Err(error) = heads.try_for_each(|passing| passing.head(&mut answer)) {
        told(&mut passes, &error);
        return Err(error);
    }
    let is_followed = passes.iter().any(Passing::follows_body);
    if is_followed && answer.headers.contains_key(CONTENT_ENCODING) {
        let error = encoded();
        told(&mut passes, &error);
        return Err(error);
    }
    if is_followed {
        answer.headers.remove(CONTENT_LENGTH);
    }
    let kind = answer.content_type();
    let is_json = kind == "application/json" || kind.ends_with("+json");
    let is_events = kind == "text/event-stream";
    let (mut body, mut group) = (answer.body, Group::default());
    let mut rest = passes.into_iter().rev();
    while let Some(passing) = rest.next() {
        if passing.follows() == Follows::Events && (is_json || is_events) {
            group.push(passing);
            continue;
        }
        body = match through(body, std::mem::take(&mut group), is_events).await {
            Ok(body) => body,
            Err(error) => {
                let mut unreached: Vec<_> = std::iter::once(passing).chain(rest).collect();
                told(&mut unreached, &error);
                return Err(error);
            }
        };
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
    match whole(body, &mut group).await {
        Ok(whole) => {
            group.end(true);
            Ok(whole.into())
        }
        Err(error) => {
            group.failed(error.status());
            Err(error)
        }
    }
}

/// A whole answer as `group` has it. What is no JSON is not for filters.
async fn whole(body: Body, group: &mut Group) -> Result<Bytes, Error> {
    let bytes = body.read_all(MAX_WHOLE).await?;
    let Ok(data) = serde_json::from_slice::<Value>(&bytes) else {
        return Ok(bytes);
    };
    let event = Event {
        name: String::new(),
        data,
        is_whole: true,
    };
    let mut out = group.event(event)?;
    out.append(&mut group.last()?);
    let first = out.into_iter().next();
    Ok(first
        .map(|event| event.data.to_string().into())
        .unwrap_or_default())
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
