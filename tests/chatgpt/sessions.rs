//! Accounts that get their access tokens by exchanges, through the front door.

use std::os::unix::fs::PermissionsExt as _;

use aurora_testkit::chatgpt::AccountSpec;
use aurora_testkit::{Aurora, FakeChatGpt, eventually};

use super::{Setup, asking, config};
use crate::support::aurora;

const TEAM: &str = "99999999-2222-4333-8444-555555555555";

/// The gateway with these lines in `session_tokens.txt`, and one account, `alice`, who works in a team, too.
async fn with_sessions(web: FakeChatGpt, lines: &str) -> Setup {
    let builder = aurora(&config(&web, "")).file("session_tokens.txt", lines);
    let aurora = builder.start().await;
    Setup { web, aurora }
}

async fn fake() -> FakeChatGpt {
    let web = FakeChatGpt::start().await;
    web.account_with(AccountSpec {
        name: "alice".to_owned(),
        teams: vec![TEAM.to_owned()],
        ..AccountSpec::default()
    });
    web
}

fn lines(aurora: &Aurora) -> String {
    std::fs::read_to_string(aurora.path("session_tokens.txt")).unwrap()
}

fn exchanges(setup: &Setup) -> usize {
    setup
        .web
        .requests()
        .iter()
        .filter(|request| request.path.starts_with("/api/auth/session"))
        .count()
}

#[tokio::test]
async fn a_session_token_is_replaced_in_its_line_and_a_reload_changes_nothing() {
    let web = fake().await;
    let old = web.session_token("alice");
    let setup = with_sessions(web, &format!("# mine\r\n\r\n{old}:{TEAM}\r\n# end")).await;

    let first = setup.chat(asking("hi", false)).await;
    let written = lines(&setup.aurora);
    let path = setup.aurora.path("session_tokens.txt");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    // The gateway's own write is a reload, too.
    setup.aurora.wait_for_generation(2).await;
    let second = setup.chat(asking("hi again", false)).await;

    assert_eq!((first.status, second.status), (200, 200));
    let new = setup.web.live_session_tokens().pop().unwrap();
    assert_ne!(new, old);
    assert_eq!(written, format!("# mine\r\n\r\n{new}:{TEAM}\r\n# end"));
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(exchanges(&setup), 1);
    let turn = setup.web.turns().pop().unwrap();
    assert_eq!(turn.header("chatgpt-account-id"), Some(TEAM));
    let log = setup.aurora.output();
    for secret in [&old, &new] {
        assert!(!log.contains(secret.as_str()), "{log}");
    }
    assert!(!log.contains("eyJ"), "{log}");
}

#[tokio::test]
async fn a_refused_access_token_is_renewed_with_a_session_in_pieces() {
    let web = fake().await;
    web.long_session_cookies(true);
    let old = web.session_token("alice");
    assert!(old.len() > 4096);
    let setup = with_sessions(web, &old).await;
    let first = setup.chat(asking("one", false)).await;
    let bearer = setup.web.turns().pop().unwrap();
    let bearer = bearer.header("authorization").unwrap().to_owned();

    setup.web.revoke(bearer.trim_start_matches("Bearer "));
    let second = setup.chat(asking("two", false)).await;

    assert_eq!((first.status, second.status), (200, 200), "{second:?}");
    assert_eq!(exchanges(&setup), 2);
    let live = setup.web.live_session_tokens();
    assert_eq!(live, [lines(&setup.aurora).trim()]);
}

#[tokio::test]
async fn a_dead_session_keeps_its_line_and_a_new_one_serves_without_a_restart() {
    let web = fake().await;
    let setup = with_sessions(web, "spent-session-token\n").await;

    let refused = setup.chat(asking("hi", false)).await;
    let kept = lines(&setup.aurora);
    let good = setup.web.session_token("alice");
    setup.aurora.replace("session_tokens.txt", &good);
    eventually("the new line serves", async || {
        setup.chat(asking("hi", false)).await.status == 200
    })
    .await;

    assert_eq!(refused.error.as_deref(), Some("no_account_available"));
    assert_eq!(kept, "spent-session-token\n");
}
