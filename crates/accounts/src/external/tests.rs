use tokio::task::JoinSet;
use tokio::time::advance;

use super::*;
use aurora_chatgpt::fault::{Fault, FaultKind};
use aurora_chatgpt::login::IssueError;

use crate::settings::Strategy;
use crate::testing::{Script, jwt, play, settings, want};
use crate::want::Feature;

fn externals() -> Arc<Externals> {
    Arc::new(Externals::new(settings(Strategy::RoundRobin)))
}

fn refresh(token: &str) -> Credential {
    Credential::RefreshToken(token.to_owned().into())
}

fn bearer(token: String) -> Credential {
    Credential::AccessToken(token.into())
}

fn side_call() -> Want<'static> {
    Want {
        turn: false,
        ..want()
    }
}

fn nobody() -> Arc<dyn Issuer> {
    play(Script::default()).1
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_is_exchanged_once_and_its_access_token_used_up() {
    let externals = externals();
    let script = Script::default()
        .slow(Duration::from_secs(1))
        .issue("r1", &jwt("a", 500), Some("r2"))
        .issue("r2", &jwt("a", 8000), None);
    let (script, issuer) = play(script);
    let mut tasks = JoinSet::new();
    for number in 0..20 {
        let (externals, issuer) = (Arc::clone(&externals), Arc::clone(&issuer));
        tasks.spawn(async move {
            let team = (number % 2 == 0).then_some("team");
            let token = refresh("r1");
            let lease = externals.lease(&token, team, side_call(), &issuer);
            lease.await.unwrap().workspace().map(str::to_owned)
        });
    }

    let teams = tasks.join_all().await;
    advance(Duration::from_secs(430)).await;
    let token = refresh("r1");
    let cached = externals.lease(&token, None, side_call(), &issuer);
    let cached = cached.await.unwrap();
    let once = script.asked();
    advance(Duration::from_secs(20)).await;
    let renewed = externals.lease(&token, None, side_call(), &issuer);
    let renewed = renewed.await.unwrap();

    let with_team = teams.iter().filter(|team| team.as_deref() == Some("team"));
    assert_eq!(with_team.count(), 10);
    assert_eq!(once, ["r1"]);
    assert!(cached.is_external());
    let token = renewed.access_token().unwrap();
    assert_eq!(token.expose_secret(), jwt("a", 8000));
    assert_eq!(script.asked(), ["r1", "r2"]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_token_is_remembered_for_a_minute() {
    let externals = externals();
    let dead = || IssueError::Dead("reused".to_owned());
    let script = Script::default()
        .fail("r1", dead())
        .issue("r1", &jwt("a", 8000), None);
    let (script, issuer) = play(script);
    let token = refresh("r1");
    let lease = || externals.lease(&token, None, want(), &issuer);

    let first = lease().await.unwrap_err();
    let second = lease().await.unwrap_err();
    let asked = script.asked().len();
    advance(Duration::from_mins(1)).await;
    let third = lease().await;

    let reused = Unavailable::ExternalDead("reused".to_owned());
    assert_eq!([&first, &second], [&reused, &reused]);
    assert_eq!(asked, 1);
    assert!(third.is_ok());
}

#[tokio::test(start_paused = true)]
async fn workspaces_of_one_token_stay_apart() {
    let externals = externals();
    let token = bearer(jwt("a", 8000));
    let issuer = nobody();
    let lease = |team| externals.lease(&token, team, want(), &issuer);

    let one = lease(Some("one")).await.unwrap();
    let two = lease(Some("two")).await.unwrap();
    let none = lease(None).await.unwrap();
    let busy = lease(Some("one")).await.unwrap_err();

    let teams = [&one, &two, &none].map(Lease::workspace);
    assert_eq!(teams, [Some("one"), Some("two"), None]);
    assert!(one.id() != two.id() && two.id() != none.id());
    assert!(matches!(busy, Unavailable::Busy { .. }), "{busy:?}");
}

#[tokio::test(start_paused = true)]
async fn claims_of_another_client_change_nothing() {
    let externals = externals();
    let issuer = nobody();
    let forged = bearer(jwt("a", 9000));
    let real = bearer(jwt("a", 8000));
    let one = externals.lease(&forged, None, want(), &issuer).await;
    let one = one.unwrap();
    let closed = Fault {
        kind: FaultKind::AccountDeactivated,
        message: "closed".to_owned(),
        upstream_code: None,
        clears_in: None,
    };
    one.settle(&closed, None, Feature::Chat);

    let two = externals.lease(&real, None, want(), &issuer).await.unwrap();
    let again = externals.lease(&forged, None, want(), &issuer).await;
    let again = again.unwrap_err();

    drop(two);
    assert_eq!(again, Unavailable::ExternalDead("closed".to_owned()));
    let other = externals.lease(&real, None, want(), &issuer).await.unwrap();
    assert_eq!(one.id(), other.id());
}

#[tokio::test(start_paused = true)]
async fn no_refusal_of_a_client_is_remembered_for_long() {
    for kind in [FaultKind::AccountDeactivated, FaultKind::WorkspaceForbidden] {
        let externals = externals();
        let issuer = nobody();
        let token = bearer(jwt("a", 8000));
        let lease = || externals.lease(&token, Some("team"), side_call(), &issuer);
        let refused = Fault {
            kind,
            message: "no".to_owned(),
            upstream_code: None,
            clears_in: None,
        };
        lease().await.unwrap().settle(&refused, None, Feature::Chat);

        let early = lease().await.map(drop);
        advance(Duration::from_mins(1)).await;
        let late = lease().await.map(drop);

        assert_eq!(early, Err(Unavailable::ExternalDead("no".to_owned())));
        assert_eq!(late, Ok(()), "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_comes_up_while_a_client_waits_is_told() {
    let externals = externals();
    let issuer = nobody();
    let token = bearer(jwt("a", 8000));
    let held = externals.lease(&token, None, want(), &issuer).await;
    let held = held.unwrap();
    let limit = Fault {
        kind: FaultKind::RateLimited,
        message: "slow down".to_owned(),
        upstream_code: None,
        clears_in: Some(Duration::from_secs(90)),
    };

    let ending = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        held.settle(&limit, None, Feature::Chat);
        drop(held);
    };
    let waiting = externals.lease(&token, None, want(), &issuer);
    let ((), limited) = tokio::join!(ending, waiting);

    let expected = Unavailable::Limited {
        retry_after: Duration::from_secs(90),
        kind: crate::state::Limit::RateLimit,
    };
    assert_eq!(limited.map(drop), Err(expected));
}

#[tokio::test(start_paused = true)]
async fn each_form_is_served_or_says_why_not() {
    let externals = externals();
    let issuer = nobody();
    let login = Want {
        login: true,
        ..want()
    };
    let device = Credential::Device("dev-1".to_owned());
    let other = Credential::Other("word".to_owned().into());
    let id = "0123456789abcdef".parse().unwrap();
    let pinned = Want {
        pinned: Some(&id),
        ..want()
    };

    let lease = externals.lease(&device, None, want(), &issuer).await;
    let lease = lease.unwrap();
    let needs = externals.lease(&device, None, login, &issuer).await;
    let unknown = externals.lease(&other, None, want(), &issuer).await;
    let old = bearer(jwt("a", 60));
    let expired = externals.lease(&old, None, want(), &issuer).await;
    let good = bearer(jwt("a", 8000));
    let gone = externals.lease(&good, None, pinned, &issuer).await;

    assert_eq!(lease.device_id(), Some("dev-1"));
    assert!(lease.access_token().is_none());
    let refused = [needs, unknown, expired, gone].map(|lease| lease.unwrap_err());
    let expected = [
        Unavailable::NeedsLogin,
        Unavailable::Unknown,
        Unavailable::ExternalExpired,
        Unavailable::PinnedGone,
    ];
    assert_eq!(refused, expected);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_told_apart_from_an_old_one() {
    for (kind, is_expired) in [
        (FaultKind::TokenExpired, true),
        (FaultKind::TokenInvalidated, false),
    ] {
        let externals = externals();
        let issuer = nobody();
        let token = bearer(jwt("a", 8000));
        let lease = externals.lease(&token, None, want(), &issuer).await;
        let mut lease = lease.unwrap();
        assert!(!lease.renew(&issuer).await);
        let fault = Fault {
            kind,
            message: "no".to_owned(),
            upstream_code: None,
            clears_in: None,
        };
        lease.settle(&fault, None, Feature::Chat);
        drop(lease);

        let refused = externals.lease(&token, None, want(), &issuer).await;
        advance(Duration::from_mins(1)).await;
        let later = externals.lease(&token, None, want(), &issuer).await;

        let refused = refused.unwrap_err();
        assert_eq!(refused == Unavailable::ExternalExpired, is_expired);
        assert!(later.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_used_is_forgotten_and_there_is_a_bound() {
    let externals = externals();
    let issuer = nobody();
    let device = |n: usize| Credential::Device(format!("dev-{n}"));
    let held = externals.lease(&device(0), None, want(), &issuer).await;
    let held = held.unwrap();
    for n in 1..MAX_TOKENS + 50 {
        let lease = externals.lease(&device(n), None, want(), &issuer).await;
        drop(lease.unwrap());
        advance(Duration::from_millis(1)).await;
    }
    let most = externals.len();
    let busy = externals.lease(&device(0), None, want(), &issuer).await;

    advance(IDLE).await;
    let last = externals.lease(&device(1), None, want(), &issuer).await;

    assert_eq!(most, MAX_TOKENS);
    assert!(matches!(busy, Err(Unavailable::Busy { .. })));
    assert_eq!(externals.len(), 2);
    drop((held, last));
}
