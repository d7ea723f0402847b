//! One request through a route's upstreams.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aurora_config::{RetryOn, Target};
use aurora_openai::peek::{self, Peek};
use aurora_sdk::{Body, BoxFuture, Error, Response, UpstreamRequest};
use aurora_tokens::{Lease, TokenId};
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::{self, Judged};
use super::classify::{self, Verdict};
use super::exchange::{Audience, Exchange};
use super::health::Pass;
use super::outcome::Outcome;
use super::{Upstream, form, headers};
use crate::providers::{Answer, Brought, Call, Fault, Tries};
use failure::{Failed, Failure};
use place::{NoPlace, Place};

mod failure;
mod place;

/// The longest wait before the same upstream is asked again.
const MAX_BACKOFF: Duration = Duration::from_secs(10);

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
    let mut sending = Sending {
        exchange,
        audience,
        request,
        started: Instant::now(),
        attempts: 0,
        round: 0,
        window: 0,
        failure: None,
        refusal: None,
        full: Vec::new(),
    };
    let mut wait = exchange.retry.backoff;
    loop {
        let before = sending.attempts;
        sending.full.clear();
        for upstream in &exchange.targets {
            if let Some(response) = sending.try_upstream(upstream, None).await {
                return Ok(response);
            }
        }
        if sending.attempts == 0 {
            let Some((upstream, permit)) = place::wait(&sending.full, sending.started).await else {
                return sending.give_up();
            };
            if let Some(response) = sending.try_upstream(upstream, Some(permit)).await {
                return Ok(response);
            }
            continue;
        }
        if sending.attempts == before || !sending.may_try_again() {
            return sending.give_up();
        }
        tokio::time::sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        wait = MAX_BACKOFF.min(wait * 2);
        sending.round += 1;
    }
}

/// The state of one request over its attempts.
struct Sending<'a> {
    exchange: &'a Exchange,
    audience: Audience,
    request: UpstreamRequest,
    started: Instant,
    attempts: u32,
    /// How often all upstreams were gone through before.
    round: u32,
    /// Only upstreams that take more tokens than this.
    window: u64,
    failure: Option<Failure>,
    /// What an upstream answered for which the request is too long: what the client hears if no other takes it.
    refusal: Option<Result<Response, Error>>,
    /// Upstreams of this round that have no place left.
    full: Vec<&'a Arc<Upstream>>,
}

/// What comes after an attempt.
enum Step {
    Done(Response),
    OtherToken,
    OtherUpstream,
}

impl<'a> Sending<'a> {
    /// Whether the route allows another attempt after the last one.
    fn may_go_on(&self) -> bool {
        let retry = &self.exchange.retry;
        let wanted = match &self.failure {
            Some(Failure::Attempt(failed)) => failed.retry_on.is_some_and(|on| {
                let is_slow = retry.not_after.is_some_and(|most| failed.took > most);
                retry.on.contains(&on) && (!is_slow || on == RetryOn::FirstByte)
            }),
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
        matches!(&self.failure, Some(Failure::Attempt(failed)) if failed.again) && self.may_go_on()
    }

    /// Tries the tokens of one upstream, at a place that was waited for, if any. `None`: the next one may be tried.
    async fn try_upstream(
        &mut self,
        upstream: &'a Arc<Upstream>,
        mut permit: Option<OwnedSemaphorePermit>,
    ) -> Option<Response> {
        let mut tried: Vec<TokenId> = Vec::new();
        if self.window > 0 && upstream.settings.context_window.unwrap_or(0) <= self.window {
            return None;
        }
        while self.may_go_on() {
            let place = match place::take(upstream, permit.take(), &tried) {
                Ok(place) => place,
                Err(no_place) => {
                    self.no_place(upstream, &no_place, !tried.is_empty());
                    return None;
                }
            };
            if self.round == 0 && tried.is_empty() {
                upstream.health.asked(self.exchange.retry.max_share);
            } else if self.round > 0 && !upstream.health.may_repeat(Instant::now()) {
                place.pass.give_back();
                return None;
            }
            tried.extend(place.lease.as_ref().map(|lease| lease.id().clone()));
            self.attempts += 1;
            self.exchange.trace.attempt(&upstream.name);
            match self.attempt(upstream, place).await {
                Step::Done(response) => return Some(response),
                Step::OtherToken if upstream.pool.is_some() => {}
                Step::OtherToken | Step::OtherUpstream => return None,
            }
        }
        None
    }

    fn no_place(&mut self, upstream: &'a Arc<Upstream>, no_place: &NoPlace, was_tried: bool) {
        if let (NoPlace::Tokens(exhausted), true) = (no_place, was_tried) {
            if let Some(Failure::Attempt(failed)) = &mut self.failure {
                failed.token_wait = exhausted.retry_after;
            }
            return;
        }
        if matches!(no_place, NoPlace::Full) {
            self.full.push(upstream);
        }
        let (reason, wait) = no_place.words(upstream);
        Failure::unavailable(&mut self.failure, reason, wait);
    }

    async fn attempt(&mut self, upstream: &'a Arc<Upstream>, place: Place<'_>) -> Step {
        let Place {
            pass,
            permit,
            lease,
        } = place;
        let call = self.call(upstream, lease.as_ref());
        let (operation, began) = (call.operation, Instant::now());
        let total = upstream.settings.timeouts.total;
        let deadline = total.map(|total| tokio::time::Instant::from_std(began) + total);
        let answer = upstream.provider.forward(call);
        let answer = match head(self.exchange, answer, deadline).await {
            Ok(answer) => answer,
            Err(fault) => return self.fault(upstream, fault, pass, began),
        };
        let head = classify::classify(operation, answer.status, &answer.headers, &[]);
        if answer.judged || answer.status.is_success() && head == Verdict::Relay {
            if let Some(lease) = &lease {
                lease.settle(aurora_tokens::Outcome::Accepted, Instant::now());
            }
            let watch = answer::Watching {
                upstream,
                operation,
                audience: self.audience,
                deadline,
                lease,
                permit,
            };
            let passed = answer::relay(self.exchange, answer, watch).await;
            return match passed {
                Ok(response) => {
                    pass.settle(Outcome::Answered, None);
                    Step::Done(response)
                }
                Err(fault) => self.fault(upstream, fault, pass, began),
            };
        }
        // Boxed, so that successes do not carry the room for it.
        let judged = Box::pin(answer::judge(operation, upstream, answer, lease)).await;
        self.judged(upstream, judged, pass, began)
    }

    /// An answer came that is no plain success.
    fn judged(
        &mut self,
        upstream: &Upstream,
        judged: Judged,
        pass: Pass<'_>,
        began: Instant,
    ) -> Step {
        let Judged {
            verdict,
            answer,
            retry_after,
        } = judged;
        let outcome = Outcome::from(verdict);
        pass.settle(outcome, retry_after);
        let answer = match (verdict, answer) {
            (Verdict::Relay, Ok(response)) => return Step::Done(response),
            (_, answer) => answer,
        };
        if verdict == Verdict::TooLong {
            self.too_long(upstream);
        }
        let again = verdict == Verdict::ServerError;
        self.exchange.trace.failed_attempt(&upstream.name, outcome);
        self.failed(answer, verdict.retry_on(), again, began);
        if verdict.is_about_token() {
            Step::OtherToken
        } else {
            Step::OtherUpstream
        }
    }

    /// Only upstreams that take more are asked from now on.
    fn too_long(&mut self, upstream: &Upstream) {
        let window = upstream.settings.context_window.unwrap_or(1);
        self.window = self.window.max(window);
    }

    /// No answer came.
    fn fault(&mut self, upstream: &Upstream, fault: Fault, pass: Pass<'_>, began: Instant) -> Step {
        let outcome = Outcome::from(&fault);
        let is_own = matches!(self.exchange.visitor.brought, Brought::Nothing);
        if outcome == Outcome::Challenged && !is_own {
            // One client's own token says nothing about the others.
            pass.settle(Outcome::ClientError, None);
        } else {
            pass.settle(outcome, None);
        }
        let retry_on = classify::retry_on_fault(&fault);
        if retry_on == Some(RetryOn::ContextLength) {
            self.too_long(upstream);
        }
        let again = !matches!(fault, Fault::Judged { .. });
        classify::log_fault(&fault, &upstream.name, self.attempts);
        self.exchange.trace.failed_attempt(&upstream.name, outcome);
        let answer = Err(classify::error_of_fault(fault, &upstream.name));
        self.failed(answer, retry_on, again, began);
        Step::OtherUpstream
    }

    fn failed(
        &mut self,
        answer: Result<Response, Error>,
        retry_on: Option<RetryOn>,
        again: bool,
        began: Instant,
    ) {
        let failed = Failed {
            answer,
            retry_on,
            again,
            took: began.elapsed(),
            token_wait: None,
        };
        let before = self.failure.replace(Failure::Attempt(failed));
        // The first word about the length holds: what came after was only worth a try.
        if let Some(Failure::Attempt(before)) = before
            && before.retry_on == Some(RetryOn::ContextLength)
        {
            self.refusal.get_or_insert(before.answer);
        }
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
        match self.refusal {
            Some(refusal) => refusal,
            None => Failure::answer(self.failure),
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

/// `body` with the upstream's own name of the model.
fn renamed(body: &Bytes, alias: Option<&str>) -> Bytes {
    let peeked = alias.and_then(|alias| Some((alias, Peek::of(body).ok()?)));
    match peeked {
        Some((alias, peek)) => peek::with_model(body, &peek, alias),
        None => body.clone(),
    }
}
