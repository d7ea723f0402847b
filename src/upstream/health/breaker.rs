//! The circuit breaker of one upstream: closed, open, or half-open with one probe. It has no clock: time is an argument.

use std::time::{Duration, Instant};

use aurora_config::Breaker as Settings;

/// What a failed attempt weighs.
pub(super) const FAILED: u32 = 2;

/// What an answer weighs that broke off after it had begun: half.
pub(super) const BROKEN_OFF: u32 = 1;

/// The window is counted in so many pieces.
const PIECES: u32 = 8;

/// Why an upstream is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It failed too often.
    Failing,
    /// Its edge asked for a browser.
    EdgeBlock,
    /// It asked to be left alone for a while.
    AskedToWait,
    /// It fails its health check.
    FailsCheck,
}

impl Reason {
    /// The words for messages and logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "it failed too often",
            Self::EdgeBlock => "its edge asked for a browser",
            Self::AskedToWait => "it asked to be left alone",
            Self::FailsCheck => "it fails its health check",
        }
    }
}

/// The upstream is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rest {
    /// Time until it may be tried; `None` where nobody knows.
    pub(crate) retry_after: Option<Duration>,
    /// Why.
    pub(crate) reason: Reason,
    /// Whether one request tries it just now.
    pub(crate) is_probed: bool,
}

/// What a result changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Rests(Reason),
    Recovered,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    phase: Phase,
    window: Window,
    /// Its health check failed.
    is_down: bool,
    /// How often it has opened without a window of peace between.
    streak: u32,
    /// When it last closed.
    closed_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, Default)]
enum Phase {
    #[default]
    Closed,
    Open {
        until: Instant,
        reason: Reason,
    },
    HalfOpen {
        reason: Reason,
    },
}

impl Breaker {
    /// Lets an attempt through, one only where the rest is over: whether it is that probe, which decides alone whether
    /// the upstream serves again.
    ///
    /// # Errors
    /// The rest that the upstream takes.
    pub(super) fn admit(&mut self, now: Instant) -> Result<bool, Rest> {
        if let Some(rest) = self.rest(now) {
            return Err(rest);
        }
        match self.phase {
            Phase::Open { reason, .. } => {
                self.phase = Phase::HalfOpen { reason };
                Ok(true)
            }
            Phase::Closed | Phase::HalfOpen { .. } => Ok(false),
        }
    }

    /// The rest at `now`, if any.
    pub(super) fn rest(&self, now: Instant) -> Option<Rest> {
        if self.is_down {
            return Some(Rest {
                retry_after: None,
                reason: Reason::FailsCheck,
                is_probed: false,
            });
        }
        match self.phase {
            Phase::Closed => None,
            Phase::Open { until, .. } if until <= now => None,
            Phase::Open { until, reason } => Some(Rest {
                retry_after: Some(until.saturating_duration_since(now)),
                reason,
                is_probed: false,
            }),
            Phase::HalfOpen { reason } => Some(Rest {
                retry_after: Some(Duration::from_secs(1)),
                reason,
                is_probed: true,
            }),
        }
    }

    /// An attempt failed that was no probe.
    pub(super) fn failed(&mut self, weight: u32, now: Instant, settings: &Settings) -> Change {
        // What began before the rest says nothing new.
        if !matches!(self.phase, Phase::Closed) {
            return Change::None;
        }
        self.window.count(
            now,
            settings.window,
            Count {
                bad: weight,
                all: u32::from(weight == FAILED),
            },
        );
        let Count { bad, all } = self.window.sum(now, settings.window);
        let failures = f64::from(bad) / f64::from(FAILED);
        let is_enough = failures >= f64::from(settings.failures);
        if !is_enough || failures < settings.share * f64::from(all) {
            return Change::None;
        }
        let is_peace = |at: Instant| now.saturating_duration_since(at) > settings.window;
        if self.closed_at.is_none_or(is_peace) {
            self.streak = 0;
        }
        self.fails(now, settings)
    }

    /// An attempt succeeded that was no probe.
    pub(super) fn succeeded(&mut self, now: Instant, settings: &Settings) {
        if matches!(self.phase, Phase::Closed) {
            self.window
                .count(now, settings.window, Count { bad: 0, all: 1 });
        }
    }

    /// The probe succeeded: all requests may come again.
    pub(super) fn probe_succeeded(&mut self, now: Instant) -> Change {
        match self.phase {
            Phase::HalfOpen { .. } => {
                self.phase = Phase::Closed;
                self.closed_at = Some(now);
                Change::Recovered
            }
            Phase::Open { .. } | Phase::Closed => Change::None,
        }
    }

    /// The probe failed.
    pub(super) fn probe_failed(&mut self, now: Instant, settings: &Settings) -> Change {
        match self.phase {
            Phase::HalfOpen { .. } => self.fails(now, settings),
            Phase::Open { .. } | Phase::Closed => Change::None,
        }
    }

    /// The probe came to nothing: the next request is another one.
    pub(super) fn probe_is_off(&mut self, now: Instant) {
        if let Phase::HalfOpen { reason } = self.phase {
            self.phase = Phase::Open { until: now, reason };
        }
    }

    /// The upstream said itself that it wants to be left alone.
    pub(super) fn rests(&mut self, until: Instant, reason: Reason) -> Change {
        match self.phase {
            // The longer rest holds.
            Phase::Open { until: known, .. } if known >= until => Change::None,
            _ => self.open(until, reason),
        }
    }

    /// Its health check passes. Whether it did not before.
    pub(super) fn check_passed(&mut self) -> bool {
        std::mem::take(&mut self.is_down)
    }

    /// Its health check fails. Whether it did not before.
    pub(super) fn check_failed(&mut self) -> bool {
        !std::mem::replace(&mut self.is_down, true)
    }

    /// Opens: for a tenth of `open` at first, so that a hiccup is soon over, and for twice as long each time.
    fn fails(&mut self, now: Instant, settings: &Settings) -> Change {
        let first = settings.open / 10;
        let rest = first.saturating_mul(1 << self.streak.min(4));
        self.streak = self.streak.saturating_add(1);
        self.open(now + rest.min(settings.open), Reason::Failing)
    }

    fn open(&mut self, until: Instant, reason: Reason) -> Change {
        self.phase = Phase::Open { until, reason };
        self.window = Window::default();
        Change::Rests(reason)
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    /// Failures, in halves.
    bad: u32,
    /// Attempts.
    all: u32,
}

/// What came of the attempts of the last while.
#[derive(Debug, Default)]
struct Window {
    pieces: [Count; PIECES as usize],
    /// The newest piece, and when it began.
    newest: Option<(usize, Instant)>,
}

impl Window {
    fn count(&mut self, now: Instant, length: Duration, more: Count) {
        let newest = self.turn(now, length);
        if let Some(piece) = self.pieces.get_mut(newest) {
            piece.bad = piece.bad.saturating_add(more.bad);
            piece.all = piece.all.saturating_add(more.all);
        }
    }

    fn sum(&mut self, now: Instant, length: Duration) -> Count {
        self.turn(now, length);
        self.pieces
            .iter()
            .fold(Count::default(), |sum, piece| Count {
                bad: sum.bad.saturating_add(piece.bad),
                all: sum.all.saturating_add(piece.all),
            })
    }

    /// Forgets what is too old; the piece of `now`.
    fn turn(&mut self, now: Instant, length: Duration) -> usize {
        let each = (length / PIECES).max(Duration::from_millis(1));
        let Some((newest, began)) = self.newest else {
            self.newest = Some((0, now));
            return 0;
        };
        let steps = now.saturating_duration_since(began).as_nanos() / each.as_nanos();
        let Some(steps) = u32::try_from(steps).ok().filter(|steps| *steps < PIECES) else {
            *self = Self {
                newest: Some((0, now)),
                ..Self::default()
            };
            return 0;
        };
        let mut at = newest;
        for _ in 0..steps {
            at = (at + 1) % self.pieces.len();
            if let Some(piece) = self.pieces.get_mut(at) {
                *piece = Count::default();
            }
        }
        self.newest = Some((at, began + each * steps));
        at
    }
}
