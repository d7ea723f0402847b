//! What clients saw: how often each kind of request went as it should, and in full what did not.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// Unexpected answers that are kept in full.
const KEPT: usize = 20;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// As expected, and not.
    by_kind: BTreeMap<&'static str, (u64, u64)>,
    unexpected: Vec<String>,
}

impl Tally {
    /// Counts one request; `Err` says in full what was not as it should be.
    pub(super) fn count(&self, kind: &'static str, outcome: Result<(), String>) {
        let mut counts = self.0.lock().unwrap();
        let (good, bad) = counts.by_kind.entry(kind).or_default();
        match outcome {
            Ok(()) => *good += 1,
            Err(told) => {
                *bad += 1;
                if counts.unexpected.len() < KEPT {
                    counts.unexpected.push(format!("{kind}: {told}"));
                }
            }
        }
    }

    /// Requests of all kinds.
    pub(super) fn total(&self) -> u64 {
        let counts = self.0.lock().unwrap();
        counts.by_kind.values().map(|(good, bad)| good + bad).sum()
    }

    /// The table of all kinds.
    pub(super) fn print(&self) {
        println!("{:28} {:>10} {:>12}", "kind", "as expected", "unexpected");
        for (kind, (good, bad)) in &self.0.lock().unwrap().by_kind {
            println!("{kind:28} {good:>10} {bad:>12}");
        }
    }

    /// What was not as it should be, and kinds that never were asked for.
    pub(super) fn verdict(&self) -> Vec<String> {
        let counts = self.0.lock().unwrap();
        let bad: u64 = counts.by_kind.values().map(|(_, bad)| bad).sum();
        let mut wrong = Vec::new();
        if bad > 0 {
            wrong.push(format!("{bad} unexpected answers, the first of them:"));
            wrong.extend(counts.unexpected.iter().cloned());
        }
        let never = counts.by_kind.iter().filter(|(_, (good, _))| *good == 0);
        wrong.extend(never.map(|(kind, _)| format!("{kind}: never as expected")));
        wrong
    }
}
