//! Chance, and what happens by it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

/// Numbers that look like chance, the same for each seed (Marsaglia, "Xorshift RNGs").
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `max`.
    pub(crate) fn below(&mut self, max: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % max
    }
}

#[derive(Default)]
struct Gate {
    is_open: bool,
    waker: Option<Waker>,
}

/// Gates that are waited at until somebody opens them.
#[derive(Clone, Default)]
pub(crate) struct Gates(Arc<Mutex<BTreeMap<String, Gate>>>);

impl Gates {
    pub(crate) async fn pass(&self, name: &str) {
        std::future::poll_fn(|cx| {
            let waker = cx.waker().clone();
            let mut gates = self.0.lock().unwrap();
            let gate = gates.entry(name.to_owned()).or_default();
            if gate.is_open {
                return Poll::Ready(());
            }
            let former = gate.waker.replace(waker);
            drop(gates);
            drop(former);
            Poll::Pending
        })
        .await;
    }

    pub(crate) fn open(&self, name: &str) {
        let mut gates = self.0.lock().unwrap();
        let gate = gates.entry(name.to_owned()).or_default();
        gate.is_open = true;
        let waker = gate.waker.take();
        drop(gates);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Opens one at which somebody waits; whether there was one.
    pub(crate) fn open_any(&self, chance: &mut Chance) -> bool {
        let gates = self.0.lock().unwrap();
        let closed = gates.iter().filter(|(_, gate)| !gate.is_open);
        let closed: Vec<String> = closed.map(|(name, _)| name.clone()).collect();
        drop(gates);
        if closed.is_empty() {
            return false;
        }
        self.open(&closed[chance.below(closed.len())]);
        true
    }

    /// Forgets all of them.
    pub(crate) fn clear(&self) {
        let gates = std::mem::take(&mut *self.0.lock().unwrap());
        drop(gates);
    }
}
