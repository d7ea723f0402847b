use aurora_chatgpt::login::IssueError;
use tempfile::TempDir;

use super::*;

/// A pool of refresh tokens, which no answer replaces.
fn refresh(tokens: &str) -> AccountPool {
    let file = file(Kind::Refresh, "/srv/refresh.txt", tokens);
    built([file], settings(Strategy::Sticky))
}

fn later(retry_after: Option<u64>) -> IssueError {
    IssueError::Later {
        message: "slow down".to_owned(),
        retry_after: retry_after.map(Duration::from_secs),
    }
}

#[tokio::test(start_paused = true)]
async fn one_exchange_serves_all_who_wait() {
    let pool = Arc::new(refresh("r1"));
    let script = Script::default().slow(Duration::from_secs(2));
    let (script, issuer) = play(script.issue("r1", &jwt("a", 8000), None));
    let mut tasks = JoinSet::new();
    for _ in 0..20 {
        let (pool, issuer) = (Arc::clone(&pool), Arc::clone(&issuer));
        tasks.spawn(async move { pool.lease(side_call(), &issuer).await.is_ok() });
    }

    let served = tasks.join_all().await;

    assert!(served.into_iter().all(|served| served));
    assert_eq!(script.asked(), ["r1"]);
    assert_eq!(pool.status()[0].plan.as_deref(), Some("plus"));
}

#[tokio::test(start_paused = true)]
async fn an_exchange_outlives_the_request_that_began_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("session.txt");
    std::fs::write(&path, "s1\n").unwrap();
    let pool = built(
        [file(Kind::Session, &path, "s1\n")],
        settings(Strategy::Sticky),
    );
    let script = Script::default().slow(Duration::from_secs(5));
    let (script, issuer) = play(script.issue("s1", &jwt("a", 8000), Some("s2")));

    let hasty = tokio::time::timeout(Duration::from_secs(1), pool.lease(want(), &issuer)).await;
    let patient = pool.lease(want(), &issuer).await.unwrap();

    assert!(hasty.is_err());
    assert_eq!(person(&patient, &["a"]), "a");
    assert_eq!(script.asked(), ["s1"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "s2\n");
}

#[tokio::test(start_paused = true)]
async fn one_failed_exchange_is_enough_for_all_who_wait() {
    for error in [IssueError::Dead("reused".to_owned()), later(None)] {
        let pool = Arc::new(refresh("r1"));
        let script = Script::default().slow(Duration::from_secs(2));
        let (script, issuer) = play(script.fail("r1", error));
        let mut tasks = JoinSet::new();
        for _ in 0..5 {
            let (pool, issuer) = (Arc::clone(&pool), Arc::clone(&issuer));
            tasks.spawn(async move { pool.lease(side_call(), &issuer).await.is_ok() });
        }

        let served = tasks.join_all().await;

        assert_eq!(served, [false; 5]);
        assert_eq!(script.asked(), ["r1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_says_nothing_of_itself_lasts_as_long_as_its_answer_says() {
    let pool = refresh("r1");
    let script = Script::default()
        .issue_opaque("r1", "opaque-1", 3600)
        .issue_opaque("r1", "opaque-2", 3600);
    let (script, issuer) = play(script);

    let first = pool.lease(side_call(), &issuer).await.unwrap();
    advance(Duration::from_secs(3539)).await;
    let same = pool.lease(side_call(), &issuer).await.unwrap();
    let once = script.asked().len();
    advance(Duration::from_secs(1)).await;
    let second = pool.lease(side_call(), &issuer).await.unwrap();

    let tokens = [&first, &same, &second].map(|lease| lease.access_token().unwrap());
    let tokens = tokens.map(|token| token.expose_secret().to_owned());
    assert_eq!(tokens, ["opaque-1", "opaque-1", "opaque-2"]);
    assert_eq!((once, script.asked().len()), (1, 2));
    // It is the same account, as far as anybody can tell.
    assert_eq!(first.id(), second.id());
}

#[tokio::test(start_paused = true)]
async fn a_dead_token_is_not_asked_for_again_and_a_later_one_is() {
    let pool = refresh("dead\nslow\nfair");
    let script = Script::default()
        .fail("dead", IssueError::Dead("reused".to_owned()))
        .fail("slow", later(Some(90)))
        .issue("slow", &jwt("s", 8000), None)
        .fail("fair", IssueError::Challenge("a challenge".to_owned()));
    let (script, issuer) = play(script);

    let first = pool.lease(want(), &issuer).await.unwrap_err();
    let second = pool.lease(want(), &issuer).await.unwrap_err();
    let asked = script.asked();
    advance(Duration::from_secs(90)).await;
    let third = pool.lease(want(), &issuer).await.unwrap();

    let limited = Unavailable::Limited {
        retry_after: Duration::from_mins(10),
        kind: Limit::Challenge,
    };
    assert_eq!([&first, &second], [&limited, &limited]);
    assert_eq!(asked, ["dead", "slow", "fair"]);
    assert_eq!(person(&third, &["s"]), "s");
    assert_eq!(script.asked().len(), 4);
    let states: Vec<AccountState> = pool.status().into_iter().map(|it| it.state).collect();
    let expected = [
        AccountState::Dead("reused".to_owned()),
        AccountState::Ready,
        AccountState::Waiting,
    ];
    assert_eq!(states, expected);
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_renewed_once_for_all_requests_that_it_failed() {
    let pool = refresh("r1");
    let script =
        Script::default()
            .issue("r1", &jwt("a", 8000), None)
            .issue("r1", &jwt("a", 9000), None);
    let (script, issuer) = play(script);
    let mut one = pool.lease(side_call(), &issuer).await.unwrap();
    let mut two = pool.lease(side_call(), &issuer).await.unwrap();
    // A token that is refused right after its exchange would wait.
    advance(Duration::from_mins(20)).await;

    for lease in [&one, &two] {
        lease.settle(&fault(FaultKind::TokenExpired, None), None, Feature::Chat);
    }
    let renewed = (one.renew(&issuer).await, two.renew(&issuer).await);

    assert_eq!(renewed, (true, true));
    let tokens = [&one, &two].map(|it| it.access_token().unwrap().expose_secret().to_owned());
    assert_eq!(tokens, [jwt("a", 9000), jwt("a", 9000)]);
    assert_eq!(script.asked(), ["r1", "r1"]);
}

#[tokio::test(start_paused = true)]
async fn a_renewed_token_of_another_account_does_not_go_on_with_the_lease() {
    let pool = refresh("r1");
    let script =
        Script::default()
            .issue("r1", &jwt("a", 8000), None)
            .issue("r1", &jwt("b", 8000), None);
    let (_, issuer) = play(script);
    let mut lease = pool.lease(want(), &issuer).await.unwrap();
    advance(Duration::from_mins(20)).await;

    let renewed = lease.renew(&issuer).await;
    let next = pool.lease(want(), &issuer).await.unwrap();

    assert!(!renewed);
    assert_ne!(next.id(), lease.id());
    assert_eq!(person(&next, &["a", "b"]), "b");
}

#[tokio::test(start_paused = true)]
async fn a_new_token_that_is_refused_at_once_is_not_renewed_in_a_circle() {
    let pool = refresh("r1");
    let mut script = Script::default();
    for _ in 0..9 {
        script = script.issue("r1", &jwt("a", 8000), None);
    }
    let (script, issuer) = play(script);

    // Once it can be chance.
    let mut lease = pool.lease(want(), &issuer).await.unwrap();
    assert!(lease.renew(&issuer).await);
    let mut waits = Vec::new();
    for _ in 0..3 {
        assert!(!lease.renew(&issuer).await);
        drop(lease);
        let Unavailable::Later { retry_after } = pool.lease(want(), &issuer).await.unwrap_err()
        else {
            panic!("not for later")
        };
        waits.push(retry_after.as_secs());
        advance(retry_after).await;
        lease = pool.lease(want(), &issuer).await.unwrap();
    }
    let asked = script.asked().len();
    lease.accepted();
    let renewed = lease.renew(&issuer).await;

    assert_eq!(waits, [30, 60, 120]);
    assert_eq!(asked, 5);
    assert!(renewed);
}

#[tokio::test(start_paused = true)]
async fn tokens_are_renewed_ahead_and_one_failure_holds_up_no_other() {
    let pool = refresh("bad\nr1");
    let script = Script::default()
        .fail("bad", later(None))
        .fail("bad", later(None))
        .issue("r1", &jwt("a", 8000), None)
        .issue("r1", &jwt("a", 16_000), None);
    let (script, issuer) = play(script);

    pool.tend(&issuer).await;
    pool.tend(&issuer).await;
    let at_start = script.asked();
    advance(Duration::from_secs(8000 - 601)).await;
    pool.tend(&issuer).await;
    let early = script.asked().len();
    advance(Duration::from_secs(301)).await;
    pool.tend(&issuer).await;
    pool.tend(&issuer).await;

    assert_eq!(at_start, ["bad", "r1"]);
    // The failed one is tried again after its pause, the good one not before its time.
    assert_eq!(early, 3);
    let r1 = script.asked().into_iter().filter(|token| token == "r1");
    assert_eq!(r1.count(), 2);
    let expires = pool.status()[1].expires_at.unwrap();
    let expires = expires.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(expires.as_secs(), crate::testing::NOW + 16_000);
}

#[tokio::test(start_paused = true)]
async fn short_lived_tokens_are_renewed_after_half_their_life() {
    let pool = refresh("r1");
    let script =
        Script::default()
            .issue("r1", &jwt("a", 300), None)
            .issue("r1", &jwt("a", 8000), None);
    let (script, issuer) = play(script);

    pool.tend(&issuer).await;
    advance(Duration::from_secs(149)).await;
    pool.tend(&issuer).await;
    let early = script.asked().len();
    advance(Duration::from_secs(1)).await;
    pool.tend(&issuer).await;

    assert_eq!((early, script.asked().len()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_pinned_request_finds_out_whose_the_tokens_are() {
    let known = people(Strategy::Sticky, &["b"]).status()[0].id.clone();
    let id = known.unwrap();
    let pinned = Want {
        pinned: Some(&id),
        ..want()
    };
    let pool = refresh("r1\nr2\nr3");
    let script =
        Script::default()
            .issue("r1", &jwt("a", 8000), None)
            .issue("r2", &jwt("b", 8000), None);
    let (script, issuer) = play(script);
    let unsure = refresh("r9");
    let (_, slow) = play(Script::default().fail("r9", later(Some(60))));

    let lease = pool.lease(pinned, &issuer).await.unwrap();
    let unsure = unsure.lease(pinned, &slow).await.unwrap_err();

    assert_eq!(person(&lease, &["a", "b"]), "b");
    assert_eq!(script.asked(), ["r1", "r2"]);
    let retry_after = Duration::from_mins(1);
    assert_eq!(unsure, Unavailable::Later { retry_after });
}

#[tokio::test(start_paused = true)]
async fn a_renewable_line_stands_in_for_the_access_token_of_its_account() {
    let files = [
        access(&[jwt("a", 100)]),
        file(Kind::Refresh, "/srv/refresh.txt", "r1"),
    ];
    let pool = built(files, settings(Strategy::Sticky));
    let (script, issuer) = play(Script::default().issue("r1", &jwt("a", 8000), None));

    let before = pool.lease(side_call(), &issuer).await.unwrap();
    pool.tend(&issuer).await;
    let after = pool.lease(side_call(), &issuer).await.unwrap();

    assert_eq!(before.id(), after.id());
    assert_eq!(person(&after, &["a"]), "a");
    assert_eq!(script.asked(), ["r1"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_does_not_wait_for_every_dead_line() {
    let tokens: Vec<String> = (0..12).map(|n| format!("r{n}")).collect();
    let pool = refresh(&tokens.join("\n"));
    let (script, issuer) = play(Script::default());

    let first = pool.lease(want(), &issuer).await.unwrap_err();
    let asked = script.asked().len();
    let second = pool.lease(want(), &issuer).await.unwrap_err();

    assert!(matches!(first, Unavailable::Later { .. }), "{first:?}");
    assert_eq!((asked, script.asked().len()), (8, 12));
    assert!(matches!(second, Unavailable::Dead { reasons } if reasons.len() == 8));
}

#[tokio::test(start_paused = true)]
async fn useless_answers_of_an_issuer_are_failures() {
    let pool = refresh("empty\nold");
    let script = Script::default()
        .issue("empty", "", None)
        .issue("old", &jwt("a", 30), None);
    let (script, issuer) = play(script);

    let none = pool.lease(want(), &issuer).await.unwrap_err();

    assert!(matches!(none, Unavailable::Later { .. }), "{none:?}");
    assert_eq!(script.asked(), ["empty", "old"]);
}
