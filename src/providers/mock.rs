//! `protocol = "mock"`: answers every endpoint by itself, and fails on purpose where the config says so.

use std::time::SystemTime;

use aurora_config::Mock;
use aurora_mock::Exchange;
use aurora_sdk::{BoxFuture, ErrorKind, Operation};
use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};

use super::{Answer, Call, Chunks, Fault, Provider};
use crate::store::ScopedStore;

/// The most that the mock takes of a request body, bytes.
const MAX_BODY: u64 = 64 * 1024 * 1024;

/// The header by which everything that the mock says can be told.
const UPSTREAM: HeaderName = HeaderName::from_static("x-aurora-upstream");

/// The built-in upstream.
#[derive(Debug)]
pub(crate) struct MockProvider {
    settings: Mock,
    state: ScopedStore,
}

impl MockProvider {
    /// A mock with the faults of `settings`, keeping its files in `state`.
    pub(crate) fn new(settings: Mock, state: ScopedStore) -> Self {
        Self { settings, state }
    }

    async fn answer(&self, call: Call) -> Result<Answer, Fault> {
        let body = match call.body.read_all(MAX_BODY).await {
            Ok(body) => body,
            Err(error) if error.kind() == ErrorKind::TooLarge => {
                let text = format!("the mock takes bodies of up to {MAX_BODY} bytes");
                return Ok(refusal(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "request_too_large",
                    &text,
                ));
            }
            Err(error) => return Err(Fault::Client(error)),
        };
        tokio::time::sleep(self.settings.delay).await;
        if self.settings.fail_rate > 0.0 && fastrand::f64() < self.settings.fail_rate {
            let status = StatusCode::from_u16(self.settings.fail_status)
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let text = "the mock fails on purpose (fail_rate in its settings)";
            return Ok(refusal(status, "mock_failure", text));
        }
        let answer = aurora_mock::answer(Exchange {
            method: &call.method,
            path: &call.path,
            headers: &call.headers,
            body,
            owner: &call.visitor.owner,
            state: &self.state,
            now: SystemTime::now(),
        })
        .await
        .map_err(Fault::Client)?;
        let body = if answer.streamed {
            self.paced(answer.pieces)
        } else {
            whole(answer.pieces)
        };
        Ok(Answer {
            status: answer.status,
            headers: answer.headers,
            body,
            judged: false,
        })
    }

    /// The pieces of a stream with the configured pauses, breaking off where that is configured.
    fn paced(&self, pieces: Vec<Bytes>) -> Chunks {
        let Mock {
            chunk_delay,
            cut_after,
            ..
        } = self.settings;
        let cut = cut_after.and_then(|cut| usize::try_from(cut).ok());
        let pieces = pieces.into_iter().enumerate();
        Box::pin(stream::unfold(pieces, move |mut pieces| async move {
            let (index, piece) = pieces.next()?;
            if cut.is_some_and(|cut| index > cut) {
                return None;
            }
            if cut == Some(index) {
                let fault =
                    Fault::Truncated("the mock breaks off on purpose (cut_after)".to_owned());
                return Some((Err(fault), pieces));
            }
            if index > 0 && !chunk_delay.is_zero() {
                tokio::time::sleep(chunk_delay).await;
            }
            Some((Ok(piece), pieces))
        }))
    }
}

impl Provider for MockProvider {
    fn native(&self, operation: Operation) -> bool {
        !matches!(operation, Operation::Responses | Operation::Auth)
    }

    fn forward(&self, call: Call) -> BoxFuture<'_, Result<Answer, Fault>> {
        Box::pin(self.answer(call))
    }
}

fn whole(pieces: Vec<Bytes>) -> Chunks {
    Box::pin(stream::iter(pieces.into_iter().map(Ok)))
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(UPSTREAM, HeaderValue::from_static("mock"));
    let envelope = aurora_openai::ErrorEnvelope::new(message, "api_error", None, Some(code));
    Answer {
        status,
        headers,
        body: whole(vec![envelope.to_json().into()]),
        judged: false,
    }
}
