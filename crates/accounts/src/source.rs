//! A token of a line: what it is exchanged for, and what becomes of it.

mod exchange;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aurora_chatgpt::credential::Claims;
use aurora_chatgpt::fault::FaultKind;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::file::TokenFile;
use crate::settings::Kind;
use crate::shared::{Context, locked};
use crate::state::Limit;

/// So many tokens that were replaced are recognised: a reload may have read the file a moment ago.
const MAX_SPENT: usize = 8;

/// Access tokens are treated as expired so many seconds ahead: a request takes time.
const MARGIN_SECS: u64 = 60;

/// Access tokens are renewed so many seconds ahead.
const AHEAD_SECS: u64 = 600;

/// Of that, accounts are spread over so many seconds.
const SPREAD_SECS: u64 = 300;

/// A new token that is refused so early counts against renewing it again.
const FRESH: Duration = Duration::from_mins(10);

/// The first pause after a failure; each further one doubles it.
const PAUSE: Duration = Duration::from_secs(30);

/// The longest pause of our own.
const MAX_PAUSE: Duration = Duration::from_mins(30);

/// The longest pause that the service can ask for.
const MAX_WAIT: Duration = Duration::from_hours(1);

/// How long an account rests after a challenge was demanded.
const CHALLENGE_PAUSE: Duration = Duration::from_mins(10);

/// A hash of a token, to compare without keeping it.
pub(crate) type Digest = [u8; 32];

pub(crate) fn digest(token: &str) -> Digest {
    Sha256::digest(token.as_bytes()).into()
}

/// The token of a line, or of a client.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) kind: Kind,
    /// The id itself, for devices.
    pub(crate) device: Option<String>,
    /// Where a replaced token is written.
    file: Option<Arc<TokenFile>>,
    /// How long a refusal is remembered; `None`: until the line changes.
    forgives: Option<Duration>,
    held: Mutex<Held>,
    /// One exchange at a time; held while the file is written, too.
    flight: Arc<tokio::sync::Mutex<()>>,
    /// Its line is not there any more.
    is_gone: AtomicBool,
    /// Its share of [`SPREAD_SECS`].
    spread: u64,
}

#[derive(Debug)]
struct Held {
    /// The refresh or session token of now.
    long: Option<SecretString>,
    /// What the file has in its place.
    on_file: Option<SecretString>,
    /// When a failed write is tried again, and the pause after that.
    unsaved: Option<(Instant, Duration)>,
    spent: VecDeque<Digest>,
    /// The workspaces of its lines.
    teams: Vec<Option<String>>,
    access: Option<Access>,
    /// Numbers access tokens, from 1.
    number: u64,
    renewal: Renewal,
    /// Failures in a row.
    failures: u32,
    /// New tokens in a row that were refused at once.
    refusals: u32,
}

/// An access token.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) token: SecretString,
    pub(crate) claims: Claims,
    pub(crate) number: u64,
    /// Seconds since 1970.
    pub(crate) expires_at: Option<u64>,
    issued: Instant,
    issued_at: u64,
    refused: Option<(FaultKind, Instant)>,
}

/// Whether the long-lived token can be exchanged.
#[derive(Debug, Clone)]
enum Renewal {
    Ready,
    Waiting {
        until: Instant,
        limit: Option<Limit>,
    },
    Dead {
        reason: String,
        at: Instant,
    },
}

/// Whether a source can serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// It has a token.
    Ready,
    /// It can get one.
    Renewable,
    /// It may get one later.
    Waiting {
        until: Instant,
        limit: Option<Limit>,
    },
    /// Its token is too old.
    Expired(String),
    /// Its token is refused.
    Dead(String),
}

impl Source {
    /// A source from `token`; `file` is where a replaced one is written.
    pub(crate) fn new(
        kind: Kind,
        token: &SecretString,
        file: Option<Arc<TokenFile>>,
        forgives: Option<Duration>,
        cx: &Context,
    ) -> Self {
        let long = kind.is_exchanged().then(|| token.clone());
        let mut held = Held {
            on_file: long.clone(),
            long,
            unsaved: None,
            spent: VecDeque::new(),
            teams: Vec::new(),
            access: None,
            number: 0,
            renewal: Renewal::Ready,
            failures: 0,
            refusals: 0,
        };
        if kind == Kind::Access {
            held.accept(token.clone(), None, cx.settings.clock.seconds());
        }
        Self {
            kind,
            device: (kind == Kind::Device).then(|| token.expose_secret().to_owned()),
            file,
            forgives,
            held: Mutex::new(held),
            flight: Arc::default(),
            is_gone: AtomicBool::new(false),
            spread: fastrand::u64(..SPREAD_SECS),
        }
    }

    /// Hashes of the tokens that this source is known by.
    pub(crate) fn digests(&self) -> Vec<Digest> {
        let held = locked(&self.held);
        let tokens = [&held.long, &held.on_file].into_iter().flatten();
        let access = held.access.iter().map(|access| &access.token);
        let access = access.filter(|_| self.kind == Kind::Access);
        let mut digests: Vec<Digest> = tokens
            .chain(access)
            .map(|token| digest(token.expose_secret()))
            .collect();
        digests.extend(self.device.as_deref().map(digest));
        digests.extend(held.spent.iter().copied());
        digests
    }

    /// Its lines are those of these workspaces, or there are none any more.
    pub(crate) fn stands_for(&self, teams: Vec<Option<String>>) {
        self.is_gone.store(teams.is_empty(), Ordering::Release);
        locked(&self.held).teams = teams;
    }

    /// The access token, whether it can be used or not.
    pub(crate) fn access(&self) -> Option<Access> {
        locked(&self.held).access.clone()
    }

    /// The access token, if it can be used.
    pub(crate) fn usable(&self, cx: &Context) -> Option<Access> {
        let now = cx.settings.clock.seconds();
        self.access()
            .filter(|access| access.is_usable(now, self.forgives))
    }

    pub(crate) fn readiness(&self, cx: &Context) -> Readiness {
        let held = locked(&self.held);
        let now = cx.settings.clock.seconds();
        let access = held.access.as_ref();
        if self.kind == Kind::Device || access.is_some_and(|it| it.is_usable(now, self.forgives)) {
            return Readiness::Ready;
        }
        if self.kind == Kind::Access {
            return match access.and_then(|access| access.refused) {
                None | Some((FaultKind::TokenExpired, _)) => {
                    Readiness::Expired("the access token is expired".to_owned())
                }
                Some(_) => Readiness::Dead("the access token is refused".to_owned()),
            };
        }
        match &held.renewal {
            Renewal::Waiting { until, limit } if *until > Instant::now() => Readiness::Waiting {
                until: *until,
                limit: *limit,
            },
            Renewal::Dead { reason, at } if !self.forgives_since(*at) => {
                Readiness::Dead(reason.clone())
            }
            _ => Readiness::Renewable,
        }
    }

    fn forgives_since(&self, at: Instant) -> bool {
        self.forgives.is_some_and(|after| at.elapsed() >= after)
    }

    /// The service does not take the access token of this number.
    pub(crate) fn refuse(&self, number: u64, kind: FaultKind) {
        let mut held = locked(&self.held);
        let is_exchanged = self.kind.is_exchanged();
        let Some(access) = &mut held.access else {
            return;
        };
        if access.number != number {
            return;
        }
        if let Some((known, _)) = &mut access.refused {
            // Who asks for another token calls this one old; what the service said of it may come after that.
            *known = kind;
            return;
        }
        access.refused = Some((kind, Instant::now()));
        if is_exchanged && access.issued.elapsed() < FRESH {
            held.refusals = held.refusals.saturating_add(1);
            // Once it can be chance; after that another exchange would end the same way.
            if held.refusals > 1 {
                held.pause(None, None);
            }
        }
    }

    /// The service has taken the access token of this number.
    pub(crate) fn accept(&self, number: u64) {
        let mut held = locked(&self.held);
        if held
            .access
            .as_ref()
            .is_some_and(|access| access.number == number)
        {
            held.failures = 0;
            held.refusals = 0;
        }
    }

    /// Whether its token should be renewed although nobody waits for it.
    pub(crate) fn is_due(&self, cx: &Context) -> bool {
        if !self.kind.is_exchanged() || self.is_gone.load(Ordering::Acquire) {
            return false;
        }
        let held = locked(&self.held);
        let can_renew = match &held.renewal {
            Renewal::Ready => true,
            Renewal::Waiting { until, .. } => *until <= Instant::now(),
            Renewal::Dead { .. } => false,
        };
        let is_wanted = held.access.as_ref().is_none_or(|access| {
            access.refused.is_some() || access.is_old(cx.settings.clock.seconds(), self.spread)
        });
        can_renew && is_wanted
    }

    /// Whether its file has another token.
    pub(crate) fn is_unsaved(&self) -> bool {
        locked(&self.held).unsaved.is_some()
    }
}

impl Access {
    fn is_usable(&self, now: u64, forgives: Option<Duration>) -> bool {
        let is_expired = self
            .expires_at
            .is_some_and(|at| at <= now.saturating_add(MARGIN_SECS));
        let is_refused = self
            .refused
            .is_some_and(|(_, since)| forgives.is_none_or(|after| since.elapsed() < after));
        !is_expired && !is_refused
    }

    /// Short-lived tokens are renewed after half their life, not all the time.
    fn is_old(&self, now: u64, spread: u64) -> bool {
        self.expires_at.is_some_and(|at| {
            let half = at.saturating_sub(self.issued_at) / 2;
            at.saturating_sub(now) <= (AHEAD_SECS - spread).min(half)
        })
    }
}

impl Held {
    /// Takes `token` for the access token.
    fn accept(&mut self, token: SecretString, expires_in: Option<Duration>, now: u64) {
        let claims = Claims::read(&token).unwrap_or_default();
        self.number += 1;
        self.access = Some(Access {
            expires_at: claims
                .expires_at
                .or_else(|| Some(now.saturating_add(expires_in?.as_secs()))),
            token,
            claims,
            number: self.number,
            issued: Instant::now(),
            issued_at: now,
            refused: None,
        });
    }

    /// No exchange for a while: as long as the service says, else longer with every failure in a row.
    fn pause(&mut self, wait: Option<Duration>, limit: Option<Limit>) {
        let doubled = PAUSE.saturating_mul(1 << self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        self.renewal = Renewal::Waiting {
            until: Instant::now() + wait.map_or(doubled.min(MAX_PAUSE), |wait| wait.min(MAX_WAIT)),
            limit,
        };
    }
}
