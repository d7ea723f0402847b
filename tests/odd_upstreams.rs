//! Upstreams that answer in ways that no API should.

use std::time::{Duration, Instant};

use aurora_testkit::{FakeUpstream, Reply, Step};

use crate::support::{aurora, config, refusal};

#[tokio::test]
async fn an_error_body_that_drips_for_ever_is_cut() {
    let upstream = FakeUpstream::start().await;
    let settings = "timeouts = { idle = \"60s\" }";
    let aurora = aurora(&config(&upstream, settings)).start().await;
    let head =
        "HTTP/1.1 400 Bad\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut drip = Reply::raw(vec![Step::Send(head.into())]);
    for _ in 0..300 {
        drip = drip
            .then(Reply::chunk(b" "))
            .then(Step::Wait(Duration::from_millis(100)));
    }
    upstream.next(drip);

    let asked = Instant::now();
    let refused = refusal(aurora.chat("hi").await).await;

    assert_eq!(refused.status, 400);
    assert!(
        asked.elapsed() < Duration::from_secs(20),
        "{:?}",
        asked.elapsed()
    );
}

#[tokio::test]
async fn statuses_between_the_gateway_and_its_upstream_are_not_the_clients() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&config(&upstream, "")).start().await;

    for head in [
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n",
    ] {
        for _ in 0..4 {
            upstream.next(Reply::raw(vec![Step::Send(head.into())]));
        }
        let refused = refusal(aurora.chat("hi").await).await;
        assert_eq!(
            (refused.status, refused.code.as_str()),
            (502, "upstream_error"),
            "{head}"
        );
    }
}
