use super::*;

fn next(previous: &AccountPool, files: impl IntoIterator<Item = FileText>) -> AccountPool {
    AccountPool::rebuild(Some(previous), files, settings(Strategy::Sticky)).0
}

fn cooled(names: &[&str]) -> AccountPool {
    let lines: Vec<String> = names.iter().map(|name| jwt(name, 8000)).collect();
    built([access(&lines)], settings(Strategy::Sticky))
}

async fn rest(pool: &AccountPool) {
    let lease = pool.lease(want(), &nobody()).await.unwrap();
    lease.settle(
        &fault(FaultKind::RateLimited, Some(3000)),
        None,
        Feature::Chat,
    );
}

fn cooling(pool: &AccountPool) -> Vec<bool> {
    let status = pool.status().into_iter();
    status.map(|it| it.state == AccountState::Cooling).collect()
}

#[tokio::test(start_paused = true)]
async fn unchanged_lines_keep_their_state_wherever_they_move() {
    let pool = cooled(&["a", "b"]);
    rest(&pool).await;

    let lines = [jwt("c", 8000), String::from("# new"), jwt("a", 8000)];
    let pool = next(&pool, [access(&lines)]);

    assert_eq!(cooling(&pool), [false, true]);
    assert_eq!(pool.status()[1].origin, "/srv/access.txt:3");
    assert_eq!(pool.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_empty_for_a_moment_loses_nothing() {
    let file_of = |text: Option<String>| FileText {
        kind: Kind::Access,
        path: "/srv/access.txt".into(),
        text: text.map(Into::into),
    };
    let mut pool = cooled(&["a"]);
    rest(&pool).await;

    // Nothing but the pool of the moment keeps the state: the earlier ones are dropped.
    pool = next(&pool, [file_of(Some(String::new()))]);
    pool = next(&pool, [file_of(None)]);
    let none = pool.lease(want(), &nobody()).await.unwrap_err();
    pool = next(&pool, [file_of(Some(jwt("a", 8000)))]);
    let kept = cooling(&pool);
    pool = next(&pool, [file_of(None)]);
    advance(Duration::from_mins(11)).await;
    pool = next(&pool, [file_of(None)]);
    pool = next(&pool, [file_of(Some(jwt("a", 8000)))]);

    assert_eq!(none, Unavailable::NoAccounts);
    assert_eq!(kept, [true]);
    assert_eq!(cooling(&pool), [false]);
}

#[tokio::test(start_paused = true)]
async fn another_workspace_is_another_account() {
    let pool = cooled(&["a"]);
    rest(&pool).await;
    let before = pool.status()[0].id.clone();

    let pool = next(&pool, [access(&[format!("{}:team", jwt("a", 8000))])]);

    assert_eq!(cooling(&pool), [false]);
    assert_ne!(pool.status()[0].id, before);
}

#[tokio::test(start_paused = true)]
async fn a_running_turn_is_known_after_a_reload() {
    let names = ["a", "b"];
    let pool = cooled(&names);
    let lease = pool.lease(want(), &nobody()).await.unwrap();

    let pool = next(&pool, [access(&[jwt("a", 8000), jwt("b", 8000)])]);
    let other = pool.lease(want(), &nobody()).await.unwrap();
    let status = pool.status();
    drop(lease);
    let again = pool.lease(want(), &nobody()).await.unwrap();

    assert_eq!(person(&other, &names), "b");
    assert_eq!(status[0].busy, 1);
    assert_eq!(person(&again, &names), "a");
}

#[tokio::test(start_paused = true)]
async fn a_token_in_an_exchange_is_not_lost_by_a_reload() {
    let refresh = || file(Kind::Refresh, "/srv/refresh.txt", "r1");
    let pool = Arc::new(built([refresh()], settings(Strategy::Sticky)));
    let script = Script::default().slow(Duration::from_secs(5));
    let (script, issuer) = play(script.issue("r1", &jwt("a", 8000), None));
    let waiting = {
        let (pool, issuer) = (Arc::clone(&pool), Arc::clone(&issuer));
        task(async move { pool.lease(side_call(), &issuer).await })
    };
    sleep(Duration::from_secs(1)).await;

    let new = next(&pool, [refresh()]);
    let lease = new.lease(side_call(), &issuer).await.unwrap();
    let old = waiting.await.unwrap().unwrap();

    assert_eq!(lease.id(), old.id());
    assert_eq!(script.asked(), ["r1"]);
}

#[tokio::test(start_paused = true)]
async fn odd_lines_are_told_and_no_token_is() {
    let secret = "secret-secret-secret";
    let text = format!(
        "# comment\n\n{secret}\n\"{secret}\"\n:team\n{secret} 2\n{secret}\n{secret}:team\n{}\n",
        jwt("a", -5)
    );
    let (pool, notices) = AccountPool::rebuild(
        None,
        [
            file(Kind::Access, "/srv/access.txt", &text),
            file(Kind::Device, "/srv/device.txt", "dev-1\n"),
        ],
        settings(Strategy::Sticky),
    );

    let words: Vec<String> = notices.iter().map(ToString::to_string).collect();
    let odd = "this is no token: it holds blanks, quotes or other odd characters";
    let unknown = "this token does not say when it expires";
    let expected = [
        "/srv/access.txt:5: this line holds no token".to_owned(),
        format!("/srv/access.txt:3: {unknown}"),
        format!("/srv/access.txt:4: {odd}"),
        format!("/srv/access.txt:6: {odd}"),
        "/srv/access.txt:7: this line repeats an earlier one".to_owned(),
        format!("/srv/access.txt:8: {unknown}"),
        "/srv/access.txt:9: this access token expired 2027-01-15T07:59:55Z".to_owned(),
        "/srv/access.txt: 3 access tokens".to_owned(),
        "/srv/device.txt: 1 device id".to_owned(),
    ];
    assert_eq!(words, expected);
    let warnings = notices.iter().filter(|notice| notice.is_warning).count();
    assert_eq!(warnings, 7);
    let lease = pool.lease(want(), &nobody()).await.unwrap();
    let shown = format!("{pool:?} {:?} {notices:?} {lease:?}", pool.status());
    assert!(!shown.contains(secret) && !shown.contains("eyJ"), "{shown}");
}
