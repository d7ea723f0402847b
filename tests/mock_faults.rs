//! The mock fails, waits and breaks off on purpose, so that people can try out their own programs and settings.

use std::time::{Duration, Instant};

use aurora_testkit::Aurora;

use crate::support::{aurora, refusal, routes};

/// Aurora with the mock behind every endpoint, with `settings`.
async fn with_mock(settings: &str) -> Aurora {
    let routes = routes("\"mock\"");
    aurora(&format!(
        "[upstreams.mock]\nprotocol = \"mock\"\n{settings}\n{routes}"
    ))
    .start()
    .await
}

#[tokio::test]
async fn a_delay_is_kept_before_each_answer() {
    let aurora = with_mock("delay = \"300ms\"").await;

    let began = Instant::now();
    let response = aurora.chat("hi").await;

    assert_eq!(response.status(), 200);
    assert!(began.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_chunk_delay_is_kept_between_the_pieces_of_a_stream() {
    let aurora = with_mock("chunk_delay = \"100ms\"").await;

    let mut response = aurora.chat_stream("hi").await;
    let mut arrivals = Vec::new();
    while response.chunk().await.unwrap().is_some() {
        arrivals.push(Instant::now());
    }

    assert!(arrivals.len() > 3);
    let gaps = arrivals
        .windows(2)
        .filter(|pair| pair[1] - pair[0] > Duration::from_millis(60));
    assert!(gaps.count() + 1 >= arrivals.len() - 1);
}

#[tokio::test]
async fn a_mock_that_always_fails_does_so_as_it_is_told() {
    let aurora = with_mock("fail_rate = 1.0\nfail_status = 529").await;

    let response = aurora.chat("hi").await;

    assert_eq!(response.status().as_u16(), 529);
    assert_eq!(response.headers()["x-aurora-upstream"], "mock");
    assert_eq!(refusal(response).await.code, "mock_failure");
}

#[tokio::test]
async fn a_mock_shows_how_a_fallback_works() {
    let text = "[upstreams.bad]\nprotocol = \"mock\"\nfail_rate = 1.0\nfail_status = 503\n\
                [upstreams.good]\nprotocol = \"mock\"\n"
        .to_owned()
        + &crate::support::chat_route("[\"bad\", \"good\"]", "");
    let aurora = aurora(&text).start().await;

    assert_eq!(aurora.chat("hi").await.status(), 200);
}
