//! Accounts and what was issued to them.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use uuid::Uuid;

use super::world::unix;

/// The client that refresh tokens are issued for unless a test says otherwise.
pub(super) const CLIENT_ID: &str = "pdlLIX2Y72MIl2rhLhTE9VV9bN905kBh";

/// Ten days, as the service has it.
pub(super) const TOKEN_SECONDS: i64 = 864_000;

/// An account that a test wants.
#[derive(Debug, Clone, Default)]
pub struct AccountSpec {
    /// How the test calls it.
    pub name: String,
    /// `free`, `plus`, `pro`, `team`; empty means `plus`.
    pub plan: String,
    /// Seconds until the token expires, negative for one that has; ten days where absent.
    pub expires_in: Option<i64>,
    /// Workspaces beside the personal one.
    pub teams: Vec<String>,
}

/// One account.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) user_id: String,
    /// The id of the personal workspace.
    pub(super) workspace: String,
    pub(super) plan: String,
    pub(super) teams: Vec<String>,
    pub(super) is_deactivated: bool,
}

impl Account {
    pub(super) fn email(&self) -> String {
        format!("{}@example.org", self.name)
    }

    pub(super) fn owns(&self, workspace: &str) -> bool {
        self.workspace == workspace || self.teams.iter().any(|team| team == workspace)
    }
}

/// An access token that was issued.
#[derive(Debug, Clone)]
pub(super) struct Issued {
    pub(super) account: String,
    pub(super) expires_at: i64,
    pub(super) is_revoked: bool,
}

/// A refresh token.
#[derive(Debug, Clone)]
pub(super) struct Refresh {
    pub(super) account: String,
    pub(super) client_id: String,
    pub(super) is_used: bool,
}

/// All accounts and credentials.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    pub(super) by_name: HashMap<String, Account>,
    pub(super) tokens: HashMap<String, Issued>,
    pub(super) refresh: HashMap<String, Refresh>,
    pub(super) sessions: HashMap<String, String>,
    pub(super) devices: HashSet<String>,
    pub(super) rotates_refresh: bool,
    pub(super) has_long_sessions: bool,
}

impl Accounts {
    /// The account called `name`, made where there is none.
    pub(super) fn open(&mut self, name: &str) -> &mut Account {
        self.by_name
            .entry(name.to_owned())
            .or_insert_with(|| Account {
                name: name.to_owned(),
                user_id: format!("user-{}", Uuid::new_v4().simple()),
                workspace: Uuid::new_v4().to_string(),
                plan: "plus".to_owned(),
                teams: Vec::new(),
                is_deactivated: false,
            })
    }

    /// A new access token.
    pub(super) fn issue(&mut self, name: &str, expires_in: i64) -> String {
        let expires_at = unix() + expires_in;
        let token = jwt(&claims(self.open(name), expires_at));
        let issued = Issued {
            account: name.to_owned(),
            expires_at,
            is_revoked: false,
        };
        self.tokens.insert(token.clone(), issued);
        token
    }

    /// A new refresh token.
    pub(super) fn issue_refresh(&mut self, name: &str, client_id: &str) -> String {
        self.open(name);
        let token = format!("rt_{}", random(96));
        let refresh = Refresh {
            account: name.to_owned(),
            client_id: client_id.to_owned(),
            is_used: false,
        };
        self.refresh.insert(token.clone(), refresh);
        token
    }

    /// A new session token, long where cookies are to be cut.
    pub(super) fn issue_session(&mut self, name: &str) -> String {
        self.open(name);
        let length = if self.has_long_sessions { 5200 } else { 160 };
        let token = format!("st-{}", random(length));
        self.sessions.insert(token.clone(), name.to_owned());
        token
    }

    /// The account that a token belongs to, whether it is good or not.
    pub(super) fn owner(&self, token: &str) -> Option<&Account> {
        self.by_name.get(&self.tokens.get(token)?.account)
    }
}

fn claims(account: &Account, expires_at: i64) -> Value {
    json!({
        "aud": ["https://api.openai.com/v1"],
        "exp": expires_at,
        "iat": expires_at - TOKEN_SECONDS,
        "nbf": expires_at - TOKEN_SECONDS,
        "iss": "https://auth.openai.com",
        "jti": Uuid::new_v4().to_string(),
        "sub": format!("auth0|{}", account.name),
        "scp": ["openid", "email", "profile", "offline_access", "model.request", "model.read", "organization.read"],
        "client_id": CLIENT_ID,
        "https://api.openai.com/auth": {
            "chatgpt_account_id": account.workspace,
            "chatgpt_user_id": account.user_id,
            "chatgpt_plan_type": account.plan,
            "chatgpt_compute_residency": "no_constraint",
            "user_id": account.user_id,
        },
        "https://api.openai.com/profile": {"email": account.email(), "email_verified": true},
    })
}

/// Three parts as RS256 would have them; the signature is random, nobody here checks it.
pub(super) fn jwt(claims: &Value) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","kid":"fake","typ":"JWT"}"#);
    let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
    format!("{header}.{payload}.{}", random(342))
}

/// Random letters and digits.
pub(super) fn random(length: usize) -> String {
    let mut text = String::with_capacity(length + 32);
    while text.len() < length {
        text.push_str(&Uuid::new_v4().simple().to_string());
    }
    text.truncate(length);
    text
}
