//! The gateway under soak, the upstreams behind it, and its config, of which there are many harmless versions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aurora_testkit::{Aurora, FakeChatGpt, FakeUpstream, PATIENCE, Recorded, Reply, Step};
use serde_json::{Value, json};

use super::super::plugins::{FIXTURE, fixture};
use super::super::support::aurora;
use super::open;
use super::tally::Tally;

/// The client key.
pub(super) const KEY: &str = "sk-soak-soak";

/// Pieces of a slow stream, a tenth of a second apart.
pub(super) const SLOW: usize = 12;

/// See the module.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) aurora: Aurora,
    pub(super) tally: Tally,
    /// Fails now and then; `steady` stands behind it.
    flaky: FakeUpstream,
    steady: FakeUpstream,
    pub(super) web: FakeChatGpt,
    /// Tokens of the ChatGPT accounts: the first stays, the second comes and goes.
    pub(super) accounts: [String; 2],
}

/// What an idle gateway has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Idle {
    descriptors: usize,
    tasks: u64,
}

impl Setting {
    /// A gateway with a plugin and nothing to do.
    pub(super) async fn start() -> Self {
        let web = FakeChatGpt::start().await;
        let accounts = [web.account("alice"), web.account("bob")];
        let aurora = aurora(RESTING)
            .file(FIXTURE, fixture(1))
            .file("keys.txt", "sk-one\nsk-two\nsk-three\n")
            .file("access_tokens.txt", &accounts[0])
            .start()
            .await;
        let count = AtomicU64::new(0);
        Self {
            aurora,
            tally: Tally::default(),
            flaky: FakeUpstream::with(move |request| {
                failing(count.fetch_add(1, Ordering::Relaxed)).unwrap_or_else(|| answer(request))
            })
            .await,
            steady: FakeUpstream::with(answer).await,
            web,
            accounts,
        }
    }

    /// The config's version `number`, put in place as editors do.
    pub(super) fn write_config(&self, number: u64) {
        self.aurora.replace("aurora.toml", self.config(number));
    }

    /// What the fakes remember of requests is of no use here, and would only grow.
    pub(super) fn forget(&self) {
        self.flaky.forget();
        self.steady.forget();
    }

    /// What there is without traffic.
    pub(super) async fn at_rest(&self, when: &str) -> Idle {
        let idle = self.now().await;
        println!(
            "{when}: {} descriptors, {} tasks",
            idle.descriptors, idle.tasks
        );
        idle
    }

    async fn now(&self) -> Idle {
        Idle {
            tasks: self.aurora.metric("aurora_tasks").await,
            descriptors: self.aurora.descriptors(),
        }
    }

    /// Takes the config of the start again, without which connections to upstreams may wait for a request; what does not go
    /// back to what it was.
    pub(super) async fn is_back_at(&self, idle: Idle) -> Option<String> {
        self.aurora.replace("aurora.toml", RESTING);
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let now = self.now().await;
            if now.descriptors <= idle.descriptors && now.tasks <= idle.tasks {
                self.at_rest("at the end").await;
                return None;
            }
            if std::time::Instant::now() > deadline {
                return Some(format!(
                    "at rest it had {idle:?}, and now it has {now:?}: {:#?}\n{self:?}",
                    open::descriptors(self.aurora.pid())
                ));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn config(&self, number: u64) -> String {
        let (flaky, steady, web) = (self.flaky.url(), self.steady.url(), self.web.base_url());
        let (comment, places) = (5 + number % 7, 200 + number % 2);
        // A route comes and goes, and with it what it alone needs.
        let extra = if number.is_multiple_of(2) {
            "[[routes]]\npath = \"/extra\"\nplugin = \"passthrough\"\nupstream = \"mock\"\n"
        } else {
            ""
        };
        format!(
            r#"{PLUGIN}
[server]
keep_alive_comment = "{comment}s"
[auth]
keys = [{{ name = "soak", key = "{KEY}" }}, {{ name = "n{number}", key = "sk-of-nobody-{number}" }}]
[tokens.keys]
file = "keys.txt"
[tokens.accounts]
access = "access_tokens.txt"
[upstreams.flaky]
protocol = "openai"
base_url = "{flaky}"
tokens = "keys"
[upstreams.steady]
protocol = "openai"
base_url = "{steady}"
max_concurrency = {places}
[upstreams.emulated]
protocol = "openai"
base_url = "{steady}"
responses = "emulate"
[upstreams.web]
protocol = "chatgpt-web"
base_url = "{web}"
tokens = "accounts"
{ROUTES}
{extra}"#
        )
    }
}

const PLUGIN: &str = r#"[upstreams.mock]
protocol = "mock"
[[routes]]
path = "/fixture/{*mode}"
methods = ["GET", "POST"]
plugin = "fixture"
upstream = "mock"
"#;

const ROUTES: &str = r#"[[routes]]
path = "/v1/chat/completions"
plugin = "chat"
upstream = ["flaky", "steady"]
retry.attempts = 5
[[routes]]
path = "/web/chat/completions"
plugin = "chat"
upstream = "web"
[[routes]]
path = "/v1/responses"
plugin = "responses"
upstream = "steady"
[[routes]]
path = "/emulated/responses"
plugin = "responses"
upstream = "emulated"
[[routes]]
path = "/v1/files"
plugin = "files"
upstream = "steady"
[[routes]]
path = "/v1/models"
plugin = "models"
upstream = "mock"
[[routes]]
path = "/v1/embeddings"
plugin = "passthrough"
upstream = ["flaky", "steady"]
retry.attempts = 5"#;

/// The config of a gateway at rest.
const RESTING: &str = PLUGIN;

/// How the flaky upstream answers its request `number`, where it does not answer well.
fn failing(number: u64) -> Option<Reply> {
    let error = |message: &str| json!({"error": {"message": message, "type": "server_error"}});
    match number % 20 {
        3 | 13 => Some(Reply::json(500, &error("told to fail"))),
        6 => Some(Reply::raw(vec![Step::Reset])),
        9 => Some(Reply::new(
            429,
            &[("retry-after", "1"), ("content-type", "application/json")],
            error("slow down").to_string(),
        )),
        16 => Some(Reply::raw(vec![Step::Close])),
        _ => None,
    }
}

/// A chat answer, whole, streamed or slow; for anything else, what was asked.
fn answer(request: &Recorded) -> Reply {
    if !request.target.ends_with("/chat/completions") {
        let seen = json!({"target": request.target, "length": request.body_length});
        return Reply::json(200, &seen);
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let model = body["model"].as_str().unwrap_or("none");
    if body["stream"] != true {
        return Reply::json(
            200,
            &json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "pong"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            }),
        );
    }
    if model != "slow" {
        return Reply::events(&FakeUpstream::chat_events(model, &["po", "ng"]));
    }
    let events = FakeUpstream::chat_events(model, &["word"; SLOW]);
    let (first, rest) = events.split_at(1);
    let slow = rest.iter().fold(Reply::open_events(first), |reply, event| {
        reply
            .then(Step::Wait(Duration::from_millis(100)))
            .then(Reply::chunk(event.as_bytes()))
    });
    slow.then(Step::Send("0\r\n\r\n".into()))
}
