//! Heads that two servers could read in two ways, and heads that are none: nothing in them becomes a second request.

use aurora_testkit::{Aurora, FakeUpstream};
use serde_json::Value;

use super::{MIB, impatient, others_are_served, thrown};

const SECOND: &str = "GET /v1/smuggled HTTP/1.1\r\nhost: x\r\n\r\n";

/// What the fake upstream was asked that it should not have been.
fn smuggled(upstream: &FakeUpstream) -> usize {
    let requests = upstream.requests();
    let second = requests
        .iter()
        .filter(|request| request.target.contains("smuggled"));
    second.count()
}

/// An answer is JSON with an id, whoever wrote it.
fn is_contract(answer: &str) -> bool {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    head.contains("content-type: application/json")
        && head.contains("x-request-id: ")
        && body["error"]["code"].is_string()
}

#[tokio::test]
async fn two_ways_to_frame_a_body_are_never_two_requests() {
    let upstream = FakeUpstream::start().await;
    let aurora = impatient(&upstream, "").await;
    let both = |first: &str, second: &str, body: &str| {
        format!("POST /v1/embeddings HTTP/1.1\r\nhost: x\r\n{first}\r\n{second}\r\n\r\n{body}")
    };
    let (chunked, short) = ("transfer-encoding: chunked", "content-length: 4");
    let hidden = format!("0\r\n\r\n{SECOND}");
    let whole = format!("content-length: {}", hidden.len());
    let cases = [
        both(&whole, chunked, &hidden),
        both(chunked, &whole, &hidden),
        both(
            short,
            chunked,
            &format!("{:x}\r\n{SECOND}\r\n0\r\n\r\n", SECOND.len()),
        ),
        both("content-length: 0", &whole, &hidden),
        both(&whole, "content-length: 0", SECOND),
        both("content-length: 0, 0", "a: b", SECOND),
        both("content-length: +0", "a: b", SECOND),
        both("content-length: 0x0", "a: b", SECOND),
        both("content-length: -1", "a: b", SECOND),
        both("content-length: 99999999999999999999", "a: b", SECOND),
        both("transfer-encoding: xchunked", "content-length: 0", SECOND),
        both(
            "transfer-encoding: chunked, identity",
            "content-length: 0",
            SECOND,
        ),
        both("transfer-encoding: identity", "content-length: 0", SECOND),
        both(
            "transfer-encoding: chunked",
            "transfer-encoding: identity",
            &hidden,
        ),
        both(
            "transfer-encoding:\r\n chunked",
            "content-length: 0",
            &hidden,
        ),
        both("transfer-encoding : chunked", "content-length: 0", &hidden),
        both(" transfer-encoding: chunked", "content-length: 0", &hidden),
        both("transfer-encoding: chun\0ked", "content-length: 0", &hidden),
        both("content-length : 0", "a: b", SECOND),
    ];

    for (number, case) in cases.iter().enumerate() {
        let answer = thrown(&aurora, case.as_bytes()).await;
        let answers = answer.matches("HTTP/1.1 ").count();
        assert!(answers <= 1, "{number}: {case}\n{answer}");
        assert_eq!(smuggled(&upstream), 0, "{number}: {case}\n{answer}");
    }
    others_are_served(&aurora).await;
}

#[tokio::test]
async fn two_equal_lengths_are_one() {
    let upstream = FakeUpstream::start().await;
    let aurora = impatient(&upstream, "").await;
    let head = "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 2\r\nconnection: close";

    let answer = thrown(&aurora, format!("{head}\r\n\r\n{{}}").as_bytes()).await;

    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(upstream.last().body, "{}");
    let lengths = upstream.last().headers;
    let lengths = lengths.iter().filter(|(name, _)| name == "content-length");
    assert_eq!(lengths.count(), 1);
}

#[tokio::test]
async fn bad_chunks_break_the_body_off() {
    let upstream = FakeUpstream::start().await;
    let aurora = impatient(&upstream, "").await;
    let extension = "x".repeat(1024 * 1024);
    let trailers = "a: b\r\n".repeat(200_000);
    let bodies = [
        "-1\r\n{}\r\n0\r\n\r\n".to_owned(),
        "fffffffffffffffff\r\n{}".to_owned(),
        "ffffffffffffffff\r\n{}".to_owned(),
        format!("2\r\n{{}}0\r\n\r\n{SECOND}"),
        format!("2{{}}\r\n0\r\n\r\n{SECOND}"),
        format!("0x2\r\n{{}}\r\n0\r\n\r\n{SECOND}"),
        format!("2\n{{}}\n0\n\n{SECOND}"),
        format!("2 2\r\n{{}}\r\n0\r\n\r\n{SECOND}"),
        format!("\r\n2\r\n{{}}\r\n0\r\n\r\n{SECOND}"),
        format!("2;{extension}\r\n{{}}\r\n0\r\n\r\n{SECOND}"),
        format!("2\r\n{{}}\r\n0\r\n{trailers}\r\n{SECOND}"),
        format!("2;a=\"\r\n{{}}\r\n0\r\n\r\n{SECOND}"),
    ];
    let before = aurora.resident();

    for (number, body) in bodies.iter().enumerate() {
        let head = "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked";
        let answer = thrown(&aurora, format!("{head}\r\n\r\n{body}").as_bytes()).await;
        let shown: String = body.chars().take(60).collect();
        assert!(
            answer.matches("HTTP/1.1 ").count() <= 1,
            "{number}: {shown}"
        );
        assert_eq!(smuggled(&upstream), 0, "{number}: {shown}");
        let refused = answer.starts_with("HTTP/1.1 4") && is_contract(&answer);
        let served = answer.starts_with("HTTP/1.1 200") && upstream.last().body == "{}";
        assert!(refused || served || answer.is_empty(), "{shown}: {answer}");
    }
    let growth = aurora.memory_peak().saturating_sub(before);
    assert!(growth < 16 * MIB, "memory grew by {growth}");
    others_are_served(&aurora).await;
}

async fn answers_of(aurora: &Aurora, heads: &[(&str, &str)]) {
    for (head, status) in heads {
        let answer = thrown(aurora, head.as_bytes()).await;
        assert!(answer.starts_with(status), "{head:?}: {answer}");
        assert!(
            is_contract(&answer) || status.ends_with("200"),
            "{head:?}: {answer}"
        );
    }
}

#[tokio::test]
async fn heads_that_are_none_are_refused_as_every_error_is() {
    let upstream = FakeUpstream::start().await;
    let aurora = impatient(&upstream, "").await;
    let many = format!("GET /v1/x HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(129));
    let long = format!("GET /v1/x HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(70_000));
    let endless = format!("GET /v1/x HTTP/1.1\r\na: {}", "x".repeat(1_000_000));
    let path = format!("GET /v1/{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(66_000));
    let bad = "HTTP/1.1 400";
    answers_of(
        &aurora,
        &[
            ("GET /v1/x HTTP/1.1\r\nhost: x\r\na: b\rc: d\r\n\r\n", bad),
            ("GET /v1/x HTTP/1.1\r\nhost: x\r\na b: c\r\n\r\n", bad),
            ("GET /v1/x HTTP/1.1\r\nhost: x\r\n: c\r\n\r\n", bad),
            ("GET /v1/x HTTP/1.1\r\nhost: x\r\na: b\0c\r\n\r\n", bad),
            ("GET /v1/x HTTP/1.1\r\nhost: x\r\na\0b: c\r\n\r\n", bad),
            ("GET /v1/x HTTP/1.1\r\nhost: x\r\na\r\n\r\n", bad),
            ("GET  /v1/x HTTP/1.1\r\nhost: x\r\n\r\n", bad),
            ("GET /v1/x y HTTP/1.1\r\nhost: x\r\n\r\n", bad),
            ("GET /v1/x HTTP/1.2\r\nhost: x\r\n\r\n", bad),
            ("GET /v1/x HTTP/3.0\r\nhost: x\r\n\r\n", bad),
            ("GET /v1/x\r\n\r\n", bad),
            ("GET v1/x HTTP/1.1\r\nhost: x\r\n\r\n", bad),
            ("GET /v1/x\0y HTTP/1.1\r\nhost: x\r\n\r\n", bad),
            ("\u{16}\u{3}\u{1}\r\n\r\n", bad),
            (&many, "HTTP/1.1 431"),
            (&long, "HTTP/1.1 431"),
            (&endless, "HTTP/1.1 431"),
            (&path, "HTTP/1.1 4"),
        ],
    )
    .await;
    assert!(upstream.requests().is_empty());
    others_are_served(&aurora).await;
}

#[tokio::test]
async fn a_request_cannot_choose_where_it_goes() {
    let upstream = FakeUpstream::start().await;
    let other = FakeUpstream::start().await;
    let aurora = impatient(&upstream, "").await;
    let address = other.address();
    let close = "connection: close\r\n\r\n";

    for head in [
        format!("GET http://{address}/v1/x HTTP/1.1\r\nhost: {address}\r\n{close}"),
        format!("GET /v1/x HTTP/1.1\r\nhost: {address}\r\n{close}"),
        format!("GET /v1/@{address}/x HTTP/1.1\r\nhost: a\r\n{close}"),
        format!("GET /v1/http://{address}/x HTTP/1.1\r\nhost: a\r\n{close}"),
        format!("CONNECT {address} HTTP/1.1\r\nhost: {address}\r\n{close}"),
        format!("GET /v1/x HTTP/1.1\r\nhost: a\r\nx-forwarded-host: {address}\r\n{close}"),
    ] {
        let answer = thrown(&aurora, head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 "), "{head}: {answer}");
    }

    assert_eq!(other.connections(), 0);
    for request in upstream.requests() {
        let host = upstream.address().to_string();
        assert_eq!(request.header("host"), Some(host.as_str()));
        assert!(request.target.starts_with("/v1/"), "{}", request.target);
    }
}

#[tokio::test]
async fn an_answer_in_hypers_words_inside_of_a_body_is_left_alone() {
    let upstream = FakeUpstream::start().await;
    let aurora = impatient(&upstream, "").await;
    let text = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    for _ in 0..3 {
        let kind = [("content-type", "text/plain")];
        upstream.next(aurora_testkit::Reply::new(200, &kind, text));
        let got = aurora.get("/v1/x").send().await.unwrap();
        assert_eq!(got.text().await.unwrap(), text);
    }
    // And behind an answer on the same connection the refusal is whole.
    let two = "GET /v1/x HTTP/1.1\r\nhost: x\r\n\r\nGET  / HTTP/1.1\r\n\r\n";
    let answer = thrown(&aurora, two.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let second = answer.split("HTTP/1.1 400").nth(1).unwrap();
    assert!(second.contains("invalid_request_head"), "{answer}");
}
