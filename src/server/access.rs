//! The access log: one line a request, when its last byte is gone.

use std::sync::Arc;
use std::time::Instant;

use http::{Method, StatusCode};

use super::allowance::Allowance;
use crate::shared::Traffic;
use crate::upstream::outcome::Outcome;
use crate::upstream::trace::{StreamEnd, Trace};

/// The longest text of a client's making in a log line.
const MAX_TEXT: usize = 128;

/// One request from its head to its last byte. Dropping it writes the line.
#[derive(Debug)]
pub(super) struct Access {
    traffic: Arc<Traffic>,
    /// Requests under way with this one, when it began.
    pub(super) in_flight: usize,
    started: Instant,
    pub(super) request_id: Arc<str>,
    method: Method,
    path: String,
    /// The route's path as configured.
    pub(super) route: Option<Arc<str>>,
    /// The plugin that served it, and its generation.
    pub(super) plugin: Option<String>,
    /// The client's name.
    pub(super) client: Option<Arc<str>>,
    /// The status sent.
    pub(super) status: Option<StatusCode>,
    /// Whether the answer says where it came from.
    pub(super) debug: bool,
    /// The code of the error sent before the head.
    pub(super) error: Option<String>,
    /// What happened at the upstreams.
    pub(super) trace: Arc<Trace>,
    /// Bytes of the body sent.
    bytes: u64,
    /// Whether the body went out to its end.
    finished: bool,
    /// What it takes of its key's limits, where that has any.
    pub(super) allowance: Option<Box<Allowance>>,
}

impl Access {
    /// Counts a request in.
    pub(super) fn begin(
        traffic: &Arc<Traffic>,
        request_id: Arc<str>,
        method: Method,
        path: &str,
    ) -> Self {
        Self {
            traffic: Arc::clone(traffic),
            in_flight: traffic.begin(),
            started: Instant::now(),
            request_id,
            method,
            path: shortened(path),
            route: None,
            plugin: None,
            client: None,
            status: None,
            debug: false,
            error: None,
            trace: Arc::default(),
            bytes: 0,
            finished: false,
            allowance: None,
        }
    }
}

impl Access {
    /// Whether the client wants no body.
    pub(super) fn wants_head(&self) -> bool {
        self.method == Method::HEAD
    }

    /// The body is all there.
    pub(super) fn finish(&mut self) {
        self.finished = true;
        if let Some(allowance) = &mut self.allowance {
            allowance.settle();
        }
    }

    /// The next bytes of the body go out.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if let Some(allowance) = &mut self.allowance {
            allowance.note(bytes);
        }
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        let facts = self.trace.facts();
        let end = match facts.end {
            Some(end) => end,
            None if self.finished => StreamEnd::Complete,
            None => StreamEnd::ClientGone,
        };
        let error = self.error.take().or(facts.error);
        self.traffic.end(self.status, end, error.as_deref());
        tracing::info!(
            target: "aurora::access",
            request_id = &*self.request_id,
            client = self.client.as_deref(),
            method = self.method.as_str(),
            path = self.path,
            route = self.route.as_deref(),
            plugin = self.plugin,
            status = self.status.map(|status| status.as_u16()),
            ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            bytes = self.bytes,
            upstream = facts.upstream,
            attempts = facts.attempts,
            failed = failed(&facts.failed),
            model = facts.model.as_deref().map(shortened),
            usage = usage(&facts.usage),
            end = end.as_str(),
            error,
            limited = self.allowance.as_ref().and_then(|allowance| allowance.limited()),
            "request"
        );
    }
}

/// The attempts that failed, such as `one=unreachable two=server_error`.
fn failed(attempts: &[(String, Outcome)]) -> Option<String> {
    let words: Vec<String> = attempts
        .iter()
        .map(|(upstream, outcome)| format!("{upstream}={}", outcome.as_str()))
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}

fn usage(counted: &[(String, u64)]) -> Option<String> {
    let counted: Vec<String> = counted
        .iter()
        .map(|(name, amount)| format!("{}={amount}", shortened(name)))
        .collect();
    (!counted.is_empty()).then(|| counted.join(" "))
}

fn shortened(text: &str) -> String {
    if text.len() <= MAX_TEXT && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    text.chars()
        .filter(|c| !c.is_control())
        .take(MAX_TEXT)
        .collect()
}
