//! The operator's accounts: who serves, one message at a time, and files that change while requests run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aurora_testkit::chatgpt::Reply;
use aurora_testkit::{FakeChatGpt, eventually};

use super::super::support::refusal;
use super::{Setup, asking, in_front_of};

fn accounts(setup: &Setup) -> Vec<String> {
    let turns = setup.web.turns().into_iter();
    turns.filter_map(|turn| turn.account).collect()
}

#[tokio::test]
async fn files_are_read_leniently_and_expired_tokens_are_left_out() {
    let web = FakeChatGpt::start().await;
    let (one, two, old) = (
        web.account("one"),
        web.account("two"),
        web.expired_token("old"),
    );
    let lines =
        format!("\u{feff}# mine\r\n\r\n  {one}  \r\n{one}\r\n{old}\r\nnonsense\r\n{two}\r\n");
    let setup = Setup {
        aurora: in_front_of(&web, "", &lines).start().await,
        web,
    };

    for _ in 0..6 {
        assert_eq!(setup.chat(asking("hi", false)).await.status, 200);
    }

    let served = accounts(&setup);
    let of = |name: &str| served.iter().filter(|account| *account == name).count();
    assert_eq!((of("one"), of("two"), of("old")), (3, 3, 0));
    let status = setup.aurora.status().await["tokens"]["chatgpt"]["accounts"].clone();
    let status = status.as_array().unwrap();
    let expired = status
        .iter()
        .find(|account| account["state"] == "expired")
        .unwrap();
    assert!(
        expired["origin"]
            .as_str()
            .unwrap()
            .ends_with("access_tokens.txt:5")
    );
    assert!(expired["expires_at"].is_string());
}

#[tokio::test]
async fn an_account_answers_one_message_at_a_time() {
    let web = FakeChatGpt::start().await;
    let token = web.account("alice");
    let setup = Setup {
        aurora: in_front_of(&web, "", &token).start().await,
        web,
    };

    let answers = (0..12).map(|_| setup.chat(asking("hi", true)));
    for told in futures_util::future::join_all(answers).await {
        assert_eq!(
            (told.status, told.is_whole),
            (200, true),
            "{}",
            told.message
        );
    }

    assert_eq!(setup.web.most_running("alice"), 1);
}

#[tokio::test]
async fn who_waits_too_long_is_told_when_to_come_back() {
    let web = FakeChatGpt::start().await;
    let token = web.account("alice");
    let setup = Setup {
        aurora: in_front_of(&web, "queue_wait = \"200ms\"", &token)
            .start()
            .await,
        web,
    };
    setup
        .web
        .reply(Reply::text("a long one").pieces(4).hang_after(2500));
    let mut first = setup
        .post("/v1/chat/completions", &asking("hi", true))
        .await;
    first.chunk().await.unwrap().unwrap();

    let refused = refusal(
        setup
            .post("/v1/chat/completions", &asking("hi", false))
            .await,
    )
    .await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (429, "upstream_busy")
    );
    assert!(refused.retry_after.is_some());
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_within_the_request() {
    let web = FakeChatGpt::start().await;
    let line = web.refresh_token("alice");
    let builder = in_front_of(&web, "", "").file("refresh_tokens.txt", line);
    let setup = Setup {
        aurora: builder.start().await,
        web,
    };
    assert_eq!(setup.chat(asking("hi", false)).await.status, 200);
    let used = setup.web.turns().pop().unwrap();
    let token = used
        .header("authorization")
        .unwrap()
        .trim_start_matches("Bearer ")
        .to_owned();
    setup.web.revoke(&token);

    assert_eq!(setup.chat(asking("hi", false)).await.status, 200);

    let used = setup.web.turns().pop().unwrap();
    assert_ne!(
        used.header("authorization"),
        Some(format!("Bearer {token}").as_str())
    );
}

#[tokio::test]
async fn a_token_that_is_refused_for_good_is_out_until_its_line_changes() {
    let web = FakeChatGpt::start().await;
    let token = web.account("alice");
    let setup = Setup {
        aurora: in_front_of(&web, "", &token).start().await,
        web,
    };
    setup.web.revoke(&token);
    let first = setup.chat(asking("hi", false)).await;
    let second = setup.chat(asking("hi", false)).await;
    assert_eq!(
        (first.status, first.error.as_deref()),
        (502, Some("upstream_token_invalidated"))
    );
    assert_eq!(
        (second.status, second.error.as_deref()),
        (503, Some("no_account_available"))
    );
    assert_eq!(setup.web.turns().len(), 1, "it is not asked again");

    setup
        .aurora
        .write("access_tokens.txt", setup.web.new_token("alice"));

    eventually("the new line serves", async || {
        setup.chat(asking("hi", false)).await.status == 200
    })
    .await;
}

/// Runs requests, streamed and not, until `stop`; counts those that failed.
async fn traffic(setup: Arc<Setup>, stop: Arc<AtomicBool>, failed: Arc<AtomicUsize>) -> usize {
    let mut served = 0;
    while !stop.load(Ordering::Relaxed) {
        let told = setup.chat(asking("hi", served % 2 == 0)).await;
        if told.status != 200 || !told.is_whole {
            failed.fetch_add(1, Ordering::Relaxed);
        }
        served += 1;
    }
    served
}

/// How long it takes until `account` serves, or serves no more.
async fn until(setup: &Setup, account: &str, serves: bool) -> Duration {
    let started = Instant::now();
    eventually(&format!("{account} serves: {serves}"), async || {
        let before = setup.web.turns().len();
        // A round of requests that all begin from now on.
        eventually("a round", async || setup.web.turns().len() >= before + 12).await;
        let round = accounts(setup).split_off(before);
        round.iter().skip(4).any(|name| name == account) == serves
    })
    .await;
    started.elapsed()
}

#[tokio::test]
async fn lines_come_and_go_while_requests_run_and_none_fails() {
    let web = FakeChatGpt::start().await;
    let (alice, bob, carol) = (
        web.account("alice"),
        web.account("bob"),
        web.account("carol"),
    );
    let builder = in_front_of(&web, "", &format!("{alice}\n"));
    let setup = Arc::new(Setup {
        aurora: builder.start().await,
        web,
    });
    let (stop, failed) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let running: Vec<_> = (0..4)
        .map(|_| {
            tokio::spawn(traffic(
                Arc::clone(&setup),
                Arc::clone(&stop),
                Arc::clone(&failed),
            ))
        })
        .collect();
    let limit = Duration::from_secs(2);

    setup
        .aurora
        .write("access_tokens.txt", format!("{alice}\n{bob}\n"));
    let appended = until(&setup, "bob", true).await;
    setup.aurora.write("access_tokens.txt", format!("{bob}\n"));
    let removed = until(&setup, "alice", false).await;
    // Replaced by rename, as editors do it.
    setup.aurora.write("new.txt", format!("{bob}\n{carol}\n"));
    std::fs::rename(
        setup.aurora.path("new.txt"),
        setup.aurora.path("access_tokens.txt"),
    )
    .unwrap();
    let renamed = until(&setup, "carol", true).await;
    // Empty for a moment, as some editors do it.
    setup.aurora.write("access_tokens.txt", "");
    setup
        .aurora
        .write("access_tokens.txt", format!("{carol}\n"));
    let rewritten = until(&setup, "bob", false).await;

    stop.store(true, Ordering::Relaxed);
    let mut served = 0;
    for task in running {
        served += task.await.unwrap();
    }
    assert_eq!(failed.load(Ordering::Relaxed), 0);
    assert!(served > 50, "{served}");
    for took in [appended, removed, renamed, rewritten] {
        assert!(
            took < limit,
            "{appended:?} {removed:?} {renamed:?} {rewritten:?}"
        );
    }
}
