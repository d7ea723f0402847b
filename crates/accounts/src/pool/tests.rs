use std::path::Path;
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
mod limits;
mod reload;
mod turns;
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
async fn a_pinned_request_gets_its_account_or_none() {
    let names = ["a", "b"];
    let pool = people(Strategy::Sticky, &names);
    let id = pool.status()[1].id.clone().unwrap();
    let pinned = Want {
        pinned: Some(&id),
        ..want()
    };

    let first = pool.lease(pinned, &nobody()).await.unwrap();
    assert_eq!(person(&first, &names), "b");
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
async fn pinned_requests_do_not_turn_the_wheel() {
    let names = ["a", "b"];
    let pool = people(Strategy::RoundRobin, &names);
    let id = pool.status()[0].id.clone().unwrap();
    let pinned = Want {
        pinned: Some(&id),
        ..want()
    };

    drop(pool.lease(pinned, &nobody()).await.unwrap());
    let next = pool.lease(want(), &nobody()).await.unwrap();

    assert_eq!(person(&next, &names), "a");
}
