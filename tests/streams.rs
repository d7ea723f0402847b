//! Event streams: relayed byte for byte, ended truthfully.

use std::time::{Duration, Instant};

use aurora_testkit::{FakeUpstream, Reply, Step, eventually};

use crate::support::{aurora, config, in_front_of, routes};

/// The body of a streamed answer, as far as it came, and whether it ended as HTTP wants.
async fn drain(mut response: reqwest::Response) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return (body, true),
            Err(_) => return (body, false),
        }
    }
}

#[tokio::test]
async fn a_stream_reaches_the_client_byte_for_byte() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let events = FakeUpstream::chat_events("m", &["Grüße", " 🦀"]);
    upstream.next(Reply::events(&events));

    let response = aurora.chat_stream("hi").await;

    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    assert_eq!(
        response.headers()["cache-control"],
        "no-cache, no-transform"
    );
    let (body, whole) = drain(response).await;
    assert_eq!(String::from_utf8(body).unwrap(), events.concat());
    assert!(whole);
}

#[tokio::test]
async fn a_stream_split_at_every_byte_is_relayed_byte_for_byte() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let text = FakeUpstream::chat_events("m", &["é"]).concat();
    let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    upstream.next(Reply::events(&single));

    let (body, whole) = drain(aurora.chat_stream("hi").await).await;

    assert_eq!(body, text.as_bytes());
    assert!(whole);
}

#[tokio::test]
async fn a_line_of_eight_mebibytes_is_relayed_byte_for_byte() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let line = format!("data: {{\"x\":\"{}\"}}\n\n", "y".repeat(8 * 1024 * 1024));
    upstream.next(Reply::events(&[line.as_str(), "data: [DONE]\n\n"]));

    let (body, whole) = drain(aurora.chat_stream("hi").await).await;

    assert_eq!(body.len(), line.len() + 14);
    assert!(body.starts_with(line.as_bytes()) && body.ends_with(b"data: [DONE]\n\n"));
    assert!(whole);
}

#[tokio::test]
async fn a_stream_cut_by_a_reset_ends_with_an_error_event_and_no_end_marker() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let events = FakeUpstream::chat_events("m", &["one", "two"]);
    let cut = Reply::open_events(&events[..2]).then(Step::Wait(Duration::from_millis(20)));
    upstream.next(cut.then(Step::Reset));

    let (body, whole) = drain(aurora.chat_stream("hi").await).await;

    let text = String::from_utf8(body).unwrap();
    assert!(text.starts_with(&events[..2].concat()), "{text}");
    assert!(text.contains(r#""code":"stream_truncated""#), "{text}");
    assert!(text.ends_with("\n\n") && !text.contains("[DONE]"), "{text}");
    assert!(!whole, "the message must end abnormally");
}

#[tokio::test]
async fn a_stream_that_ends_without_its_marker_is_an_error_though_http_is_happy() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let events = FakeUpstream::chat_events("m", &["one"]);
    let unfinished = &events[..events.len() - 1];
    upstream.next(Reply::events(unfinished));

    let (body, whole) = drain(aurora.chat_stream("hi").await).await;

    let text = String::from_utf8(body).unwrap();
    assert!(
        text.contains("stream_truncated") && !text.contains("[DONE]"),
        "{text}"
    );
    assert!(!whole);
}

#[tokio::test]
async fn a_finish_reason_is_end_enough_where_the_upstream_may_leave_the_marker_out() {
    let upstream = FakeUpstream::start().await;
    let settings = "done_marker = \"optional\"";
    let aurora = aurora(&config(&upstream, settings)).start().await;
    let events = FakeUpstream::chat_events("m", &["one"]);
    let unmarked = events[..events.len() - 1].concat();
    upstream.next(Reply::events(&[&unmarked]));

    let (body, whole) = drain(aurora.chat_stream("hi").await).await;

    assert_eq!(String::from_utf8(body).unwrap(), unmarked);
    assert!(whole);
}

#[tokio::test]
async fn half_an_event_never_reaches_the_client() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let cut = Reply::open_events(&["data: {\"a\":1}\n\n", "data: {\"choi"]);
    upstream.next(
        cut.then(Step::Wait(Duration::from_millis(20)))
            .then(Step::Close),
    );

    let (body, _) = drain(aurora.chat_stream("hi").await).await;

    let text = String::from_utf8(body).unwrap();
    assert!(
        text.starts_with("data: {\"a\":1}\n\ndata: {\"error\""),
        "{text}"
    );
}

#[tokio::test]
async fn a_cut_http2_stream_is_reset() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    upstream.next(Reply::open_events(&["data: {\"a\":1}\n\n"]).then(Step::Reset));
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .no_proxy()
        .build()
        .unwrap();
    let url = format!("{}/v1/chat/completions", aurora.url());

    let response = client
        .post(url)
        .body(r#"{"stream":true}"#)
        .send()
        .await
        .unwrap();

    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    let (body, whole) = drain(response).await;
    assert!(
        String::from_utf8(body)
            .unwrap()
            .contains("stream_truncated")
    );
    assert!(!whole);
}

#[tokio::test]
async fn an_upstreams_own_error_event_is_not_doubled() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    upstream.next(Reply::events(&[
        "data: {\"error\":{\"message\":\"overloaded\"}}\n\n",
    ]));

    let (body, whole) = drain(aurora.chat_stream("hi").await).await;

    assert_eq!(String::from_utf8(body).unwrap().matches("error").count(), 1);
    assert!(!whole);
}

#[tokio::test]
async fn an_error_event_that_quotes_our_token_is_masked() {
    let upstream = FakeUpstream::start().await;
    let pool = "tokens = \"t\"\n[tokens.t]\nvalues = [\"sk-upstream-secret\"]";
    let aurora = aurora(&config(&upstream, pool)).start().await;
    upstream.next(Reply::events(&[
        "data: {\"a\":1}\n\n",
        "data: {\"error\":{\"message\":\"bad key sk-upstream-secret\"}}\n\n",
    ]));

    let (body, _) = drain(aurora.chat_stream("hi").await).await;

    let text = String::from_utf8(body).unwrap();
    assert!(text.contains("bad key [redacted]"), "{text}");
    assert!(!text.contains("sk-upstream-secret"), "{text}");
}

#[tokio::test]
async fn a_responses_stream_that_breaks_off_fails_in_its_own_dialect() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let created = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\
                   \"response\":{\"id\":\"resp_7\",\"object\":\"response\",\"status\":\"in_progress\"}}\n\n";
    upstream.next(Reply::events(&[created]));

    let body = serde_json::json!({"model": "m", "stream": true, "input": "hi"});
    let response = aurora.post("/v1/responses", &body).send().await.unwrap();

    let (body, whole) = drain(response).await;
    let text = String::from_utf8(body).unwrap();
    let failed = text.strip_prefix(created).unwrap();
    let failed = failed
        .strip_prefix("event: response.failed\ndata: ")
        .unwrap();
    let failed: serde_json::Value = serde_json::from_str(failed.trim()).unwrap();
    assert_eq!(failed["response"]["id"], "resp_7");
    assert_eq!(failed["response"]["status"], "failed");
    assert_eq!(failed["sequence_number"], 1);
    assert!(!whole);
}

#[tokio::test]
async fn a_silent_upstream_is_covered_by_comments_and_then_timed_out() {
    let upstream = FakeUpstream::start().await;
    let settings = "timeouts = { idle = \"400ms\" }\n";
    let text = format!(
        "[server]\nkeep_alive_comment = \"100ms\"\n{}",
        config(&upstream, settings)
    );
    let aurora = aurora(&text).start().await;
    upstream.next(Reply::open_events(&["data: {\"a\":1}\n\n"]).then(Step::Hang));

    let (body, whole) = drain(aurora.chat_stream("hi").await).await;

    let text = String::from_utf8(body).unwrap();
    assert!(text.matches(": keep-alive\n\n").count() >= 2, "{text}");
    assert!(text.contains("upstream_idle_timeout"), "{text}");
    assert!(!whole);
}

#[tokio::test]
async fn each_event_is_passed_on_at_once() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let gap = Duration::from_millis(30);
    let events = FakeUpstream::chat_events("m", &["a", "b", "c", "d", "e"]);
    // The first answer warms the connections up: what hurts is the delayed acknowledgement on kept-alive ones.
    drain(aurora.chat_stream("hi").await).await;
    let mut delays = Vec::new();
    for _ in 0..5 {
        let mut reply = Reply::open_events::<&str>(&[]);
        for event in &events {
            reply = reply
                .then(Reply::chunk(event.as_bytes()))
                .then(Step::Wait(gap));
        }
        upstream.next(reply.then(Step::Send("0\r\n\r\n".into())));
        let mut response = aurora.chat_stream("hi").await;
        let mut last = Instant::now();
        while response.chunk().await.unwrap().is_some() {
            delays.push(last.elapsed());
            last = Instant::now();
        }
    }

    // Nagle with delayed acknowledgements would add 40 ms to each; the median is free of this machine's hiccups.
    delays.sort();
    let median = delays[delays.len() / 2];
    assert!(
        median < gap + Duration::from_millis(5),
        "median gap {median:?}"
    );
}

#[tokio::test]
async fn a_thousand_streams_at_once_are_all_served() {
    let upstream = FakeUpstream::with(|_| {
        let events = FakeUpstream::chat_events("m", &["a", "b"]);
        Reply::open_events(&events[..2])
            .then(Step::Wait(Duration::from_millis(1500)))
            .then(Reply::chunk(events[2..].concat().as_bytes()))
            .then(Step::Send("0\r\n\r\n".into()))
    })
    .await;
    let aurora = aurora(&config(&upstream, "max_concurrency = 2000"))
        .start()
        .await;

    let streams: Vec<_> = (0..1000)
        .map(|_| {
            let body = serde_json::json!({"model": "m", "stream": true, "messages": []});
            let request = aurora.post("/v1/chat/completions", &body);
            tokio::spawn(async move { drain(request.send().await.unwrap()).await })
        })
        .collect();

    eventually("a thousand requests under way", async || {
        aurora.status().await["in_flight"].as_u64().unwrap() >= 1000
    })
    .await;
    let expected = FakeUpstream::chat_events("m", &["a", "b"]).concat();
    for stream in streams {
        let (body, whole) = stream.await.unwrap();
        assert_eq!(body, expected.as_bytes());
        assert!(whole);
    }
}

#[tokio::test]
async fn no_stream_reaches_the_client_where_streaming_is_off() {
    let upstream = FakeUpstream::start().await;
    let text = format!("[server]\nstream = false\n{}", config(&upstream, ""));
    let aurora = aurora(&text).start().await;

    let response = aurora.chat_stream("hi").await;

    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(upstream.last().json()["stream"], false);
}

#[tokio::test]
async fn the_mock_cuts_its_streams_where_it_is_told_to() {
    let routes = routes("\"mock\"");
    let text = format!("[upstreams.mock]\nprotocol = \"mock\"\ncut_after = 2\n{routes}");
    let aurora = aurora(&text).start().await;

    let (body, whole) = drain(aurora.chat_stream("hello").await).await;

    let text = String::from_utf8(body).unwrap();
    assert_eq!(text.matches("chat.completion.chunk").count(), 2, "{text}");
    assert!(text.contains("stream_truncated"));
    assert!(!whole);
}
