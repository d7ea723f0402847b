use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use aurora_chatgpt::login::IssueError;
use tempfile::TempDir;

use super::*;

fn session_file(text: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("session.txt");
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn read(path: &Path) -> FileText {
    file(Kind::Session, path, &fs::read_to_string(path).unwrap())
}

fn next(previous: &AccountPool, file: FileText) -> AccountPool {
    AccountPool::rebuild(Some(previous), [file], settings(Strategy::Sticky)).0
}

#[tokio::test(start_paused = true)]
async fn a_replaced_token_is_in_the_file_before_it_is_used() {
    let text = "# mine\r\ns1:team # no\r\n\r\nother-line:x\r\ns1b\r\n".replace(" # no", "");
    let (_folder, path) = session_file(&text);
    let pool = built([read(&path)], settings(Strategy::Sticky));
    let script = Script::default()
        .issue("s1", &jwt("a", 600), Some("s2"))
        .issue("s2", &jwt("a", 8000), Some("s3"));
    let (script, issuer) = play(script);

    drop(pool.lease(want(), &issuer).await.unwrap());
    let once = fs::read_to_string(&path).unwrap();
    advance(Duration::from_secs(541)).await;
    let lease = pool.lease(want(), &issuer).await.unwrap();

    assert_eq!(once, text.replace("s1:", "s2:"));
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        text.replace("s1:", "s3:")
    );
    assert_eq!(script.asked(), ["s1", "s2"]);
    assert_eq!(lease.workspace(), Some("team"));
}

#[tokio::test(start_paused = true)]
async fn what_we_write_ourselves_is_no_change_and_neither_is_what_stood_there_before() {
    let (_folder, path) = session_file("s1\n");
    let before = read(&path);
    let pool = built([before.clone()], settings(Strategy::Sticky));
    let (script, issuer) = play(Script::default().issue("s1", &jwt("a", 8000), Some("s2")));
    let lease = pool.lease(want(), &issuer).await.unwrap();
    let rest = fault(FaultKind::ModelCap, Some(60));
    lease.settle(&rest, Some("model-a"), Feature::Chat);

    let stale = next(&pool, before);
    let fresh = next(&stale, read(&path));
    let busy = [&stale, &fresh].map(|pool| pool.status()[0].busy);
    drop(lease);
    let other = Want {
        model: None,
        ..want()
    };
    let served = fresh.lease(other, &issuer).await.map(drop);
    let limited = fresh.lease(want(), &issuer).await.map(drop);

    assert_eq!(busy, [1, 1]);
    assert_eq!(served, Ok(()));
    assert!(matches!(limited, Err(Unavailable::Limited { .. })));
    assert_eq!(script.asked(), ["s1"]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_written_is_kept_and_written_later() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("missing/session.txt");
    let text = file(Kind::Session, &path, "s1:team\n");
    let pool = built([text.clone()], settings(Strategy::Sticky));
    let (script, issuer) = play(Script::default().issue("s1", &jwt("a", 8000), Some("s2")));

    drop(pool.lease(want(), &issuer).await.unwrap());
    let unsaved = pool.status()[0].is_unsaved;
    // The file still has the old token: that is no new line.
    let pool = next(&pool, text);
    let served = pool.lease(want(), &issuer).await.map(drop);
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(&path, "# c\ns1:team\n").unwrap();
    pool.tend(&issuer).await;
    let too_early = fs::read_to_string(&path).unwrap();
    advance(Duration::from_secs(15)).await;
    pool.tend(&issuer).await;

    assert!(unsaved && !pool.status()[0].is_unsaved);
    assert_eq!(served, Ok(()));
    assert_eq!(too_early, "# c\ns1:team\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "# c\ns2:team\n");
    assert_eq!(script.asked(), ["s1"]);
}

#[tokio::test(start_paused = true)]
async fn workspaces_of_one_session_token_share_its_exchange() {
    let (_folder, path) = session_file("s1:one\ns1:two\n");
    let pool = built([read(&path)], settings(Strategy::RoundRobin));
    let (script, issuer) = play(Script::default().issue("s1", &jwt("a", 8000), Some("s2")));

    let first = pool.lease(want(), &issuer).await.unwrap();
    let second = pool.lease(want(), &issuer).await.unwrap();

    assert_eq!(
        [first.workspace(), second.workspace()],
        [Some("one"), Some("two")]
    );
    assert_ne!(first.id(), second.id());
    assert_eq!(script.asked(), ["s1"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "s2:one\ns2:two\n");
}

#[tokio::test(start_paused = true)]
async fn a_dead_session_keeps_its_line_and_the_account_is_marked() {
    let (_folder, path) = session_file("s1\n");
    let pool = built([read(&path)], settings(Strategy::Sticky));
    let dead = IssueError::Dead("the session is over".to_owned());
    let (_, issuer) = play(Script::default().fail("s1", dead));

    let none = pool.lease(want(), &issuer).await.unwrap_err();

    let reason = format!("{}:1: the session is over", path.display());
    let reasons = vec![reason];
    assert_eq!(none, Unavailable::Dead { reasons });
    assert_eq!(fs::read_to_string(&path).unwrap(), "s1\n");
    let dead = AccountState::Dead("the session is over".to_owned());
    assert_eq!(pool.status()[0].state, dead);
}

#[tokio::test(start_paused = true)]
async fn two_exchanges_at_once_lose_no_line() {
    let lines: Vec<String> = (0..8).map(|n| format!("s{n}:t{n}")).collect();
    let (_folder, path) = session_file(&(lines.join("\n") + "\n"));
    let pool = Arc::new(built([read(&path)], settings(Strategy::RoundRobin)));
    let mut script = Script::default().slow(Duration::from_secs(1));
    for n in 0..8 {
        let rotated = format!("new{n}");
        script = script.issue(
            &format!("s{n}"),
            &jwt(&format!("p{n}"), 8000),
            Some(&rotated),
        );
    }
    let (script, issuer) = play(script);
    let mut tasks = JoinSet::new();
    for source in pool.sources() {
        let (pool, issuer) = (Arc::clone(&pool), Arc::clone(&issuer));
        tasks.spawn(async move { source.renew(0, &issuer, &pool.cx).await });
    }

    let renewed = tasks.join_all().await;

    assert_eq!(renewed, [true; 8]);
    let most = script.most.load(Ordering::SeqCst);
    assert_eq!(most, 8);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<String> = (0..8).map(|n| format!("new{n}:t{n}")).collect();
    assert_eq!(text, lines.join("\n") + "\n");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_was_taken_out_does_not_come_back() {
    let (_folder, path) = session_file("s1\n# end\n");
    let pool = Arc::new(built([read(&path)], settings(Strategy::Sticky)));
    let script = Script::default().slow(Duration::from_secs(5));
    let (script, issuer) = play(script.issue("s1", &jwt("a", 8000), Some("s2")));
    let waiting = {
        let (pool, issuer) = (Arc::clone(&pool), Arc::clone(&issuer));
        task(async move { pool.lease(want(), &issuer).await.is_ok() })
    };
    sleep(Duration::from_secs(1)).await;

    fs::write(&path, "# end\n").unwrap();
    let without = next(&pool, read(&path));
    without.take_over();
    let served = waiting.await.unwrap();

    assert!(served && without.is_empty());
    assert_eq!(script.asked(), ["s1"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "# end\n");
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_is_thrown_away_changes_nothing() {
    let (_folder, path) = session_file("s1\n");
    let pool = built([read(&path)], settings(Strategy::Sticky));
    let script = Script::default()
        .issue("s1", &jwt("a", 900), Some("s2"))
        .issue("s2", &jwt("a", 8000), Some("s3"));
    let (script, issuer) = play(script);
    drop(pool.lease(want(), &issuer).await.unwrap());

    drop(next(&pool, file(Kind::Session, &path, "")));
    advance(Duration::from_secs(800)).await;
    pool.tend(&issuer).await;

    assert_eq!(script.asked(), ["s1", "s2"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "s3\n");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_an_editor_lost_is_put_back() {
    let (_folder, path) = session_file("s1:team\n");
    let pool = built([read(&path)], settings(Strategy::Sticky));
    let (_, issuer) = play(Script::default().issue("s1", &jwt("a", 8000), Some("s2")));

    // No reload has told that the line is gone.
    fs::write(&path, "other\n").unwrap();
    drop(pool.lease(want(), &issuer).await.unwrap());

    assert_eq!(fs::read_to_string(&path).unwrap(), "other\ns2:team\n");
}
