//! What happened to one request at the upstreams, for the access log and the debug headers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use aurora_sdk::Error;

use super::outcome::Outcome;

/// How a response body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    /// As it should.
    Complete,
    /// The upstream broke off.
    Truncated,
    /// The upstream was too slow.
    Timeout,
    /// The client went away.
    ClientGone,
    /// The client took nothing for too long.
    ClientStopped,
    /// The gateway shut down.
    Shutdown,
}

impl StreamEnd {
    /// All of them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Complete,
        Self::Truncated,
        Self::Timeout,
        Self::ClientGone,
        Self::ClientStopped,
        Self::Shutdown,
    ];

    /// The word for logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Truncated => "truncated",
            Self::Timeout => "timeout",
            Self::ClientGone => "client_gone",
            Self::ClientStopped => "client_stopped",
            Self::Shutdown => "shutdown",
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Trace(Mutex<Facts>);

/// What a [`Trace`] has gathered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// Attempts made.
    pub(crate) attempts: u32,
    /// The attempts that failed, and why; the first few.
    pub(crate) failed: Vec<(String, Outcome)>,
    /// The upstream of the last attempt.
    pub(crate) upstream: Option<String>,
    /// The model that the client asked for.
    pub(crate) model: Option<String>,
    /// How the body ended, once it has.
    pub(crate) end: Option<StreamEnd>,
    /// The code of the error that the client got.
    pub(crate) error: Option<String>,
    /// What plugins counted, such as tokens.
    pub(crate) usage: Vec<(String, u64)>,
}

impl Trace {
    /// Held for nanoseconds and never across an await.
    fn facts_mut(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An attempt begins.
    pub(crate) fn attempt(&self, upstream: &str) {
        let mut facts = self.facts_mut();
        facts.attempts += 1;
        facts.upstream = Some(upstream.to_owned());
    }

    /// An attempt came to nothing.
    pub(crate) fn failed_attempt(&self, upstream: &str, outcome: Outcome) {
        const MAX: usize = 8;
        let failed = &mut self.facts_mut().failed;
        if failed.len() < MAX {
            failed.push((upstream.to_owned(), outcome));
        }
    }

    /// The client asks for `model`.
    pub(crate) fn model(&self, model: &str) {
        self.facts_mut().model = Some(model.to_owned());
    }

    /// A plugin counts something; amounts of one name add up, and only so many names are kept.
    pub(crate) fn usage(&self, name: &str, amount: u64) {
        const MAX: usize = 16;
        let usage = &mut self.facts_mut().usage;
        if let Some((_, sum)) = usage.iter_mut().find(|(known, _)| known == name) {
            *sum = sum.saturating_add(amount);
        } else if usage.len() < MAX {
            usage.push((name.to_owned(), amount));
        }
    }

    /// The body has ended; the first word holds.
    pub(crate) fn ended(&self, end: StreamEnd) {
        self.facts_mut().end.get_or_insert(end);
    }

    /// The client gets an error.
    pub(crate) fn failed(&self, end: StreamEnd, error: &Error) {
        let mut facts = self.facts_mut();
        facts.end.get_or_insert(end);
        facts.error = Some(error.code().to_owned());
    }

    /// The attempts made so far, where some of them failed and others were made.
    pub(crate) fn retried(&self) -> Option<u32> {
        let facts = self.facts_mut();
        (facts.attempts > 1 && !facts.failed.is_empty()).then_some(facts.attempts)
    }

    /// What is known so far.
    pub(crate) fn facts(&self) -> Facts {
        self.facts_mut().clone()
    }
}
