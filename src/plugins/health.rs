//! What a plugin does wrong while it serves: counted, said once in a while, and in the end a reason to go back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aurora_config::OnPanic;
use aurora_sdk::abi::import::{Around, Notice};
use tokio::sync::Notify;

use super::metrics::Metrics;
use super::reaper::Reaper;

/// The same thing is said this often at the most.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// A poll that takes this long needs a person.
const VERY_SLOW: Duration = Duration::from_secs(1);

/// What is known of how one generation does.
#[derive(Debug)]
pub(super) struct Health {
    name: String,
    number: u64,
    metrics: Arc<Metrics>,
    reaper: Arc<Reaper>,
    /// Woken when it panicked too often.
    troubled: Arc<Notify>,
    on_panic: OnPanic,
    max_blocking: usize,
    panics: AtomicU64,
    slow: AtomicU64,
    leaked: AtomicU64,
    recent: Mutex<VecDeque<Instant>>,
    is_failing: std::sync::atomic::AtomicBool,
    said: Mutex<Option<Instant>>,
}

/// Where a generation's health is told.
#[derive(Debug, Clone)]
pub(super) struct Telling {
    pub(super) metrics: Arc<Metrics>,
    pub(super) reaper: Arc<Reaper>,
    pub(super) troubled: Arc<Notify>,
}

/// Counts for status.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) panics: u64,
    pub(crate) slow_polls: u64,
    pub(crate) leaked_handles: u64,
}

impl Health {
    pub(super) fn new(
        (name, number): (&str, u64),
        telling: &Telling,
        on_panic: OnPanic,
        max_blocking: usize,
    ) -> Self {
        Self {
            name: name.to_owned(),
            number,
            metrics: Arc::clone(&telling.metrics),
            reaper: Arc::clone(&telling.reaper),
            troubled: Arc::clone(&telling.troubled),
            on_panic,
            max_blocking,
            panics: AtomicU64::new(0),
            slow: AtomicU64::new(0),
            leaked: AtomicU64::new(0),
            recent: Mutex::default(),
            is_failing: std::sync::atomic::AtomicBool::new(false),
            said: Mutex::default(),
        }
    }

    /// Whether it panicked more often than the operator allows.
    pub(super) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            panics: self.panics.load(Ordering::Relaxed),
            slow_polls: self.slow.load(Ordering::Relaxed),
            leaked_handles: self.leaked.load(Ordering::Relaxed),
        }
    }

    fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
        self.metrics.count(
            "aurora_plugin_panics_total",
            "Panics of plugins",
            &self.name,
        );
        tracing::error!(
            plugin = self.name,
            generation = self.number,
            "plugin panicked"
        );
        let OnPanic::Rollback { panics, window } = self.on_panic else {
            return;
        };
        let now = Instant::now();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_back(now);
        while recent
            .front()
            .is_some_and(|first| now.duration_since(*first) > window)
        {
            recent.pop_front();
        }
        if recent.len() >= panics as usize {
            recent.clear();
            self.is_failing.store(true, Ordering::Relaxed);
            self.troubled.notify_one();
        }
    }

    /// Whether it is time to say such a thing again.
    fn is_news(&self) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = said.is_none_or(|said| said.elapsed() >= SAY_AGAIN);
        if is_news {
            *said = Some(Instant::now());
        }
        is_news
    }
}

impl Around for Health {
    fn dispose(&self, work: Box<dyn FnOnce() + Send>) {
        self.reaper.dispose(work);
    }

    fn noticed(&self, notice: Notice) {
        let (plugin, generation) = (&self.name, self.number);
        match notice {
            Notice::Panicked => self.panicked(),
            Notice::Slow(took) => {
                self.slow.fetch_add(1, Ordering::Relaxed);
                let what = "Polls of plugins that kept a thread for longer than 10 ms";
                self.metrics
                    .count("aurora_plugin_slow_polls_total", what, plugin);
                let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                if took >= VERY_SLOW {
                    tracing::error!(
                        plugin,
                        generation,
                        ms,
                        "plugin blocks a thread of the gateway"
                    );
                } else if self.is_news() {
                    tracing::warn!(plugin, generation, ms, "plugin keeps a thread for long");
                }
            }
            Notice::Leaked(count) => {
                self.leaked.fetch_add(count as u64, Ordering::Relaxed);
                let what = "Things that plugins left open";
                self.metrics
                    .count("aurora_plugin_leaked_handles_total", what, plugin);
                if self.is_news() {
                    tracing::warn!(
                        plugin,
                        generation,
                        count,
                        "plugin left things open; they were closed"
                    );
                }
            }
        }
    }

    fn max_blocking(&self) -> usize {
        self.max_blocking
    }
}
