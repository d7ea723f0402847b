//! Picks a token for a request.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use secrecy::SecretString;

use crate::ranking::{Rank, Ranking};
use crate::token::{Lease, Token, TokenId, TokenStatus};

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
    ranking: Arc<Ranking>,
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
        let tokens: Vec<_> = tokens
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
        let ranking = Arc::new(Ranking::new(settings.strategy));
        for (number, (token, _)) in (0..).zip(&tokens) {
            token.enter(&ranking, number);
        }
        let next = previous.map_or(0, |pool| pool.next.load(Ordering::Relaxed));
        Self {
            tokens,
            settings,
            next: AtomicUsize::new(next),
            ranking,
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
        let start = match self.settings.strategy {
            Strategy::RoundRobin => {
                let next = self.next.fetch_add(1, Ordering::Relaxed);
                u32::try_from(next % self.tokens.len().max(1)).unwrap_or_default()
            }
            Strategy::LeastBusy | Strategy::Sticky => 0,
        };
        // Where load does not count, the token whose turn it is mostly serves, and no lock of the whole pool is needed.
        let straight = match self.settings.strategy {
            Strategy::RoundRobin | Strategy::Sticky => self.try_lease(start, now, tried),
            Strategy::LeastBusy => None,
        };
        straight
            .or_else(|| self.lease_ranked(start, now, tried))
            .ok_or_else(|| self.ranking.exhausted(now))
    }

    fn lease_ranked(&self, start: u32, now: Instant, tried: &[TokenId]) -> Option<Lease> {
        let start = Rank::numbered(start);
        let wanted = |number| {
            self.token(number)
                .is_some_and(|token| !tried.contains(&token.id))
        };
        let halves = [
            (Bound::Included(start), Bound::Unbounded),
            (Bound::Unbounded, Bound::Excluded(start)),
        ];
        for (mut from, to) in halves {
            while let Some(rank) = self.ranking.first(now, (from, to), wanted) {
                if let Some(lease) = self.try_lease(rank.number(), now, tried) {
                    return Some(lease);
                }
                // Another request was faster, or knows a later time than this one.
                from = Bound::Excluded(rank);
            }
        }
        None
    }

    fn token(&self, number: u32) -> Option<&Arc<Token>> {
        self.tokens.get(number as usize).map(|(token, _)| token)
    }

    fn try_lease(&self, number: u32, now: Instant, tried: &[TokenId]) -> Option<Lease> {
        let token = self.token(number)?;
        if tried.contains(&token.id) {
            return None;
        }
        token.lease(now, &self.settings)
    }

    /// Every token's state, in the order written.
    pub fn status(&self) -> Vec<TokenStatus> {
        self.tokens
            .iter()
            .map(|(token, origin)| {
                let standing = token.standing();
                TokenStatus {
                    id: token.id.clone(),
                    origin: origin.clone(),
                    health: standing.health,
                    busy: standing.busy as usize,
                    is_probed: token.is_probed(),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
