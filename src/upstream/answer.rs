//! What an upstream answered, on its way to the client or to the next attempt.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aurora_openai::sse::End;
use aurora_sdk::{Body, Error, Operation, Response};
use aurora_tokens::Lease;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue,
    RETRY_AFTER,
};
use http::{HeaderMap, StatusCode};
use tokio::sync::OwnedSemaphorePermit;

use super::classify::{self, Verdict};
use super::exchange::{Audience, Exchange};
use super::hold::{self, Limits};
use super::relay::{Relay, Watch};
use super::{Upstream, dialect, headers, redact};
use crate::providers::{Answer, Chunks, Fault};

/// Tells proxies such as nginx not to gather an event stream.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What a relayed body holds until it ends.
pub(crate) struct Watching<'a> {
    pub(crate) upstream: &'a Arc<Upstream>,
    pub(crate) operation: Operation,
    pub(crate) audience: Audience,
    /// When the whole exchange must be over.
    pub(crate) deadline: Option<tokio::time::Instant>,
    pub(crate) lease: Option<Lease>,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// An answer that is no longer than this is taken whole, bytes, ...
const MAX_AT_ONCE: u64 = 64 * 1024;

/// ... where that takes no longer than this after its head: it then needs nobody who watches it, and goes out in one piece.
const AT_ONCE: Duration = Duration::from_millis(20);

/// A success on its way to the client.
///
/// # Errors
/// It broke off while all of it was still here: another attempt may do better.
pub(crate) async fn relay(
    exchange: &Exchange,
    answer: Answer,
    watching: Watching<'_>,
) -> Result<Response, Fault> {
    let Answer {
        status,
        headers,
        body,
        ..
    } = answer;
    let upstream = watching.upstream;
    let mut shown = headers::to_client(&headers);
    if status == StatusCode::NO_CONTENT {
        shown.remove(CONTENT_LENGTH);
    }
    let events = is_event_stream(&shown)
        .then(|| dialect::end_of(watching.operation, upstream.done_marker()));
    if events.is_some() {
        shown.insert(
            CACHE_CONTROL,
            HeaderValue::from_static("no-cache, no-transform"),
        );
        shown.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
        // Comments and an error event change the length.
        shown.remove(CONTENT_LENGTH);
    }
    let length = shown
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok());
    let limits = Limits {
        idle: upstream.settings.timeouts.idle,
        deadline: watching.deadline,
        ending: &exchange.ending,
    };
    let held = hold_back(exchange, (body, events), length, (&shown, &limits)).await?;
    let body = match held {
        Held::Whole(bytes) => bytes.into(),
        Held::Begun(body) => {
            let watch = Watch {
                operation: watching.operation,
                events,
                to_client: watching.audience == Audience::Client,
                idle: upstream.settings.timeouts.idle,
                length,
                deadline: watching.deadline,
                ending: exchange.ending.clone(),
                trace: Arc::clone(&exchange.trace),
                upstream: Arc::clone(watching.upstream),
                lease: watching.lease,
                _permit: watching.permit,
            };
            Body::stream(Box::pin(Relay::new(body, watch)), length)
        }
    };
    Ok(Response {
        status,
        headers: shown.into(),
        body,
    })
}

/// What there is of a body before its head goes out.
enum Held {
    Whole(Bytes),
    Begun(Chunks),
}

/// Waits for what is worth it: the whole of short answers, the beginning of others where the route wants that.
async fn hold_back(
    exchange: &Exchange,
    (body, events): (Chunks, Option<End>),
    length: Option<u64>,
    (shown, limits): (&HeaderMap, &Limits<'_>),
) -> Result<Held, Fault> {
    let is_short = events.is_none() && length.is_some_and(|length| length <= MAX_AT_ONCE);
    match (length.filter(|_| is_short), exchange.hold) {
        (Some(length), _) if is_json(shown) => {
            Ok(Held::Whole(hold::whole(body, length, limits).await?))
        }
        (_, Some(hold)) => Ok(Held::Begun(hold::hold(body, hold, events, limits).await?)),
        (Some(length), None) => Ok(match at_once(body, length).await {
            Ok(whole) => Held::Whole(whole),
            Err(rest) => Held::Begun(rest),
        }),
        (None, None) => Ok(Held::Begun(body)),
    }
}

/// The whole of a short body; where it does not come at once, the body as it was.
async fn at_once(mut body: Chunks, length: u64) -> Result<Bytes, Chunks> {
    let (mut first, mut more, mut fault) = (Bytes::new(), BytesMut::new(), None);
    let mut left = length;
    let gathering = async {
        while left > 0 {
            match body.next().await {
                Some(Ok(piece)) => {
                    left = left.saturating_sub(piece.len() as u64);
                    if first.is_empty() {
                        first = piece;
                    } else {
                        more.extend_from_slice(&piece);
                    }
                }
                Some(Err(broken)) => return fault = Some(broken),
                None => return,
            }
        }
    };
    // What came until then stays.
    let is_late = tokio::time::timeout(AT_ONCE, gathering).await.is_err();
    if left == 0 && more.is_empty() {
        return Ok(first);
    }
    if left == 0 {
        return Ok([first, more.freeze()].concat().into());
    }
    let start = stream::iter(
        [first, more.freeze()]
            .into_iter()
            .filter(|piece| !piece.is_empty())
            .map(Ok),
    );
    if is_late {
        return Err(Box::pin(start.chain(body)));
    }
    // It has ended already, and too early.
    Err(Box::pin(start.chain(stream::iter(fault.map(Err)))))
}

/// What an answer that is no plain success comes to.
pub(crate) struct Judged {
    /// Whose fault it is.
    pub(crate) verdict: Verdict,
    /// What the client gets: of the verdict `Relay` in any case, else if no other attempt does better.
    pub(crate) answer: Result<Response, Error>,
    /// How long the upstream asked to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

/// Reads an answer that is no plain success and settles the token with what it says.
pub(crate) async fn judge(
    operation: Operation,
    upstream: &Upstream,
    answer: Answer,
    lease: Option<Lease>,
) -> Judged {
    let Answer {
        status,
        headers,
        body,
        ..
    } = answer;
    let bytes = redact::read(body, &headers, upstream.settings.timeouts.idle).await;
    let verdict = classify::classify(operation, status, &headers, &bytes);
    if let (Some(lease), Some(outcome)) = (&lease, verdict.outcome()) {
        lease.settle(outcome, Instant::now());
    }
    let json = redact::json(&bytes, lease.as_ref().map(Lease::secret));
    let retry_after = classify::retry_after(&headers);
    let verbatim = |json| Ok(refusal(upstream, status, &headers, json));
    if !matches!(verdict, Verdict::Relay | Verdict::TooLong) {
        tracing::warn!(
            upstream = upstream.name,
            status = status.as_u16(),
            verdict = ?verdict,
            token = lease.as_ref().map(|lease| tracing::field::display(lease.id())),
            "upstream attempt refused"
        );
    }
    let answer = match (verdict, json) {
        (Verdict::Relay | Verdict::TooLong, json) | (Verdict::ServerError, json @ Some(_)) => {
            verbatim(json)
        }
        (_, json) => {
            let said = json.as_deref().and_then(redact::message);
            let error = classify::error_of(verdict, status, &upstream.name, said.as_deref());
            Err(match retry_after {
                Some(wait) => error.with_retry_after(wait),
                None => error,
            })
        }
    };
    Judged {
        verdict,
        answer,
        retry_after,
    }
}

/// An upstream's refusal as the client sees it: its own JSON, or ours where it sent none.
fn refusal(
    upstream: &Upstream,
    status: StatusCode,
    answered: &HeaderMap,
    json: Option<Bytes>,
) -> Response {
    let mut headers = headers::to_client(answered);
    headers.remove(CONTENT_LENGTH);
    headers.remove(CONTENT_ENCODING);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == StatusCode::SERVICE_UNAVAILABLE && !headers.contains_key(RETRY_AFTER) {
        // No SDK should have to guess.
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    let body = json.unwrap_or_else(|| {
        let error = classify::error_of(Verdict::Relay, status, &upstream.name, None);
        error.envelope().to_json().into()
    });
    Response {
        status,
        headers: headers.into(),
        body: body.into(),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        value
            .as_bytes()
            .to_ascii_lowercase()
            .starts_with(b"application/json")
    })
}

/// Whether the body is an event stream that can be followed.
fn is_event_stream(headers: &HeaderMap) -> bool {
    let events = headers.get(CONTENT_TYPE).is_some_and(|value| {
        value
            .as_bytes()
            .to_ascii_lowercase()
            .starts_with(b"text/event-stream")
    });
    events && !headers.contains_key(CONTENT_ENCODING)
}
