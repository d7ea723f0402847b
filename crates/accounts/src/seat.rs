//! A source in a workspace.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use aurora_chatgpt::credential::AccountKey;
use secrecy::SecretString;

use crate::id::AccountId;
use crate::settings::Kind;
use crate::shared::{Context, locked};
use crate::source::Source;
use crate::state::State;

/// A line of a file, or a client's token: what a request gets.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) source: Arc<Source>,
    /// The workspace of the line; none is made up.
    pub(crate) team: Option<String>,
    /// Counts leases, to find the one whose last use is longest ago.
    used: AtomicU64,
    account: Mutex<Account>,
}

/// Whose the seat is, as far as its tokens have told.
#[derive(Debug, Default)]
struct Account {
    state: Option<Arc<State>>,
    /// The access token that told.
    number: u64,
}

impl Seat {
    pub(crate) fn new(source: Arc<Source>, team: Option<String>) -> Self {
        Self {
            source,
            team,
            used: AtomicU64::new(0),
            account: Mutex::default(),
        }
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn mark_used(&self, cx: &Context) {
        self.used.store(cx.shared.next_use(), Ordering::Relaxed);
    }

    /// The account that the seat is of; `None` until a token has told.
    ///
    /// `shares`: seats of one account have one state. Not for tokens of clients, whose claims nobody has verified.
    pub(crate) fn state(&self, cx: &Context, shares: Shares) -> Option<Arc<State>> {
        let mut account = locked(&self.account);
        let device = self.source.device.as_deref();
        let told = self.source.access();
        let number = told.as_ref().map_or(0, |access| access.number);
        if account.state.is_some() && account.number == number {
            return account.state.clone();
        }
        let (token, says_who) = match (device, &told) {
            (Some(device), _) => (SecretString::from(device), true),
            (None, Some(access)) => {
                let claims = &access.claims;
                let says_who = claims.user_id.is_some() || claims.account_id.is_some();
                (access.token.clone(), says_who)
            }
            (None, None) => return None,
        };
        account.number = number;
        // Another token that does not say whose it is leaves the account as it was.
        let keeps = account.state.is_some() && !says_who;
        let id = AccountId::of(&AccountKey::of(&token, self.team.as_deref()));
        let is_known = account.state.as_ref().is_some_and(|state| state.id == id);
        if !keeps && !is_known {
            let state = match shares {
                Shares::Account => cx.shared.state(id),
                Shares::Nothing => Arc::new(State::new(id)),
            };
            // The line is new, or its token is another account's: what was refused before says nothing.
            state.revive();
            account.state = Some(state);
        }
        account.state.clone()
    }

    pub(crate) fn is_login(&self) -> bool {
        self.source.kind != Kind::Device
    }
}

/// Whether a seat has its account's state in common with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shares {
    /// With all seats of the account.
    Account,
    /// With none.
    Nothing,
}
