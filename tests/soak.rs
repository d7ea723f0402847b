//! Everything at once: all kinds of requests while the config is edited every second, tokens come and go, a plugin is swapped
//! and an upstream fails. No client may see any of it, and nothing may be left of it.
//!
//! `just soak` does it for minutes with the release binary; a short one runs with the other tests, so that it does not rot.
#![expect(clippy::print_stdout, reason = "the figures are what it is run for")]

mod asks;
mod changes;
mod open;
mod samples;
mod setting;
mod tally;
mod traffic;

use std::sync::Arc;
use std::time::Duration;

use changes::Changes;
use samples::Samples;
use setting::Setting;

/// How long it goes on, and how fast things change.
#[derive(Debug, Clone, Copy)]
struct Pace {
    time: Duration,
    /// Between two versions of the plugin.
    swap: Duration,
    /// Between two looks at memory, descriptors and tasks.
    sample: Duration,
}

/// Goes on for `pace.time`; everything that is wrong.
async fn soak(pace: Pace) -> Vec<String> {
    let setting = Arc::new(Setting::start().await);
    let idle = setting.at_rest("at the start").await;
    let resting = setting.aurora.generation().await;
    setting.write_config(0);
    setting.aurora.wait_for_generation(resting + 1).await;

    let traffic = traffic::begin(&setting);
    let (samples, changes) = tokio::join!(
        Samples::taken_for(&setting, pace),
        Changes::made_for(&setting, pace)
    );
    traffic.end().await;

    let mut wrong = changes.verdict(&setting).await;
    wrong.extend(samples.verdict(pace));
    wrong.extend(setting.is_back_at(idle).await);
    wrong.extend(setting.tally.verdict());
    setting.tally.print();
    wrong
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_seconds_of_everything_at_once_fail_no_request_and_leave_nothing_behind() {
    let wrong = soak(Pace {
        time: Duration::from_secs(12),
        swap: Duration::from_secs(3),
        sample: Duration::from_secs(2),
    })
    .await;

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; `just soak` runs it, and a short one runs always"]
async fn minutes_of_everything_at_once_fail_no_request_and_leave_nothing_behind() {
    let asked = std::env::var("SOAK_MINUTES").ok();
    let minutes = asked.and_then(|minutes| minutes.parse().ok()).unwrap_or(20);
    let wrong = soak(Pace {
        time: Duration::from_mins(minutes),
        swap: Duration::from_secs(10),
        sample: Duration::from_secs(10),
    })
    .await;

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
