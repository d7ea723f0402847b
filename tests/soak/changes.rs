//! What changes meanwhile: the config, tokens, the plugin.

use std::time::{Duration, Instant};

use aurora_testkit::eventually;

use super::super::plugins::{FIXTURE, fixture, version};
use super::Pace;
use super::setting::{KEY, Setting};

/// Each so many edits of the config are broken ones.
const BROKEN: u64 = 7;

/// How often something was changed.
#[derive(Debug)]
pub(super) struct Changes {
    edits: u64,
    swaps: u32,
}

/// Whether it goes on, after `time`.
async fn goes_on(end: Instant, time: Duration) -> bool {
    tokio::time::sleep(time.min(end.saturating_duration_since(Instant::now()))).await;
    Instant::now() < end
}

/// Edits the config every second, and tokens in between; how many edits that were.
async fn edit(setting: &Setting, end: Instant) -> u64 {
    let aurora = &setting.aurora;
    let mut number = 0;
    while goes_on(end, Duration::from_secs(1)).await {
        number += 1;
        if number % BROKEN == 0 {
            aurora.write(
                "aurora.toml",
                format!("[upstreams.flaky]\nprotocol = {number}\n"),
            );
        } else {
            setting.write_config(number);
        }
        match number % 6 {
            1 => aurora.write("keys.txt", "sk-one\nsk-two\nsk-three\nsk-four\n"),
            3 => aurora.replace("keys.txt", "# fewer\nsk-one\nsk-three\n"),
            5 => aurora.replace("keys.txt", "sk-three\nsk-two\nsk-one\n"),
            2 => aurora.replace("access_tokens.txt", setting.accounts.join("\n")),
            4 => aurora.replace("access_tokens.txt", &setting.accounts[0]),
            _ => {}
        }
        setting.forget();
    }
    number
}

/// Puts the other version of the plugin in place, and waits until it serves; how often.
async fn swap(setting: &Setting, end: Instant, every: Duration) -> u32 {
    let url = format!("{}/fixture/version", setting.aurora.url());
    let mut count = 0;
    while goes_on(end, every).await {
        count += 1;
        let number = 1 + count % 2;
        setting.aurora.replace(FIXTURE, fixture(number));
        eventually(&version(number), async || {
            // No connection is kept: there must be none in the end.
            let answer = setting.aurora.client().get(&url);
            let answer = answer.header("connection", "close").bearer_auth(KEY);
            let answer = answer.send().await.unwrap();
            answer.text().await.unwrap().contains(&version(number))
        })
        .await;
    }
    count
}

impl Changes {
    /// Edits and swaps as long as `pace` says.
    pub(super) async fn made_for(setting: &Setting, pace: Pace) -> Self {
        let end = Instant::now() + pace.time;
        let (edits, swaps) = tokio::join!(edit(setting, end), swap(setting, end, pace.swap));
        Self { edits, swaps }
    }

    /// What of it the gateway did not take as it should.
    pub(super) async fn verdict(&self, setting: &Setting) -> Vec<String> {
        let Self { edits, swaps } = *self;
        let status = setting.aurora.status().await;
        let count = |name: &str| status["reload"][name].as_u64().unwrap();
        let (published, refused) = (count("published"), count("refused"));
        println!("{edits} edits, {swaps} swaps: {published} published, {refused} refused");
        let broken = edits / BROKEN;
        let mut wrong = Vec::new();
        // Two edits may be seen as one, above all on a machine that is busy.
        if published < (edits - broken) / 2 {
            wrong.push(format!("of {edits} edits only {published} were published"));
        }
        if refused < broken {
            wrong.push(format!(
                "of {broken} broken edits only {refused} were refused"
            ));
        }
        wrong
    }
}
