//! The service's own protocol, passed through: bytes and unknown fields untouched, in the name of an account.

use std::sync::{Arc, Mutex, PoisonError};

use aurora_accounts::{AccountId, Feature, Lease};
use aurora_chatgpt::fault::{FaultKind, Refusal};
use aurora_sdk::{Body, Error, ErrorKind, Origin};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;

use super::failure::Failure;
use super::pins::ConversationRecord;
use super::serving::Asking;
use super::web::Ask;
use super::{Service, decided, held};
use crate::providers::{Answer, Brought, Call, Chunks, Fault, Visitor};

/// The largest refusal that is kept, bytes.
const MAX_REFUSAL: usize = 1 << 20;

/// How far into an answer its conversation is looked for, bytes.
const MAX_LOOK: usize = 64 << 10;

/// What of a body decides where it goes.
#[derive(Debug, Default, Deserialize)]
struct Peek {
    #[serde(default)]
    conversation_id: Option<String>,
    #[serde(default)]
    model: Option<String>,
}

/// A refusal as the service wrote it.
struct Refused {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Answers any path of the service.
pub(super) async fn answer(service: &Arc<Service>, call: Call) -> Result<Answer, Fault> {
    let path = call.path.clone();
    let is_turn = call.method == Method::POST && is_turn(&path);
    let body = held(call.body).await.map_err(Fault::Client)?;
    let named = serde_json::from_slice::<Peek>(&body).unwrap_or_default();
    let conversation = named.conversation_id.or_else(|| in_path(&path));
    let pinned = pinned(service, &call.visitor, conversation).await?;
    let asking = Asking {
        visitor: &call.visitor,
        tries: &call.tries,
        model: named.model.as_deref(),
        feature: if is_turn {
            Feature::Chat
        } else {
            Feature::Other
        },
        login_for: (!is_turn).then_some("this part of the ChatGPT service"),
        pinned,
        turn: is_turn,
    };
    let accept = accept(&call.headers, is_turn);
    let refused: Mutex<Option<Refused>> = Mutex::new(None);
    let content_type = call.headers.get(CONTENT_TYPE).cloned();
    let ask = || Ask {
        method: call.method.clone(),
        path: path.clone(),
        accept,
        content_type: content_type.clone(),
        conduit: None,
        body: if body.is_empty() {
            Body::empty()
        } else {
            body.clone().into()
        },
    };
    let last = &refused;
    let attempt = |lease: Arc<Lease>| {
        let ask = ask();
        async move {
            let answer = service.web.send(&lease, ask).await?;
            if answer.status.is_success() {
                return Ok(answer);
            }
            let (failure, raw) = judged(service, answer).await;
            *last.lock().unwrap_or_else(PoisonError::into_inner) = raw;
            Err(failure)
        }
    };
    match service.with_account(&asking, attempt).await {
        Ok((answer, lease)) => Ok(passed(service, answer, lease, &call.visitor.owner)),
        Err(fault) => {
            let raw = refused.into_inner().unwrap_or_else(PoisonError::into_inner);
            match raw {
                Some(raw) => Ok(as_it_was(raw)),
                None => Err(fault),
            }
        }
    }
}

fn is_turn(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    path.trim_end_matches('/').ends_with("conversation")
}

/// The account of the conversation that a body or a path names.
async fn pinned(
    service: &Service,
    visitor: &Visitor,
    conversation: Option<String>,
) -> Result<Option<AccountId>, Fault> {
    let (Some(id), Brought::Nothing) = (&conversation, &visitor.brought) else {
        return Ok(None);
    };
    match service.pins.conversation(id).await.map_err(decided)? {
        Some(record) if *record.owner != *visitor.owner => Err(decided(somebody_elses())),
        Some(record) => Ok(record.account.parse().ok()),
        None => Ok(None),
    }
}

/// 404, as for a conversation that does not exist: clients share accounts, not what they say to them.
fn somebody_elses() -> Error {
    Error::new(
        ErrorKind::NotFound,
        Origin::Downstream,
        "conversation_not_found",
        "there is no such conversation here",
    )
    .with_param("conversation_id")
}

fn accept(headers: &HeaderMap, is_turn: bool) -> &'static str {
    let wants_events = headers
        .get(ACCEPT)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
    if is_turn || wants_events {
        "text/event-stream"
    } else {
        "*/*"
    }
}

/// The conversation in a path such as `conversation/{id}`.
fn in_path(path: &str) -> Option<String> {
    let path = path.split('?').next()?;
    let mut segments = path.split('/').skip_while(|part| *part != "conversation");
    segments.next()?;
    let id = segments.next()?;
    (id.len() == 36).then(|| id.to_owned())
}

/// What a refusal means for the account, and the refusal itself; a challenge's page is not passed on.
async fn judged(service: &Service, answer: Answer) -> (Failure, Option<Refused>) {
    let Answer {
        status,
        headers,
        body,
        ..
    } = answer;
    let body = match service.web.read(body, MAX_REFUSAL).await {
        Ok(body) => body,
        Err(failure) => return (failure, None),
    };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let fault = Refusal {
        status: status.as_u16(),
        content_type: text(CONTENT_TYPE.as_str()).unwrap_or_default(),
        retry_after: text(RETRY_AFTER.as_str()),
        is_mitigated: text("cf-mitigated").is_some_and(|word| word.contains("challenge")),
        body: &body,
    }
    .classify();
    service.web.count(&fault);
    let raw = (fault.kind != FaultKind::Challenge).then_some(Refused {
        status,
        headers,
        body,
    });
    (Failure::Service(fault), raw)
}

fn as_it_was(refused: Refused) -> Answer {
    Answer {
        status: refused.status,
        headers: refused.headers,
        body: Box::pin(stream::iter([Ok(refused.body)])),
        judged: true,
    }
}

/// The answer with its turn held to the end, and its conversation remembered as this account's.
fn passed(service: &Arc<Service>, answer: Answer, lease: Arc<Lease>, owner: &str) -> Answer {
    let is_stream = answer
        .headers
        .get(CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .is_some_and(|kind| kind.starts_with(b"text/event-stream"));
    let look = Look {
        service: Arc::clone(service),
        record: ConversationRecord {
            account: lease.id().to_string(),
            owner: owner.to_owned(),
        },
        seen: Vec::new(),
        over: !is_stream || lease.is_external(),
    };
    let state = (answer.body, look, lease);
    let body: Chunks = Box::pin(stream::unfold(
        state,
        async |(mut body, mut look, lease)| {
            let chunk = body.next().await?;
            if let Ok(bytes) = &chunk {
                look.at(bytes).await;
            }
            Some((chunk, (body, look, lease)))
        },
    ));
    Answer {
        body,
        judged: true,
        ..answer
    }
}

/// Looks for the conversation in the beginning of a stream.
struct Look {
    service: Arc<Service>,
    record: ConversationRecord,
    seen: Vec<u8>,
    over: bool,
}

impl Look {
    async fn at(&mut self, bytes: &[u8]) {
        if self.over {
            return;
        }
        self.seen.extend_from_slice(bytes);
        let Some(id) = conversation_in(&self.seen) else {
            self.over = self.seen.len() > MAX_LOOK;
            return;
        };
        self.over = true;
        self.seen = Vec::new();
        let kept = self.service.pins.keep_conversation(&id, &self.record);
        if let Err(error) = kept.await {
            tracing::warn!(%error, "it is not remembered whose a conversation is");
        }
    }
}

/// The first `"conversation_id"` with a text, as it stands in JSON.
fn conversation_in(bytes: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"\"conversation_id\"";
    for at in memchr::memmem::find_iter(bytes, NAME) {
        let rest = bytes.get(at + NAME.len()..)?.trim_ascii_start();
        let Some(rest) = rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start) else {
            continue;
        };
        let Some(rest) = rest.strip_prefix(b"\"") else {
            continue;
        };
        let end = rest.iter().position(|byte| *byte == b'"')?;
        let id = std::str::from_utf8(rest.get(..end)?).ok()?;
        return Some(id.to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conversation_is_found_once_it_is_whole() {
        let text = br#"data: {"message":{},"conversation_id": null}
            data: {"conversation_id": "c-1", "error": null}"#;
        let whole = text.windows(4).position(|part| part == b"c-1\"").unwrap() + 4;

        for end in 0..text.len() {
            let found = conversation_in(text.get(..end).unwrap());
            assert_eq!(found.is_some(), end >= whole, "cut at {end}");
        }
        assert_eq!(conversation_in(text).as_deref(), Some("c-1"));
    }

    #[test]
    fn a_conversation_in_the_path_is_one() {
        let id = "00000000-0000-4000-8000-000000000001";
        assert_eq!(
            in_path(&format!("conversation/{id}?x=1")).as_deref(),
            Some(id)
        );
        assert_eq!(in_path("conversation/init"), None);
        assert_eq!(in_path("f/conversation"), None);
    }
}
