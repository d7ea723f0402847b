//! Who leaves is let go at once.

use std::time::{Duration, Instant};

use aurora_testkit::{FakeUpstream, Reply, Step, eventually};

use crate::support::in_front_of;

#[tokio::test]
async fn a_client_that_leaves_mid_stream_takes_the_upstream_request_with_it() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    upstream.next(Reply::open_events(&["data: {\"a\":1}\n\n"]).then(Step::Hang));
    let mut response = aurora.chat_stream("hi").await;
    response.chunk().await.unwrap().unwrap();

    let left = Instant::now();
    drop(response);

    eventually("the upstream sees the close", async || {
        !upstream.closed().is_empty()
    })
    .await;
    assert!(
        left.elapsed() < Duration::from_secs(1),
        "{:?}",
        left.elapsed()
    );
    aurora.wait_for_output("end=\"client_gone\"").await;
    assert_eq!(aurora.status().await["in_flight"], 0);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_takes_the_upstream_request_with_it() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    upstream.next(Reply::raw(vec![Step::Hang]));
    let mut client = aurora.raw().await;
    client.post("/v1/chat/completions", "{}").await;
    eventually("the upstream is asked", async || {
        !upstream.requests().is_empty()
    })
    .await;

    let left = Instant::now();
    drop(client);

    eventually("the upstream sees the close", async || {
        !upstream.closed().is_empty()
    })
    .await;
    assert!(
        left.elapsed() < Duration::from_secs(1),
        "{:?}",
        left.elapsed()
    );
}

#[tokio::test]
async fn a_token_is_free_again_when_its_client_leaves() {
    let upstream = FakeUpstream::start().await;
    let config =
        crate::support::config(&upstream, "tokens = \"t\"\n[tokens.t]\nvalues = [\"sk-a\"]");
    let aurora = crate::support::aurora(&config).start().await;
    upstream.next(Reply::open_events(&["data: {\"a\":1}\n\n"]).then(Step::Hang));
    let mut response = aurora.chat_stream("hi").await;
    response.chunk().await.unwrap().unwrap();
    assert_eq!(
        aurora.status().await["tokens"]["t"]["tokens"][0]["in_flight"],
        1
    );

    drop(response);

    eventually("the lease is dropped", async || {
        aurora.status().await["tokens"]["t"]["tokens"][0]["in_flight"] == 0
    })
    .await;
}
