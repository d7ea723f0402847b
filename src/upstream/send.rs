//! One request through a route's upstreams.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aurora_config::{RetryOn, Target};
use aurora_openai::peek::{self, Peek};
use aurora_sdk::{Body, BoxFuture, Error, ErrorKind, Origin, Response, UpstreamRequest};
use aurora_tokens::{Lease, Outcome, TokenId};
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::{self, Judged};
use super::classify::{self, Verdict};
use super::exchange::{Audience, Exchange};
use super::{Upstream, form, headers};
use crate::providers::{Answer, Call, Fault, Tries};

/// The first wait before the same upstream is asked again; doubles each time.
const BACKOFF: Duration = Duration::from_millis(100);

/// What a client is told to wait where nothing says when an upstream will be there.
const RETRY_UNKNOWN: Duration = Duration::from_secs(30);

/// Sorts out the upstreams that serve `model` best. The order written, unless weights say how to share.
pub(crate) fn order(targets: Vec<&Target>, weighted: bool) -> Vec<&Target> {
    let total: u32 = targets.iter().map(|target| target.weight).sum();
    if !weighted || total == 0 {
        return targets;
    }
    let mut left = fastrand::u32(0..total);
    let first = targets
        .iter()
        .position(|target| match left.checked_sub(target.weight) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        })
        .unwrap_or_default();
    let mut targets = targets;
    // The rest stay in their order as fallbacks.
    let chosen = targets.remove(first);
    targets.insert(0, chosen);
    targets
}

/// Sends `request` and returns what may reach the client.
///
/// Tries other tokens and upstreams as the route's `retry` allows, never after a streamed request body was begun and
/// never after the response head was taken.
pub(crate) async fn send(
    exchange: &Exchange,
    audience: Audience,
    request: UpstreamRequest,
) -> Result<Response, Error> {
    if let Some(model) = &request.model {
        exchange.trace.model(model);
    }
    let started = Instant::now();
    let mut sending = Sending {
        exchange,
        audience,
        request,
        started,
        attempts: 0,
        failure: None,
    };
    let mut wait = BACKOFF;
    loop {
        let before = sending.attempts;
        for upstream in &exchange.targets {
            if let Some(response) = sending.try_upstream(upstream).await {
                return Ok(response);
            }
        }
        if sending.attempts == before || !sending.may_try_again() {
            return sending.give_up();
        }
        tokio::time::sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        wait *= 2;
    }
}

/// The state of one request over its attempts.
struct Sending<'a> {
    exchange: &'a Exchange,
    audience: Audience,
    request: UpstreamRequest,
    started: Instant,
    attempts: u32,
    failure: Option<Failure>,
}

/// The last thing that went wrong.
enum Failure {
    /// An attempt failed.
    Attempt {
        /// What the client gets if no other attempt does better.
        answer: Result<Response, Error>,
        /// The word of `retry.on` that allows another attempt.
        retry_on: Option<RetryOn>,
        /// Whether the same upstream may be asked again.
        again: bool,
        /// When the upstream's first token is free again.
        token_wait: Option<Duration>,
    },
    /// No attempt could be made at all.
    Unavailable {
        reasons: Vec<String>,
        retry_after: Option<Duration>,
    },
}

/// What comes after an attempt.
enum Step {
    Done(Response),
    OtherToken,
    OtherUpstream,
}

impl Sending<'_> {
    /// Whether the route allows another attempt after the last one.
    fn may_go_on(&self) -> bool {
        let retry = &self.exchange.retry;
        let wanted = match &self.failure {
            Some(Failure::Attempt { retry_on, .. }) => {
                retry_on.is_some_and(|on| retry.on.contains(&on))
            }
            Some(Failure::Unavailable { .. }) | None => true,
        };
        self.attempts == 0
            || wanted
                && self.attempts < retry.attempts
                && self.started.elapsed() < retry.budget
                && !self.request.body.is_stream()
    }

    /// Whether the same upstreams may be asked once more.
    fn may_try_again(&self) -> bool {
        matches!(self.failure, Some(Failure::Attempt { again: true, .. })) && self.may_go_on()
    }

    /// Tries the tokens of one upstream. `None`: the next upstream may be tried.
    async fn try_upstream(&mut self, upstream: &Arc<Upstream>) -> Option<Response> {
        let mut tried: Vec<TokenId> = Vec::new();
        while self.may_go_on() {
            let (permit, lease) = self.reserve(upstream, &tried)?;
            tried.extend(lease.as_ref().map(|lease| lease.id().clone()));
            self.attempts += 1;
            self.exchange.trace.attempt(&upstream.name);
            match self.attempt(upstream, lease, permit).await {
                Step::Done(response) => return Some(response),
                Step::OtherToken if upstream.pool.is_some() => {}
                Step::OtherToken | Step::OtherUpstream => return None,
            }
        }
        None
    }

    /// A slot and a token, where both are free.
    fn reserve(
        &mut self,
        upstream: &Upstream,
        tried: &[TokenId],
    ) -> Option<(OwnedSemaphorePermit, Option<Lease>)> {
        let Ok(permit) = Arc::clone(&upstream.slots).try_acquire_owned() else {
            let limit = upstream.settings.max_concurrency;
            self.unavailable(
                format!("`{}` serves its limit of {limit} requests", upstream.name),
                Some(Duration::from_secs(1)),
            );
            return None;
        };
        let Some(pool) = &upstream.pool else {
            return Some((permit, None));
        };
        match pool.lease(Instant::now(), tried) {
            Ok(lease) => Some((permit, Some(lease))),
            Err(exhausted) if tried.is_empty() => {
                let (cooling, dead) = (exhausted.cooling, exhausted.dead);
                let reason = match cooling + dead {
                    0 => format!("`{}` has no tokens", upstream.name),
                    _ => format!(
                        "`{}`: {cooling} tokens rest, {dead} are refused",
                        upstream.name
                    ),
                };
                self.unavailable(reason, exhausted.retry_after);
                None
            }
            Err(exhausted) => {
                if let Some(Failure::Attempt { token_wait, .. }) = &mut self.failure {
                    *token_wait = exhausted.retry_after;
                }
                None
            }
        }
    }

    fn unavailable(&mut self, reason: String, wait: Option<Duration>) {
        match &mut self.failure {
            // What an upstream really answered says more.
            Some(Failure::Attempt { .. }) => {}
            Some(Failure::Unavailable {
                reasons,
                retry_after,
            }) => {
                // Later rounds repeat what the first one said.
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
                *retry_after = [*retry_after, wait].into_iter().flatten().min();
            }
            None => {
                self.failure = Some(Failure::Unavailable {
                    reasons: vec![reason],
                    retry_after: wait,
                });
            }
        }
    }

    async fn attempt(
        &mut self,
        upstream: &Arc<Upstream>,
        lease: Option<Lease>,
        permit: OwnedSemaphorePermit,
    ) -> Step {
        let call = self.call(upstream, lease.as_ref());
        let operation = call.operation;
        let total = upstream.settings.timeouts.total;
        let deadline = total.map(|total| tokio::time::Instant::now() + total);
        let answer = upstream.provider.forward(call);
        let answer = match head(self.exchange, answer, deadline).await {
            Ok(answer) => answer,
            Err(fault) => {
                let retry_on = classify::retry_on_fault(&fault);
                let again = !matches!(fault, Fault::Judged { .. });
                classify::log_fault(&fault, &upstream.name, self.attempts);
                let answer = Err(classify::error_of_fault(fault, &upstream.name));
                self.failed(answer, retry_on, again);
                return Step::OtherUpstream;
            }
        };
        let head = classify::classify(operation, answer.status, &answer.headers, &[]);
        if answer.judged || answer.status.is_success() && head == Verdict::Relay {
            if let Some(lease) = &lease {
                lease.settle(Outcome::Accepted, Instant::now());
            }
            let watch = answer::Watching {
                operation,
                audience: self.audience,
                deadline,
                lease,
                permit,
            };
            return Step::Done(answer::relay(self.exchange, upstream, answer, watch).await);
        }
        // Boxed, so that successes do not carry the room for it.
        match Box::pin(answer::judge(operation, upstream, answer, lease)).await {
            Judged::Relay(response) => Step::Done(response),
            Judged::Failed { verdict, answer } => {
                self.failed(answer, verdict.retry_on(), verdict == Verdict::ServerError);
                if verdict.is_about_token() {
                    Step::OtherToken
                } else {
                    Step::OtherUpstream
                }
            }
        }
    }

    fn failed(&mut self, answer: Result<Response, Error>, retry_on: Option<RetryOn>, again: bool) {
        self.failure = Some(Failure::Attempt {
            answer,
            retry_on,
            again,
            token_wait: None,
        });
    }

    /// What this upstream is sent: only its own headers, its own name of the model, its own credential.
    fn call(&mut self, upstream: &Upstream, lease: Option<&Lease>) -> Call {
        let request = &mut self.request;
        let body = match request.body.as_bytes() {
            Some(bytes) => renamed(bytes, upstream.alias(request.model.as_deref())).into(),
            None => form::renamed(std::mem::take(&mut request.body), request, upstream),
        };
        if body.is_stream() {
            // Taken: marks that this request cannot be sent again.
            let gone: [Result<Bytes, Error>; 0] = [];
            request.body = Body::stream(Box::pin(futures_util::stream::iter(gone)), None);
        }
        Call {
            operation: request.operation,
            method: request.method.clone(),
            path: request.path.clone(),
            headers: headers::to_upstream(&request.headers, &upstream.settings.forward_headers),
            body,
            credential: lease.map(|lease| lease.secret().clone()),
            model: request.model.clone(),
            tries: Tries {
                retry: self.exchange.retry.clone(),
                trace: Arc::clone(&self.exchange.trace),
            },
            visitor: Arc::clone(&self.exchange.visitor),
        }
    }

    /// The answer when nothing is left to try.
    fn give_up(self) -> Result<Response, Error> {
        match self.failure {
            Some(Failure::Attempt {
                answer: Err(error),
                token_wait: Some(wait),
                ..
            }) if error.kind() == ErrorKind::RateLimited => Err(error.with_retry_after(wait)),
            Some(Failure::Attempt { answer, .. }) => answer,
            Some(Failure::Unavailable {
                reasons,
                retry_after,
            }) => Err(no_upstream(&reasons.join("; "), retry_after)),
            None => Err(no_upstream("the route lists none", None)),
        }
    }
}

/// The answer's head, unless the whole exchange may take no longer or the gateway stops.
async fn head(
    exchange: &Exchange,
    answer: BoxFuture<'_, Result<Answer, Fault>>,
    deadline: Option<tokio::time::Instant>,
) -> Result<Answer, Fault> {
    let too_late = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        answer = answer => answer,
        () = exchange.ending.cancelled() => Err(Fault::Client(classify::shutting_down())),
        () = too_late => Err(Fault::TotalTimeout),
    }
}

fn no_upstream(reasons: &str, retry_after: Option<Duration>) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        Origin::Gateway,
        "no_upstream_available",
        format!("no upstream can take this request now: {reasons}"),
    )
    .with_retry_after(retry_after.unwrap_or(RETRY_UNKNOWN))
}

/// `body` with the upstream's own name of the model.
fn renamed(body: &Bytes, alias: Option<&str>) -> Bytes {
    let peeked = alias.and_then(|alias| Some((alias, Peek::of(body).ok()?)));
    match peeked {
        Some((alias, peek)) => peek::with_model(body, &peek, alias),
        None => body.clone(),
    }
}
