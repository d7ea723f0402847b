//! What one request takes of its key's limits: let in, followed to its last byte, settled with what it cost.
//!
//! Its cost is read here, where the answer leaves in the client's own dialect: there every answer passes once, relayed or
//! translated, whatever was tried for it at how many upstreams.

mod meter;

use std::sync::Arc;
use std::time::Duration;

use aurora_sdk::{Error, ErrorKind, Origin, Request, Response};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method};

use meter::Meter;

use crate::limits::{KeyLimits, Level, Limit, Now, Place, Refused};

/// Headers of this family tell how somebody stands: the operator's account at an upstream, or a client's key here.
const FAMILY: &str = "x-ratelimit-";

/// See the module.
#[derive(Debug)]
pub(super) struct Allowance {
    limits: Arc<KeyLimits>,
    refused: Option<Refused>,
    /// Until all of the answer is on its way.
    place: Option<Place>,
    meter: Option<Meter>,
    /// Bytes of the answer that are still to come, where that is known.
    left: Option<u64>,
}

impl Allowance {
    /// Of a key with `limits`.
    pub(super) fn new(limits: Arc<KeyLimits>) -> Self {
        Self {
            limits,
            refused: None,
            place: None,
            meter: None,
            left: None,
        }
    }

    /// Lets `request` in, and follows its body where tokens count.
    ///
    /// # Errors
    /// 429 `rate_limit_exceeded` or `insufficient_quota`.
    pub(super) fn admit(&mut self, request: &mut Request) -> Result<(), Error> {
        // What asks a model for something is a POST. Others may show answers again, with what they once cost.
        let counts = self.limits.count_tokens() && request.method == Method::POST;
        let estimate = counts.then(|| meter::estimate(request));
        match self.limits.admit(estimate, Now::read()) {
            Ok(place) => self.place = Some(place),
            Err(refused) => {
                self.refused = Some(refused);
                return Err(refusal(refused, self.limits.name()));
            }
        }
        if counts {
            self.meter = Some(Meter::follow(request));
        }
        Ok(())
    }

    /// Puts how the key stands onto `response`, in place of how the operator's own account does, and begins to follow its body.
    pub(super) fn answer(&mut self, response: &mut Response) {
        let standing = self.limits.standing(Now::read());
        let headers = &mut *response.headers;
        let others: Vec<HeaderName> = headers
            .keys()
            .filter(|name| name.as_str().starts_with(FAMILY))
            .cloned()
            .collect();
        for name in others {
            headers.remove(name);
        }
        if let Some(requests) = standing.requests {
            let names = [
                "x-ratelimit-limit-requests",
                "x-ratelimit-remaining-requests",
                "x-ratelimit-reset-requests",
            ];
            show(requests, names, headers);
        }
        if let Some(tokens) = standing.tokens.or(standing.day) {
            let names = [
                "x-ratelimit-limit-tokens",
                "x-ratelimit-remaining-tokens",
                "x-ratelimit-reset-tokens",
            ];
            show(tokens, names, headers);
        }
        if let Some(refused) = self.refused {
            headers.insert("retry-after-ms", millis(refused.wait).into());
            if is_day(refused) {
                // Official SDKs try again at once where a wait is longer than they like.
                headers.insert("x-should-retry", HeaderValue::from_static("false"));
            }
        }
        if let Some(meter) = &mut self.meter {
            meter.answer(response);
        }
        self.left = response.body.length();
    }

    /// The next bytes of the answer.
    pub(super) fn note(&mut self, bytes: &[u8]) {
        if let Some(meter) = &mut self.meter {
            meter.note(bytes);
        }
        self.left = self
            .left
            .map(|left| left.saturating_sub(bytes.len() as u64));
        if self.left == Some(0) {
            self.settle();
        }
    }

    /// The answer is all there. Who reads its end and asks again at once must find the place free.
    pub(super) fn settle(&mut self) {
        if let Some(mut place) = self.place.take()
            && let Some(meter) = &self.meter
        {
            place.cost = meter.cost();
        }
    }

    /// The limit that kept the request out.
    pub(super) fn limited(&self) -> Option<&'static str> {
        self.refused.map(|refused| refused.limit.name())
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        self.settle();
    }
}

fn is_day(refused: Refused) -> bool {
    refused.is_used_up && matches!(refused.limit, Limit::TokensPerDay(_))
}

fn refusal(refused: Refused, name: &str) -> Error {
    let (limit, wait) = (refused.limit, refused.wait);
    let kind = match limit {
        Limit::RequestsPerMinute(_) | Limit::Concurrent(_) => "requests",
        Limit::TokensPerMinute(_) | Limit::TokensPerDay(_) => "tokens",
    };
    let (code, kind) = if is_day(refused) {
        ("insufficient_quota", "insufficient_quota")
    } else {
        ("rate_limit_exceeded", kind)
    };
    let why = if refused.is_used_up {
        "is used up"
    } else {
        "is taken by requests under way"
    };
    let message = format!(
        "`{limit}` of key \"{name}\" {why}; try again in {}",
        span(wait)
    );
    Error::new(ErrorKind::RateLimited, Origin::Downstream, code, message)
        .with_type(kind)
        .with_retry_after(wait)
}

fn show(level: Level, [limit, remaining, reset]: [&'static str; 3], headers: &mut HeaderMap) {
    headers.insert(limit, level.limit.into());
    headers.insert(remaining, level.left().into());
    if let Ok(reset_in) = HeaderValue::from_str(&span(level.reset)) {
        headers.insert(reset, reset_in);
    }
}

/// A time as OpenAI writes it: `20ms`, `1s`, `6m0s`, `2h0m5s`. Rounded up.
fn span(time: Duration) -> String {
    let millis = millis(time);
    if millis < 1000 {
        return format!("{millis}ms");
    }
    let seconds = millis.div_ceil(1000);
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

/// Rounded up.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_openai_does() {
        let written = [
            (0, "0ms"),
            (20, "20ms"),
            (999, "999ms"),
            (1000, "1s"),
            (1001, "2s"),
            (59_001, "1m0s"),
            (360_000, "6m0s"),
            (7_205_000, "2h0m5s"),
        ];
        for (millis, text) in written {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
        assert_eq!(span(Duration::from_nanos(1)), "1ms");
    }
}
