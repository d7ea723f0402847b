//! Things that go wrong on demand.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::answer::Plain;
use super::record::Recorded;

/// What happens in place of an answer, or before it.
#[derive(Debug, Clone)]
pub struct Fault {
    pub(super) kind: Kind,
    times: Option<usize>,
    skip: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Answer(Plain),
    Reset,
    Close,
    Silence,
    Delay(Duration),
}

impl Fault {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            times: Some(1),
            skip: 0,
        }
    }

    /// Answers with a status and a JSON body.
    pub fn status(status: u16, body: &Value) -> Self {
        Self::new(Kind::Answer(Plain::json(status, body)))
    }

    /// Answers with a status and any body; an empty `content_type` is left out.
    pub fn body(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::new(Kind::Answer(Plain::new(status, content_type, body)))
    }

    /// Resets the connection.
    pub fn reset() -> Self {
        Self::new(Kind::Reset)
    }

    /// Closes the connection without an answer.
    pub fn close() -> Self {
        Self::new(Kind::Close)
    }

    /// Says nothing and keeps the connection open until the client closes it.
    pub fn silence() -> Self {
        Self::new(Kind::Silence)
    }

    /// Answers as usual, but later.
    pub fn delay(time: Duration) -> Self {
        Self::new(Kind::Delay(time))
    }

    /// Adds a header to an answer that stands in place of the usual one.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Kind::Answer(plain) = self.kind {
            self.kind = Kind::Answer(plain.header(name, value));
        }
        self
    }

    /// How often it happens; once by default.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = Some(times);
        self
    }

    /// It happens every time.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }

    /// Lets that many calls pass first.
    #[must_use]
    pub fn skip(mut self, calls: usize) -> Self {
        self.skip = calls;
        self
    }
}

/// The faults that wait for their calls.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(String, Fault)>);

impl Faults {
    pub(super) fn add(&mut self, pattern: &str, fault: Fault) {
        self.0.push((pattern.to_owned(), fault));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault of this call, if there is one; it is used up by that.
    pub(super) fn take(&mut self, request: &Recorded) -> Option<Kind> {
        let at = self.0.iter_mut().position(|(pattern, fault)| {
            let meant = fault.times != Some(0) && is_meant(pattern, request);
            if meant && fault.skip > 0 {
                fault.skip -= 1;
                return false;
            }
            meant
        })?;
        let (_, fault) = self.0.get_mut(at)?;
        if let Some(times) = &mut fault.times {
            *times -= 1;
        }
        Some(fault.kind.clone())
    }
}

/// Whether `METHOD /path` names this call: `*` stands for any method or segment, a last `**` for the rest.
fn is_meant(pattern: &str, request: &Recorded) -> bool {
    let (method, path) = pattern.split_once(' ').unwrap_or(("*", pattern));
    (method == "*" || method == request.method)
        && (matches(path, request.route()) || matches(path, &request.path))
}

fn matches(pattern: &str, path: &str) -> bool {
    let mut wanted = pattern.split('/');
    let mut found = path.split('/');
    loop {
        match (wanted.next(), found.next()) {
            (Some("**"), _) | (None, None) => return true,
            (Some(want), Some(segment)) if want == "*" || want == segment => {}
            _ => return false,
        }
    }
}
