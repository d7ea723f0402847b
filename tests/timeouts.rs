//! Every wait for an upstream has an end, and a name.

use std::time::{Duration, Instant};

use aurora_testkit::{FakeUpstream, Reply, Step};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{aurora, config, refusal, routes};

#[tokio::test]
async fn a_connection_that_is_not_accepted_is_given_up() {
    // Nobody accepts, and the queue of those who wait is full: the next one hears nothing.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(connected) =
        tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await
    {
        queue.push(connected.unwrap());
    }
    let text = format!(
        "[upstreams.full]\nprotocol = \"openai\"\nbase_url = \"http://{address}/v1\"\n\
         timeouts = {{ connect = \"200ms\" }}\n{}",
        routes("\"full\"").replace("upstream =", "retry = { attempts = 1 }\nupstream =")
    );
    let aurora = aurora(&text).start().await;

    let began = Instant::now();
    let refused = refusal(aurora.chat("hi").await).await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (504, "upstream_connect_timeout")
    );
    assert!(refused.message.contains("`connect`"), "{}", refused.message);
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn an_upstream_that_does_not_begin_to_answer_is_given_up() {
    let upstream = FakeUpstream::with(|_| Reply::raw(vec![Step::Hang])).await;
    let text = config(&upstream, "timeouts = { first_byte = \"150ms\" }");
    let aurora = aurora(&text).start().await;

    let refused = refusal(aurora.chat("hi").await).await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (504, "upstream_first_byte_timeout")
    );
    assert_eq!(upstream.requests().len(), 3);
    aurora_testkit::eventually("the requests are cancelled", async || {
        upstream.closed().len() == 3
    })
    .await;
}

#[tokio::test]
async fn a_silent_json_body_is_given_up() {
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    let upstream =
        FakeUpstream::with(move |_| Reply::raw(vec![Step::Send(half.into()), Step::Hang])).await;
    let aurora = aurora(&config(&upstream, "timeouts = { idle = \"150ms\" }"))
        .start()
        .await;

    let refusal = refusal(aurora.chat("hi").await).await;

    assert_eq!(
        (refusal.status, refusal.code.as_str()),
        (504, "upstream_idle_timeout")
    );
    // It may be asked once more: nothing of the answer was passed on.
    assert_eq!(upstream.requests().len(), 3);
}

#[tokio::test]
async fn the_total_timeout_ends_a_stream_that_still_moves() {
    let upstream = FakeUpstream::start().await;
    let text = config(&upstream, "timeouts = { total = \"400ms\" }");
    let aurora = aurora(&text).start().await;
    let mut reply = Reply::open_events::<&str>(&[]);
    for _ in 0..100 {
        reply = reply
            .then(Reply::chunk(b"data: {\"choices\":[]}\n\n"))
            .then(Step::Wait(Duration::from_millis(50)));
    }
    upstream.next(reply);

    let began = Instant::now();
    let mut response = aurora.chat_stream("hi").await;
    let mut text = String::new();
    let broken = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => text.push_str(&String::from_utf8_lossy(&chunk)),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };

    assert!(
        text.contains("upstream_total_timeout") && !text.contains("[DONE]"),
        "{text}"
    );
    assert!(broken);
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn the_total_timeout_covers_the_wait_for_the_head() {
    let upstream = FakeUpstream::with(|_| Reply::raw(vec![Step::Hang])).await;
    let text = config(&upstream, "timeouts = { total = \"200ms\" }");
    let aurora = aurora(&text).start().await;

    let began = Instant::now();
    let refused = refusal(aurora.chat("hi").await).await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (504, "upstream_total_timeout")
    );
    assert_eq!(
        upstream.requests().len(),
        1,
        "there is no time for another try"
    );
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn without_a_total_timeout_a_stream_that_moves_is_never_cut() {
    let upstream = FakeUpstream::start().await;
    let settings = "timeouts = { first_byte = \"500ms\", idle = \"500ms\", connect = \"500ms\" }";
    let aurora = aurora(&config(&upstream, settings)).start().await;
    let events = FakeUpstream::chat_events("m", &["a", "b", "c", "d", "e", "f"]);
    let mut reply = Reply::open_events::<&str>(&[]);
    for event in &events {
        reply = reply
            .then(Reply::chunk(event.as_bytes()))
            .then(Step::Wait(Duration::from_millis(80)));
    }
    upstream.next(reply.then(Step::Send("0\r\n\r\n".into())));

    let response = aurora.chat_stream("hi").await;

    assert_eq!(response.text().await.unwrap(), events.concat());
}
