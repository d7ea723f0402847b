//! Upstreams that fail are left alone for a while, and repeats have a budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aurora_testkit::{Aurora, FakeUpstream, Reply, Step, eventually};
use serde_json::json;
use tokio::sync::Notify;

use crate::support::{aurora, chat_route, refusal, upstream as table};

/// An upstream that fails with `status` and `headers` while `broken` is set.
async fn sometimes(
    broken: &Arc<AtomicBool>,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
) -> FakeUpstream {
    let broken = Arc::clone(broken);
    FakeUpstream::with(move |_| {
        let all = [&[("content-type", "application/json")], headers].concat();
        if broken.load(Ordering::SeqCst) {
            Reply::new(status, &all, r#"{"error":{"message":"no"}}"#)
        } else {
            pong()
        }
    })
    .await
}

pub(crate) fn pong() -> Reply {
    let message = json!({"role": "assistant", "content": "pong"});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    Reply::json(
        200,
        &json!({"object": "chat.completion", "choices": [choice]}),
    )
}

async fn over(one: &FakeUpstream, settings: &str, two: &FakeUpstream) -> Aurora {
    let route = chat_route("[\"one\", \"two\"]", "");
    let text = [table("one", one, settings), table("two", two, ""), route];
    aurora(&text.concat()).start().await
}

/// A gateway with one upstream, asked once a request.
pub(crate) async fn alone(one: &FakeUpstream, settings: &str) -> Aurora {
    let route = chat_route("\"one\"", "retry = { attempts = 1 }");
    aurora(&[table("one", one, settings), route].concat())
        .start()
        .await
}

#[tokio::test]
async fn an_upstream_that_keeps_failing_is_left_alone_and_comes_back_by_itself() {
    let broken = Arc::new(AtomicBool::new(true));
    let (one, two) = (
        sometimes(&broken, 500, &[]).await,
        FakeUpstream::start().await,
    );
    let aurora = over(&one, "breaker = { open = \"5s\" }", &two).await;

    for _ in 0..30 {
        assert_eq!(aurora.chat("hi").await.status(), 200);
    }

    let asked = one.requests().len();
    assert_eq!(asked, 5, "five failures open it");
    aurora.wait_for_output("upstream rests").await;
    let status = aurora.status().await["upstreams"]["one"].clone();
    assert_eq!(status["rests"]["why"], "it failed too often", "{status}");
    assert_eq!(
        aurora
            .metric("aurora_upstream_resting{upstream=\"one\"}")
            .await,
        1
    );
    let (_, ready) = aurora.admin("GET", "/ready").await;
    assert!(
        ready.to_string().contains("upstream: `one` rests"),
        "{ready}"
    );

    broken.store(false, Ordering::SeqCst);
    eventually("the first upstream answers again", async || {
        assert_eq!(aurora.chat("hi").await.status(), 200);
        one.requests().len() > asked + 3
    })
    .await;
    aurora.wait_for_output("upstream serves again").await;
}

#[tokio::test]
async fn while_it_rests_one_request_tries_and_the_others_do_not_wait_for_it() {
    let gate = Arc::new(Notify::new());
    let (waiting, calls) = (Arc::clone(&gate), AtomicUsize::new(0));
    let one = FakeUpstream::with(move |_| {
        if calls.fetch_add(1, Ordering::SeqCst) < 5 {
            return Reply::json(500, &json!({"error": {"message": "no"}}));
        }
        pong().after(Step::Until(Arc::clone(&waiting)))
    })
    .await;
    let aurora = alone(&one, "breaker = { open = \"500ms\" }").await;
    for _ in 0..5 {
        assert_eq!(aurora.chat("hi").await.status(), 500);
    }
    let resting = refusal(aurora.chat("hi").await).await;
    assert_eq!(
        (resting.status, resting.code.as_str()),
        (503, "no_upstream_available")
    );
    assert!(
        resting.message.contains("`one` rests: it failed too often"),
        "{}",
        resting.message
    );
    assert_eq!(resting.retry_after, Some(1));

    let many = futures_util::future::join_all((0..20).map(async |_| {
        // From the end of the rest on, one of them is the probe.
        let mut answer = aurora.chat("hi").await;
        while answer.status() == 503 && one.requests().len() < 6 {
            answer = aurora.chat("hi").await;
        }
        answer.status().as_u16()
    }));
    let opened = async {
        eventually("the probe", async || one.requests().len() == 6).await;
        // All others were refused meanwhile.
        eventually("refusals", async || {
            aurora.metric("aurora_requests_under_way").await == 1
        })
        .await;
        assert_eq!(one.requests().len(), 6);
        gate.notify_one();
    };
    let (answers, ()) = tokio::join!(many, opened);

    let served = answers.iter().filter(|status| **status == 200).count();
    assert_eq!(served, 1, "{answers:?}");
    gate.notify_one();
    assert_eq!(aurora.chat("hi").await.status(), 200);
}

#[tokio::test]
async fn a_breaker_that_is_off_never_opens() {
    let one = FakeUpstream::with(|_| Reply::json(500, &json!({"error": {"message": "no"}}))).await;
    let aurora = alone(&one, "breaker = { enabled = false }").await;

    for _ in 0..30 {
        assert_eq!(aurora.chat("hi").await.status(), 500);
    }
    assert_eq!(one.requests().len(), 30);
}

#[tokio::test]
async fn an_upstream_that_asks_to_be_left_alone_is() {
    let broken = Arc::new(AtomicBool::new(true));
    let one = sometimes(&broken, 503, &[("retry-after", "2")]).await;
    let two = FakeUpstream::start().await;
    let aurora = over(&one, "", &two).await;

    for _ in 0..5 {
        assert_eq!(aurora.chat("hi").await.status(), 200);
    }
    assert_eq!(one.requests().len(), 1);
    broken.store(false, Ordering::SeqCst);
    let began = Instant::now();

    eventually("it is asked again", async || {
        aurora.chat("hi").await;
        one.requests().len() > 1
    })
    .await;
    assert!(
        began.elapsed() > Duration::from_millis(1_500),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn an_edge_that_asks_for_a_browser_rests_the_upstream_and_blames_no_token() {
    let page = Reply::new(403, &[("content-type", "text/html")], "<html>");
    let one = FakeUpstream::with(move |_| page.clone()).await;
    let two = FakeUpstream::start().await;
    let settings = "tokens = \"t\"\n[tokens.t]\nvalues = [\"sk-one\", \"sk-two\"]";
    let aurora = over(&one, settings, &two).await;

    for _ in 0..5 {
        assert_eq!(aurora.chat("hi").await.status(), 200);
    }

    assert_eq!(one.requests().len(), 1, "no other token is tried");
    aurora.wait_for_output("its edge asked for a browser").await;
    let status = aurora.status().await;
    let tokens = status["tokens"]["t"]["tokens"].as_array().unwrap();
    assert!(
        tokens.iter().all(|token| token["state"] == "ok"),
        "{tokens:?}"
    );
    let why = &status["upstreams"]["one"]["rests"]["why"];
    assert_eq!(why, "its edge asked for a browser");
}

#[tokio::test]
async fn a_rest_survives_a_reload() {
    let one = FakeUpstream::with(|_| Reply::json(500, &json!({"error": {"message": "no"}}))).await;
    let settings = "breaker = { failures = 1, open = \"5m\" }";
    let aurora = alone(&one, settings).await;
    assert_eq!(aurora.chat("hi").await.status(), 500);

    let config = std::fs::read_to_string(aurora.path("aurora.toml")).unwrap();
    aurora.write(
        "aurora.toml",
        config.replace("attempts = 1", "attempts = 2"),
    );
    aurora.wait_for_generation(2).await;

    assert_eq!(refusal(aurora.chat("hi").await).await.status, 503);
    assert_eq!(one.requests().len(), 1);
}

#[tokio::test]
async fn an_upstream_that_fails_its_health_check_is_not_asked() {
    let healthy = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&healthy);
    let one = FakeUpstream::with(move |request| {
        let is_check = request.target == "/v1/alive";
        if is_check && !state.load(Ordering::SeqCst) {
            return Reply::json(500, &json!({}));
        }
        pong()
    })
    .await;
    let two = FakeUpstream::start().await;
    let settings = "health = { path = \"/alive\", interval = \"100ms\", timeout = \"100ms\" }";
    let aurora = over(&one, settings, &two).await;
    let asked = || {
        let requests = one.requests();
        let chats = requests
            .iter()
            .filter(|request| request.target.ends_with("completions"));
        chats.count()
    };
    assert_eq!(aurora.chat("hi").await.status(), 200);
    assert_eq!(asked(), 1);

    healthy.store(false, Ordering::SeqCst);
    aurora.wait_for_output("fails its health check").await;
    assert_eq!(aurora.chat("hi").await.status(), 200);
    assert_eq!((asked(), two.requests().len()), (1, 1));

    healthy.store(true, Ordering::SeqCst);
    aurora
        .wait_for_output("passes its health check again")
        .await;
    assert_eq!(aurora.chat("hi").await.status(), 200);
    assert_eq!(asked(), 2);
}

#[tokio::test]
async fn a_health_check_that_is_removed_says_nothing_more() {
    let one = FakeUpstream::with(|request| {
        if request.target == "/v1/models" {
            return Reply::json(500, &json!({}));
        }
        pong()
    })
    .await;
    let aurora = alone(&one, "health = { interval = \"50ms\", timeout = \"50ms\" }").await;
    aurora.wait_for_output("fails its health check").await;
    assert_eq!(refusal(aurora.chat("hi").await).await.status, 503);

    let config = std::fs::read_to_string(aurora.path("aurora.toml")).unwrap();
    let without = config.lines().filter(|line| !line.starts_with("health"));
    let without: Vec<&str> = without.collect();
    aurora.write("aurora.toml", without.join("\n"));

    eventually("it serves", async || {
        aurora.chat("hi").await.status() == 200
    })
    .await;
}

/// Every second request at the first upstream fails.
#[tokio::test]
async fn clients_see_no_failure_where_one_of_two_upstreams_fails_half_of_its_requests() {
    let calls = AtomicUsize::new(0);
    let one = FakeUpstream::with(move |_| {
        if calls.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
            return Reply::json(500, &json!({"error": {"message": "no"}}));
        }
        pong()
    })
    .await;
    let two = FakeUpstream::start().await;
    let aurora = over(&one, "", &two).await;
    let (began, requests) = (Instant::now(), 1_500_usize);

    for _ in 0..requests / 10 {
        let answers = futures_util::future::join_all((0..10).map(|_| aurora.chat("hi"))).await;
        for answer in answers {
            assert_eq!(answer.status(), 200);
        }
    }

    let asked = one.requests().len() + two.requests().len();
    let added = asked - requests;
    // `max_share`, the ten that are free, and one a second.
    let budget = requests / 5 + 10 + usize::try_from(began.elapsed().as_secs()).unwrap();
    println!(
        "{requests} requests, {added} more attempts, budget {budget}, first upstream {}",
        one.requests().len()
    );
    assert!(added <= budget, "{added} more than {requests}");
    assert!(added > 0);
}

#[tokio::test]
async fn repeats_at_one_upstream_stay_within_their_share() {
    let one = FakeUpstream::with(|_| Reply::json(500, &json!({"error": {"message": "no"}}))).await;
    let settings = "retry = { attempts = 3, backoff = \"1ms\", max_share = 0.1 }";
    let config = [
        table("one", &one, "breaker = { enabled = false }"),
        chat_route("\"one\"", settings),
    ];
    let aurora = aurora(&config.concat()).start().await;
    let (began, requests) = (Instant::now(), 300_usize);

    for _ in 0..requests {
        assert_eq!(aurora.chat("hi").await.status(), 500);
    }

    let added = one.requests().len() - requests;
    let budget = requests / 10 + 11 + usize::try_from(began.elapsed().as_secs()).unwrap();
    assert!(added <= budget, "{added} repeats, {budget} allowed");
    assert!(added >= requests / 10, "{added}");
    let refused = "aurora_upstream_refused_repeats_total{upstream=\"one\"}";
    assert!(aurora.metric(refused).await > 0);
}
