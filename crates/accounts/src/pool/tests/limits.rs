use super::*;

#[tokio::test(start_paused = true)]
async fn a_model_cap_rests_that_model_and_the_smallest_wait_is_told() {
    let pool = people(Strategy::Sticky, &["a", "b", "c"]);
    let issuer = nobody();
    for clears_in in [5400, 600, 900] {
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
async fn a_rest_never_gets_shorter() {
    for kind in [
        FaultKind::ModelCap,
        FaultKind::ImageLimit,
        FaultKind::RateLimited,
    ] {
        let pool = people(Strategy::Sticky, &["a"]);
        let lease = pool.lease(side_call(), &nobody()).await.unwrap();
        for clears_in in [900, 10] {
            let fault = fault(kind, Some(clears_in));
            lease.settle(&fault, Some("model-a"), Feature::Images);
        }

        let images = Want {
            feature: Feature::Images,
            ..want()
        };
        let limited = pool.lease(images, &nobody()).await.unwrap_err();

        let wait = Duration::from_mins(15);
        assert!(
            matches!(limited, Unavailable::Limited { retry_after, .. } if retry_after == wait),
            "{kind:?}"
        );
    }
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
async fn a_refused_device_is_probed() {
    let device = file(Kind::Device, "/srv/free.txt", "dev-1");
    let pool = built([device], settings(Strategy::Sticky));
    let lease = pool.lease(want(), &nobody()).await.unwrap();
    lease.settle(&fault(FaultKind::TokenInvalid, None), None, Feature::Chat);
    drop(lease);

    let refused = pool.lease(want(), &nobody()).await.unwrap_err();
    advance(Duration::from_mins(10)).await;
    let probed = pool.lease(want(), &nobody()).await.map(drop);

    assert!(matches!(refused, Unavailable::Dead { .. }), "{refused:?}");
    assert_eq!(probed, Ok(()));
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
