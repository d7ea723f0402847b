//! What a run counted.

use std::io::Error;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Counts of one run.
#[derive(Debug)]
pub(crate) struct Tally {
    began: Instant,
    seconds: f64,
    latencies: Vec<Duration>,
    /// Answers that were complete and right.
    pub(crate) done: u64,
    /// Events of streams.
    pub(crate) chunks: u64,
    failed: u64,
    first_failure: Option<Error>,
}

impl Tally {
    pub(crate) fn begin() -> Self {
        Self {
            began: Instant::now(),
            seconds: 0.0,
            latencies: Vec::new(),
            done: 0,
            chunks: 0,
            failed: 0,
            first_failure: None,
        }
    }

    /// Counts one whole answer and the time since `intended`.
    pub(crate) fn finish(&mut self, intended: Instant) {
        self.done += 1;
        self.latencies.push(intended.elapsed());
    }

    pub(crate) fn fail(&mut self, error: Error) {
        self.failed += 1;
        self.first_failure.get_or_insert(error);
    }

    /// Adds what a part of the run counted.
    pub(crate) fn add(&mut self, other: Self) {
        self.done += other.done;
        self.chunks += other.chunks;
        self.failed += other.failed;
        self.latencies.extend(other.latencies);
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }

    /// Waits for all `tasks` and adds up what they saw.
    pub(crate) async fn gather(mut self, tasks: Vec<JoinHandle<Self>>) -> Self {
        for task in tasks {
            match task.await {
                Ok(part) => self.add(part),
                Err(error) => self.fail(Error::other(error)),
            }
        }
        self.ended()
    }

    /// Stops the clock.
    pub(crate) fn ended(mut self) -> Self {
        self.seconds = self.began.elapsed().as_secs_f64();
        self.latencies.sort_unstable();
        self
    }

    pub(crate) fn to_json(&self) -> String {
        let failure = self
            .first_failure
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        format!(
            "{{\"done\":{},\"chunks\":{},\"failed\":{},\"failure\":{failure:?},\"seconds\":{},\"p50_us\":{},\"p99_us\":{}}}",
            self.done,
            self.chunks,
            self.failed,
            self.seconds,
            self.percentile(50),
            self.percentile(99),
        )
    }

    /// In microseconds; 0 when nothing was timed.
    fn percentile(&self, percent: usize) -> f64 {
        let index = self.latencies.len() * percent / 100;
        self.latencies
            .get(index)
            .map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
    }
}
