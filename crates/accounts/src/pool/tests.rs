use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aurora_chatgpt::fault::{Fault, FaultKind};
use secrecy::ExposeSecret as _;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{advance, sleep};
use tokio_util::task::TaskTracker;

use super::*;
use crate::lease::Lease;
use crate::settings::{PoolSettings, Strategy};
use crate::state::Limit;
use crate::testing::{Script, jwt, play, settings, want};
use crate::want::{Feature, Unavailable, Want};

mod exchange;
mod reload;
mod writing;

fn file(kind: Kind, path: impl AsRef<Path>, text: &str) -> FileText {
    FileText {
        kind,
        path: path.as_ref().to_owned(),
        text: Some(text.to_owned().into()),
    }
}

fn access(lines: &[String]) -> FileText {
    file(Kind::Access, "/srv/access.txt", &lines.join("\n"))
}

fn built(files: impl IntoIterator<Item = FileText>, settings: PoolSettings) -> AccountPool {
    AccountPool::rebuild(None, files, settings).0
}

/// A pool of access tokens of these people.
fn people(strategy: Strategy, names: &[&str]) -> Arc<AccountPool> {
    let lines: Vec<String> = names.iter().map(|name| jwt(name, 8000)).collect();
    Arc::new(built([access(&lines)], settings(strategy)))
}

fn nobody() -> Arc<dyn Issuer> {
    play(Script::default()).1
}

fn person(lease: &Lease, names: &[&str]) -> String {
    let token = lease.access_token().unwrap();
    let is_of = |name: &&&str| token.expose_secret() == jwt(name, 8000);
    (*names.iter().find(is_of).unwrap()).to_owned()
}

fn fault(kind: FaultKind, clears_in: Option<u64>) -> Fault {
    Fault {
        kind,
        message: "words of the service".to_owned(),
        upstream_code: None,
        clears_in: clears_in.map(Duration::from_secs),
    }
}

fn task<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    TaskTracker::new().spawn(future)
}

fn side_call() -> Want<'static> {
    Want {
        turn: false,
        ..want()
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_account_is_passed_over_and_the_others_serve_evenly() {
    let lines = [jwt("a", 8000), jwt("b", 59), jwt("c", 8000)];
    let (pool, notices) =
        AccountPool::rebuild(None, [access(&lines)], settings(Strategy::RoundRobin));

    let mut served = String::new();
    for _ in 0..6 {
        let lease = pool.lease(want(), &nobody()).await.unwrap();
        served += &person(&lease, &["a", "b", "c"]);
    }

    assert_eq!(served, "acacac");
    let words: Vec<String> = notices.iter().map(ToString::to_string).collect();
    let expected = [
        "/srv/access.txt:2: this access token expired 2027-01-15T08:00:59Z",
        "/srv/access.txt: 3 access tokens",
    ];
    assert_eq!(words, expected);
    assert_eq!(pool.status()[1].state, AccountState::Expired);
}

#[tokio::test(start_paused = true)]
async fn strategies_are_those_of_other_pools() {
    let names = ["a", "b", "c"];
    let sticky = people(Strategy::Sticky, &names);
    let least = people(Strategy::LeastBusy, &names);
    let issuer = nobody();

    let one = sticky.lease(side_call(), &issuer).await.unwrap();
    let two = sticky.lease(side_call(), &issuer).await.unwrap();
    let first = least.lease(side_call(), &issuer).await.unwrap();
    let second = least.lease(side_call(), &issuer).await.unwrap();
    drop(first);
    let third = least.lease(side_call(), &issuer).await.unwrap();
    let fourth = least.lease(side_call(), &issuer).await.unwrap();

    assert_eq!([person(&one, &names), person(&two, &names)], ["a", "a"]);
    let served = [&second, &third, &fourth].map(|lease| person(lease, &names));
    assert_eq!(served, ["b", "c", "a"]);
}

#[tokio::test(start_paused = true)]
async fn parallel_requests_get_one_turn_of_an_account_at_a_time() {
    let pool = people(Strategy::RoundRobin, &["a", "b", "c"]);
    let busy: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    let mut tasks = JoinSet::new();
    for _ in 0..30 {
        let (pool, busy) = (Arc::clone(&pool), Arc::clone(&busy));
        tasks.spawn(async move {
            let lease = pool.lease(want(), &nobody()).await.unwrap();
            let id = lease.id().to_string();
            let most = {
                let mut busy = locked(&busy);
                let count = busy.entry(id.clone()).or_default();
                *count += 1;
                *count
            };
            sleep(Duration::from_secs(1)).await;
            *locked(&busy).get_mut(&id).unwrap() -= 1;
            drop(lease);
            (id, most)
        });
    }

    let served = tasks.join_all().await;

    let mut counts: HashMap<String, usize> = HashMap::new();
    for (id, most) in served {
        assert_eq!(most, 1);
        *counts.entry(id).or_default() += 1;
    }
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [10, 10, 10]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn turns_are_apart_on_many_threads_too() {
    let names = ["a", "b", "c", "d"];
    let pool = people(Strategy::RoundRobin, &names);
    let busy: Arc<HashMap<&str, AtomicBool>> =
        Arc::new(names.map(|name| (name, AtomicBool::new(false))).into());
    let mut tasks = JoinSet::new();
    for _ in 0..48 {
        let (pool, busy) = (Arc::clone(&pool), Arc::clone(&busy));
        tasks.spawn(async move {
            let mut overlaps = 0;
            for _ in 0..50 {
                let lease = pool.lease(want(), &nobody()).await.unwrap();
                let flag = &busy[person(&lease, &["a", "b", "c", "d"]).as_str()];
                overlaps += usize::from(flag.swap(true, Ordering::SeqCst));
                tokio::task::yield_now().await;
                flag.store(false, Ordering::SeqCst);
            }
            overlaps
        });
    }

    let overlaps: usize = tasks.join_all().await.into_iter().sum();

    assert_eq!(overlaps, 0);
    let idle = pool
        .status()
        .into_iter()
        .all(|it| (it.busy, it.queued) == (0, 0));
    assert!(idle);
}

#[tokio::test(start_paused = true)]
async fn lines_of_one_account_share_its_turn_and_workspaces_do_not() {
    let issuer = nobody();
    let same = [jwt("a", 9000), jwt("a", 8000)];
    let same = built([access(&same)], settings(Strategy::RoundRobin));
    let teams = [jwt("a", 8000), format!("{}:team", jwt("a", 8000))];
    let teams = built([access(&teams)], settings(Strategy::RoundRobin));

    let one = same.lease(want(), &issuer).await.unwrap();
    let again = same.lease(want(), &issuer).await;
    let first = teams.lease(want(), &issuer).await.unwrap();
    let second = teams.lease(want(), &issuer).await.unwrap();

    // The token that lasts longer.
    let token = one.access_token().unwrap();
    assert_eq!(token.expose_secret(), jwt("a", 9000));
    assert!(matches!(again, Err(Unavailable::Busy { .. })), "{again:?}");
    assert_ne!(first.id(), second.id());
    assert_eq!(
        [first.workspace(), second.workspace()],
        [None, Some("team")]
    );
}

#[tokio::test(start_paused = true)]
async fn a_queue_has_an_end_an_order_and_a_time() {
    let pool = people(Strategy::RoundRobin, &["a"]);
    let held = pool.lease(want(), &nobody()).await.unwrap();
    let order: Arc<Mutex<Vec<usize>>> = Arc::default();
    let mut tasks = JoinSet::new();
    for number in 0..16 {
        let (pool, order) = (Arc::clone(&pool), Arc::clone(&order));
        tasks.spawn(async move {
            let lease = pool.lease(want(), &nobody()).await;
            if lease.is_ok() {
                locked(&order).push(number);
            }
            sleep(Duration::from_secs(3)).await;
            lease.is_ok()
        });
        tokio::task::yield_now().await;
    }

    let full = pool.lease(want(), &nobody()).await;
    let status = pool.status();
    drop(held);
    let served = tasks.join_all().await;

    assert!(matches!(full, Err(Unavailable::Busy { .. })), "{full:?}");
    assert_eq!((status[0].busy, status[0].queued), (1, 16));
    // Three seconds each, thirty to wait: one begins at the very end.
    let served = served.into_iter().filter(|served| *served).count();
    assert!((10..=11).contains(&served), "{served}");
    let order = locked(&order);
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!((pool.status()[0].busy, pool.status()[0].queued), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_waits_takes_the_account_that_gets_free_first() {
    let names = ["a", "b"];
    let pool = people(Strategy::RoundRobin, &names);
    let long = pool.lease(want(), &nobody()).await.unwrap();
    let short = pool.lease(want(), &nobody()).await.unwrap();
    let waiting = {
        let pool = Arc::clone(&pool);
        task(async move { pool.lease(want(), &nobody()).await })
    };
    sleep(Duration::from_secs(1)).await;
    let side = pool.lease(side_call(), &nobody()).await.unwrap();
    // It stands in the queue of the one.
    let queued: Vec<usize> = pool.status().iter().map(|it| it.queued).collect();

    drop(short);
    let lease = waiting.await.unwrap().unwrap();

    assert_eq!([person(&long, &names), person(&lease, &names)], ["a", "b"]);
    assert_eq!((queued, side.is_external()), (vec![1, 0], false));
    assert!(pool.status().iter().all(|status| status.queued == 0));
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_comes_up_while_a_request_waits_sends_it_elsewhere() {
    let names = ["a", "b"];
    let pool = people(Strategy::RoundRobin, &names);
    let a = pool.lease(want(), &nobody()).await.unwrap();
    let b = pool.lease(want(), &nobody()).await.unwrap();
    let waiting = {
        let pool = Arc::clone(&pool);
        task(async move { pool.lease(want(), &nobody()).await })
    };
    sleep(Duration::from_secs(1)).await;

    a.settle(
        &fault(FaultKind::RateLimited, Some(900)),
        None,
        Feature::Chat,
    );
    drop(a);
    sleep(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished());
    drop(b);
    let lease = waiting.await.unwrap().unwrap();

    assert_eq!(person(&lease, &names), "b");
}

#[tokio::test(start_paused = true)]
async fn a_model_cap_rests_that_model_and_the_smallest_wait_is_told() {
    let pool = people(Strategy::Sticky, &["a", "b"]);
    let issuer = nobody();
    for clears_in in [5400, 600] {
        let lease = pool.lease(want(), &issuer).await.unwrap();
        let cap = fault(FaultKind::ModelCap, Some(clears_in));
        lease.settle(&cap, Some("model-a"), Feature::Chat);
    }

    let limited = pool.lease(want(), &issuer).await.unwrap_err();
    let other = Want {
        model: Some("model-b"),
        ..want()
    };
    let other = pool.lease(other, &issuer).await.map(drop);
    let cooling = &pool.status()[0].cooling[0];
    assert_eq!(cooling.model.as_deref(), Some("model-a"));
    advance(Duration::from_mins(10)).await;
    let later = pool.lease(want(), &issuer).await.unwrap();

    let expected = Unavailable::Limited {
        retry_after: Duration::from_mins(10),
        kind: Limit::ModelCap,
    };
    assert_eq!(limited, expected);
    assert_eq!(other, Ok(()));
    assert_eq!(person(&later, &["a", "b"]), "b");
}

#[tokio::test(start_paused = true)]
async fn other_limits_rest_a_feature_or_the_account() {
    let table = [
        (FaultKind::ImageLimit, Limit::Feature, true),
        (FaultKind::RateLimited, Limit::RateLimit, false),
        (FaultKind::Busy, Limit::RateLimit, false),
        (FaultKind::Challenge, Limit::Challenge, false),
    ];
    for (kind, limit, chats) in table {
        let pool = people(Strategy::Sticky, &["a"]);
        let lease = pool.lease(want(), &nobody()).await.unwrap();
        // A chat can run into the limit of pictures.
        lease.settle(&fault(kind, None), Some("model-a"), Feature::Chat);
        lease.accepted();
        drop(lease);

        let chat = pool.lease(want(), &nobody()).await.map(drop);
        let images = Want {
            feature: Feature::Images,
            ..want()
        };
        let images = pool.lease(images, &nobody()).await.map(drop);

        let expected = Unavailable::Limited {
            retry_after: Duration::from_mins(1),
            kind: limit,
        };
        assert_eq!(chat.is_ok(), chats, "{kind:?}");
        assert_eq!(images, Err(expected), "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn faults_of_the_request_or_the_service_change_nothing() {
    let pool = people(Strategy::Sticky, &["a"]);
    for kind in [
        FaultKind::TooLong,
        FaultKind::NotFound,
        FaultKind::ServerError,
        FaultKind::Truncated,
    ] {
        let lease = pool.lease(want(), &nobody()).await.unwrap();
        lease.settle(&fault(kind, Some(60)), Some("model-a"), Feature::Chat);
    }

    assert!(pool.lease(want(), &nobody()).await.is_ok());
    assert!(pool.status()[0].cooling.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refused_account_is_probed_and_a_closed_one_waits_for_its_line() {
    let lines = [jwt("a", 8000 + 3600)];
    let pool = built([access(&lines)], settings(Strategy::Sticky));
    let lease = pool.lease(want(), &nobody()).await.unwrap();
    lease.settle(
        &fault(FaultKind::WorkspaceForbidden, None),
        None,
        Feature::Chat,
    );
    drop(lease);

    let refused = pool.lease(want(), &nobody()).await.unwrap_err();
    advance(Duration::from_mins(10)).await;
    let probe = pool.lease(side_call(), &nobody()).await.unwrap();
    let second = pool.lease(side_call(), &nobody()).await.map(drop);
    probe.accepted();
    let after = pool.lease(side_call(), &nobody()).await.map(drop);
    let closed = fault(FaultKind::AccountDeactivated, None);
    probe.settle(&closed, None, Feature::Chat);
    advance(Duration::from_hours(1)).await;
    let closed = pool.lease(want(), &nobody()).await.map(drop);
    let changed = [jwt("a", 20_000)];
    let changed = AccountPool::rebuild(Some(&pool), [access(&changed)], settings(Strategy::Sticky));
    let changed = changed.0.lease(want(), &nobody()).await.map(drop);

    let reasons = vec!["/srv/access.txt:1: words of the service".to_owned()];
    assert_eq!(refused, Unavailable::Dead { reasons });
    assert!(second.is_err());
    assert_eq!(after, Ok(()));
    assert!(closed.is_err());
    assert_eq!(changed, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_pinned_request_gets_its_account_or_none() {
    let names = ["a", "b"];
    let pool = people(Strategy::Sticky, &names);
    let id = pool.status()[1].id.clone().unwrap();
    let pinned = Want {
        pinned: Some(&id),
        ..want()
    };

    let first = pool.lease(pinned, &nobody()).await.unwrap();
    let again = pool.lease(pinned, &nobody()).await.unwrap_err();
    first.settle(&fault(FaultKind::RateLimited, Some(7)), None, Feature::Chat);
    drop(first);
    let limited = pool.lease(pinned, &nobody()).await.unwrap_err();
    let without = people(Strategy::Sticky, &["a"]);
    let gone = without.lease(pinned, &nobody()).await.unwrap_err();

    assert!(matches!(again, Unavailable::Busy { .. }));
    assert!(
        matches!(limited, Unavailable::Limited { .. }),
        "{limited:?}"
    );
    assert_eq!(gone, Unavailable::PinnedGone);
}

#[tokio::test(start_paused = true)]
async fn accounts_that_have_failed_a_request_are_not_tried_again() {
    let names = ["a", "b"];
    let pool = people(Strategy::Sticky, &names);
    let ids: Vec<AccountId> = pool.status().into_iter().filter_map(|it| it.id).collect();
    let tried = |tried| Want { tried, ..want() };

    let second = pool.lease(tried(&ids[..1]), &nobody()).await.unwrap();
    let none = pool.lease(tried(&ids), &nobody()).await.unwrap_err();

    assert_eq!(person(&second, &names), "b");
    assert!(matches!(none, Unavailable::Later { .. }), "{none:?}");
}

#[tokio::test(start_paused = true)]
async fn devices_serve_where_no_login_does() {
    let device = |text| file(Kind::Device, "/srv/free.txt", text);
    let login = || access(&[jwt("a", 8000)]);
    let both = built([device("dev-1"), login()], settings(Strategy::Sticky));
    let alone = built([device("dev-1")], settings(Strategy::Sticky));
    let none = built([access(&[])], settings(Strategy::Sticky));
    let issuer = nobody();

    let first = both.lease(want(), &issuer).await.unwrap();
    let from_login = first.access_token().is_some();
    first.settle(&fault(FaultKind::RateLimited, None), None, Feature::Chat);
    let second = both.lease(want(), &issuer).await.unwrap();
    let login = Want {
        login: true,
        ..want()
    };
    let needs = alone.lease(login, &issuer).await.unwrap_err();
    let limited = both.lease(login, &issuer).await.unwrap_err();
    let nobody = none.lease(want(), &issuer).await.unwrap_err();

    assert!(from_login && first.device_id().is_none());
    assert!(second.access_token().is_none());
    assert_eq!(second.device_id(), Some("dev-1"));
    assert_eq!(needs, Unavailable::NeedsLogin);
    assert!(matches!(limited, Unavailable::Limited { .. }));
    assert_eq!(nobody, Unavailable::NoAccounts);
}

#[tokio::test(start_paused = true)]
async fn a_refused_access_token_is_out_until_its_line_changes() {
    let pool = people(Strategy::Sticky, &["a"]);
    let mut lease = pool.lease(want(), &nobody()).await.unwrap();
    lease.settle(&fault(FaultKind::TokenExpired, None), None, Feature::Chat);
    let renewed = lease.renew(&nobody()).await;
    drop(lease);

    let same = [jwt("a", 8000)];
    let same = AccountPool::rebuild(Some(&pool), [access(&same)], settings(Strategy::Sticky)).0;
    let refused = same.lease(want(), &nobody()).await.unwrap_err();
    let other = [jwt("a", 9000)];
    let other = AccountPool::rebuild(Some(&same), [access(&other)], settings(Strategy::Sticky)).0;

    assert!(!renewed);
    assert!(matches!(refused, Unavailable::Dead { .. }), "{refused:?}");
    assert!(other.lease(want(), &nobody()).await.is_ok());
}
