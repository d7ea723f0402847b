use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

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
