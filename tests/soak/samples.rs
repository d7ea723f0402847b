//! Memory, descriptors and tasks of the gateway as time goes by.

use std::time::{Duration, Instant};

use super::Pace;
use super::setting::Setting;

/// When memory counts as settled.
const SETTLED: Duration = Duration::from_mins(5);

/// Shorter runs say nothing about memory: it is still settling.
const TOO_SHORT: Duration = Duration::from_mins(10);

/// How much more there may be at the end, per cent.
const GROWTH: u64 = 10;

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Duration,
    resident: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Samples(Vec<Sample>);

impl Samples {
    /// Takes samples until the time is over.
    pub(super) async fn taken_for(setting: &Setting, pace: Pace) -> Self {
        let began = Instant::now();
        let (mut samples, mut minute, mut asked) = (Self::default(), 0, 0);
        while began.elapsed() < pace.time {
            tokio::time::sleep(pace.sample.min(pace.time.saturating_sub(began.elapsed()))).await;
            let at = began.elapsed();
            let resident = setting.aurora.resident();
            samples.0.push(Sample { at, resident });
            if at.as_secs() / 60 > minute {
                let total = setting.tally.total();
                println!(
                    "minute {:>3}: {:>6} KiB resident, {:>4} descriptors, {:>4} tasks, {:>3} threads, {:>4} requests a second",
                    at.as_secs() / 60,
                    resident / 1024,
                    setting.aurora.descriptors(),
                    setting.aurora.metric("aurora_tasks").await,
                    setting.aurora.threads(),
                    (total - asked) / 60,
                );
                (minute, asked) = (at.as_secs() / 60, total);
            }
        }
        samples
    }

    /// Whether memory grew on after it had settled.
    pub(super) fn verdict(&self, pace: Pace) -> Option<String> {
        let settled = SETTLED.min(pace.time / 2);
        let before = self.0.iter().find(|sample| sample.at >= settled)?;
        let last = self.0.last()?;
        let (from, to) = (before.resident / 1024, last.resident / 1024);
        println!(
            "resident after {} s: {from} KiB, at the end: {to} KiB",
            settled.as_secs()
        );
        let has_grown = to > from + from * GROWTH / 100;
        (has_grown && pace.time >= TOO_SHORT)
            .then(|| format!("memory grew from {from} KiB to {to} KiB, more than {GROWTH} %"))
    }
}
