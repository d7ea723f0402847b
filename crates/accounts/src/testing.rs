//! Tokens and an issuer that does as it is told.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aurora_chatgpt::login::{IssueError, Issued};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::issuer::{BoxFuture, Issuer};
use crate::settings::{PoolSettings, Strategy};
use crate::shared::locked;
use crate::want::{Feature, Want};

/// The time of day at which tests begin.
pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) fn settings(strategy: Strategy) -> PoolSettings {
    PoolSettings {
        clock: Clock::at(NOW),
        ..PoolSettings::new(
            strategy,
            Duration::from_mins(1),
            Duration::from_mins(10),
            TaskTracker::new(),
        )
    }
}

/// An access token of `person` that lasts for so many seconds from [`NOW`].
pub(crate) fn jwt(person: &str, lasts: i64) -> String {
    let payload = json!({
        "exp": NOW.saturating_add_signed(lasts),
        "https://api.openai.com/auth": {
            "chatgpt_user_id": person,
            "chatgpt_account_id": format!("account-of-{person}"),
            "chatgpt_plan_type": "plus",
        },
    });
    let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
    format!("eyJhbGciOiJub25lIn0.{payload}.c2ln")
}

pub(crate) fn want() -> Want<'static> {
    Want {
        model: Some("model-a"),
        feature: Feature::Chat,
        login: false,
        pinned: None,
        tried: &[],
        turn: true,
        wait: Duration::from_secs(30),
    }
}

type Answer = Result<Issued, IssueError>;

/// Answers by the token that it is asked for; each answer is given once.
#[derive(Default)]
pub(crate) struct Script {
    answers: Mutex<HashMap<String, VecDeque<Answer>>>,
    pub(crate) asked: Mutex<Vec<String>>,
    /// Time that an exchange takes.
    pub(crate) takes: Duration,
    running: AtomicUsize,
    pub(crate) most: AtomicUsize,
}

impl Script {
    /// To the exchange of `token`: an access token, and what replaces `token`.
    pub(crate) fn issue(self, token: &str, access: &str, rotated: Option<&str>) -> Self {
        let issued = Issued {
            access_token: access.to_owned().into(),
            rotated: rotated.map(|token| token.to_owned().into()),
            expires_in: None,
        };
        self.answer(token, Ok(issued))
    }

    /// To the exchange of `token`: an access token that says nothing of itself, and how long it lasts.
    pub(crate) fn issue_opaque(self, token: &str, access: &str, lasts: u64) -> Self {
        let issued = Issued {
            access_token: access.to_owned().into(),
            rotated: None,
            expires_in: Some(Duration::from_secs(lasts)),
        };
        self.answer(token, Ok(issued))
    }

    pub(crate) fn fail(self, token: &str, error: IssueError) -> Self {
        self.answer(token, Err(error))
    }

    fn answer(self, token: &str, answer: Answer) -> Self {
        locked(&self.answers)
            .entry(token.to_owned())
            .or_default()
            .push_back(answer);
        self
    }

    pub(crate) fn slow(self, takes: Duration) -> Self {
        Self { takes, ..self }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        locked(&self.asked).clone()
    }

    async fn exchange(&self, token: &SecretString) -> Answer {
        let token = token.expose_secret();
        locked(&self.asked).push(token.to_owned());
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        let answer = locked(&self.answers)
            .get_mut(token)
            .and_then(VecDeque::pop_front);
        answer.unwrap_or_else(|| Err(IssueError::Dead("used up".to_owned())))
    }
}

impl Issuer for Script {
    fn refresh<'a>(&'a self, token: &'a SecretString) -> BoxFuture<'a, Answer> {
        Box::pin(self.exchange(token))
    }

    fn session<'a>(&'a self, token: &'a SecretString) -> BoxFuture<'a, Answer> {
        Box::pin(self.exchange(token))
    }
}

/// The script and the same as an issuer.
pub(crate) fn play(script: Script) -> (Arc<Script>, Arc<dyn Issuer>) {
    let script = Arc::new(script);
    let issuer: Arc<dyn Issuer> = Arc::<Script>::clone(&script);
    (script, issuer)
}
