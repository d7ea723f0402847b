//! Picks a token for a request.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use secrecy::SecretString;

use crate::token::{Health, Lease, Token, TokenId, TokenStatus};

/// How a pool picks among the tokens that may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one with the fewest requests under way.
    LeastBusy,
    /// The first one, until it may not be used.
    Sticky,
}

/// What holds for all tokens of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How a token is picked.
    pub strategy: Strategy,
    /// Rest after a 429 that names no time.
    pub cooldown: Duration,
    /// When a dead token is tried again.
    pub probe_dead: Duration,
}

/// A pool of equal tokens.
#[derive(Debug)]
pub struct TokenPool {
    tokens: Vec<(Arc<Token>, String)>,
    settings: Settings,
    next: AtomicUsize,
}

/// No token may be used now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolExhausted {
    /// Time until the first one may; `None` for an empty pool.
    pub retry_after: Option<Duration>,
    /// Tokens that rest after a rate limit.
    pub cooling: usize,
    /// Tokens that the upstream refuses.
    pub dead: usize,
}

impl TokenPool {
    /// A pool of `tokens`, each a secret with the place where it was written.
    ///
    /// A token that `previous` has too keeps its health: a cooldown survives a reload. Repeated tokens count once.
    pub fn rebuild(
        previous: Option<&Self>,
        tokens: impl IntoIterator<Item = (SecretString, String)>,
        settings: Settings,
    ) -> Self {
        let mut known: HashMap<&TokenId, &Arc<Token>> = previous
            .map(|pool| {
                pool.tokens
                    .iter()
                    .map(|(token, _)| (&token.id, token))
                    .collect()
            })
            .unwrap_or_default();
        let mut seen = std::collections::HashSet::new();
        let tokens = tokens
            .into_iter()
            .filter_map(|(secret, origin)| {
                let id = TokenId::of(&secret);
                if !seen.insert(id.clone()) {
                    return None;
                }
                let token = known
                    .remove(&id)
                    .map_or_else(|| Arc::new(Token::new(id, secret)), Arc::clone);
                Some((token, origin))
            })
            .collect();
        let next = previous.map_or(0, |pool| pool.next.load(Ordering::Relaxed));
        Self {
            tokens,
            settings,
            next: AtomicUsize::new(next),
        }
    }

    /// Number of tokens, usable or not.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Leases a token that may be used at `now` and is not in `tried`.
    ///
    /// # Errors
    /// [`PoolExhausted`] with the time until the first one may be used.
    pub fn lease(&self, now: Instant, tried: &[TokenId]) -> Result<Lease, PoolExhausted> {
        let usable =
            |token: &Token| !tried.contains(&token.id) && token.take(now, self.settings.probe_dead);
        let found = match self.settings.strategy {
            Strategy::RoundRobin => {
                let start = self.next.fetch_add(1, Ordering::Relaxed) % self.tokens.len().max(1);
                let (before, after) = self.tokens.split_at(start);
                after
                    .iter()
                    .chain(before)
                    .map(|(token, _)| token)
                    .find(|token| usable(token))
            }
            Strategy::Sticky => self
                .tokens
                .iter()
                .map(|(token, _)| token)
                .find(|token| usable(token)),
            Strategy::LeastBusy => self.least_busy(now, &usable),
        };
        match found {
            Some(token) => Ok(Lease::new(
                Arc::clone(token),
                self.settings.cooldown,
                self.settings.probe_dead,
            )),
            None => Err(self.exhausted(now)),
        }
    }

    /// Tries the healthy ones by load before it spends a probe on a dead one.
    fn least_busy(&self, now: Instant, usable: &impl Fn(&Token) -> bool) -> Option<&Arc<Token>> {
        let ready = |token: &Token| match token.health() {
            Health::Ok => 0,
            Health::Cooling { until } if until <= now => 0,
            Health::Dead { probe_at, .. } if probe_at <= now => 1,
            Health::Cooling { .. } | Health::Dead { .. } => 2,
        };
        let mut order: Vec<&Arc<Token>> = self.tokens.iter().map(|(token, _)| token).collect();
        order.sort_by_key(|token| (ready(token), token.busy.load(Ordering::Relaxed)));
        order.into_iter().find(|token| usable(token))
    }

    fn exhausted(&self, now: Instant) -> PoolExhausted {
        let count = |wanted: fn(&Health) -> bool| {
            self.tokens
                .iter()
                .filter(|(token, _)| wanted(&token.health()))
                .count()
        };
        PoolExhausted {
            retry_after: self
                .tokens
                .iter()
                .filter_map(|(token, _)| token.ready_at())
                .min()
                .map(|at| at.saturating_duration_since(now)),
            cooling: count(|health| matches!(health, Health::Cooling { .. })),
            dead: count(|health| matches!(health, Health::Dead { .. })),
        }
    }

    /// Every token's state, in the order written.
    pub fn status(&self) -> Vec<TokenStatus> {
        self.tokens
            .iter()
            .map(|(token, origin)| TokenStatus {
                id: token.id.clone(),
                origin: origin.clone(),
                health: token.health(),
                busy: token.busy.load(Ordering::Relaxed),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
