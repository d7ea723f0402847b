//! Bodies that cost more to read than to send: none is unpacked, and memory stays a small multiple of what may be sent.

use std::io::Write as _;
use std::time::{Duration, Instant};

use aurora_testkit::{Aurora, FakeUpstream};

use super::{MIB, impatient, others_are_served};
use crate::support::in_front_of;

/// A gigabyte of zeros in a megabyte.
fn bomb() -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&vec![0; 1 << 20]).unwrap();
    packed.finish().unwrap().repeat(1024)
}

async fn post(
    aurora: &Aurora,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (u16, String) {
    let mut request = aurora.client().post(format!("{}{path}", aurora.url()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.body(body).send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.text().await.unwrap())
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

#[tokio::test]
async fn a_packed_body_is_never_unpacked() {
    let upstream = FakeUpstream::start().await;
    upstream.keep_bodies(false);
    let aurora = in_front_of(&upstream).start().await;
    others_are_served(&aurora).await;
    let before = aurora.resident();
    let bomb = bomb();
    assert!(bomb.len() < 2 << 20);
    let packed = ("content-encoding", "gzip");
    let form = ("content-type", "multipart/form-data; boundary=b");

    for (path, kind) in [
        ("/v1/chat/completions", JSON[0]),
        ("/v1/responses", JSON[0]),
        ("/v1/embeddings", JSON[0]),
        ("/v1/anything", ("content-type", "application/octet-stream")),
        ("/v1/files", form),
        ("/v1/audio/transcriptions", form),
    ] {
        let (status, text) = post(&aurora, path, &[packed, kind], bomb.clone()).await;
        assert!(status == 200 || status == 400, "{path}: {status} {text}");
        let growth = aurora.memory_peak().saturating_sub(before);
        assert!(growth < 64 * MIB, "{path}: memory grew by {growth}");
    }
    let most = upstream
        .requests()
        .iter()
        .map(|request| request.body_length)
        .max();
    assert!(most.unwrap() <= bomb.len() + 1024, "{most:?}");
    others_are_served(&aurora).await;
}

fn nested(depth: usize) -> Vec<u8> {
    let (open, close) = ("[".repeat(depth), "]".repeat(depth));
    format!("{{\"model\":\"m\",\"messages\":{open}{close}}}").into_bytes()
}

/// Bodies that are JSON, and unkind.
fn unkind() -> Vec<(&'static str, Vec<u8>)> {
    let keys: Vec<String> = (0..1_000_000).map(|key| format!("\"k{key}\":0")).collect();
    let objects = 100_000;
    vec![
        ("depth", nested(100_000)),
        ("open", b"[".repeat(10_000_000)),
        (
            "objects",
            [
                br#"{"a":"#.repeat(objects),
                b"1".to_vec(),
                b"}".repeat(objects),
            ]
            .concat(),
        ),
        (
            "number",
            format!("{{\"model\":\"m\",\"n\":{}}}", "9".repeat(1_000_000)).into_bytes(),
        ),
        ("exponent", br#"{"model":"m","n":1e999999999}"#.to_vec()),
        (
            "keys",
            format!("{{\"model\":\"m\",{}}}", keys.join(",")).into_bytes(),
        ),
        (
            "models",
            [
                b"{".to_vec(),
                br#""model":"m","#.repeat(1_000_000),
                b"\"a\":1}".to_vec(),
            ]
            .concat(),
        ),
        (
            "escapes",
            format!("{{\"model\":\"{}\"}}", "\\u0061".repeat(2_000_000)).into_bytes(),
        ),
        ("surrogate", br#"{"model":"\ud800"}"#.to_vec()),
        ("nul", b"{\"model\":\"m\0\"}".to_vec()),
        ("bytes", b"{\"model\":\"\xff\xfe\"}".to_vec()),
    ]
}

#[tokio::test]
async fn unkind_json_is_served_or_refused_and_soon() {
    let upstream = FakeUpstream::start().await;
    upstream.keep_bodies(false);
    let aurora = in_front_of(&upstream).start().await;
    others_are_served(&aurora).await;
    let before = aurora.resident();

    for (name, body) in unkind() {
        for path in [
            "/v1/chat/completions",
            "/v1/responses",
            "/v1/embeddings",
            "/v1/images/generations",
            "/v1/audio/speech",
        ] {
            let began = Instant::now();
            let ((status, text), ()) = tokio::join!(
                post(&aurora, path, JSON, body.clone()),
                others_are_served(&aurora)
            );
            let took = began.elapsed();
            assert!(took < Duration::from_secs(5), "{name} {path}: {took:?}");
            assert!(
                status == 200 || status == 400,
                "{name} {path}: {status} {text}"
            );
            assert!(
                text.len() < 4096,
                "{name} {path}: {} bytes of answer",
                text.len()
            );
        }
    }
    let growth = aurora.memory_peak().saturating_sub(before);
    assert!(growth < 256 * MIB, "memory grew by {growth}");
}

#[tokio::test]
async fn json_of_64_mib_is_too_large_until_the_operator_says_otherwise() {
    let upstream = FakeUpstream::start().await;
    upstream.keep_bodies(false);
    let text = format!(
        "{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":\"{}\"}}]}}",
        "x".repeat(64 << 20)
    );
    let body = text.into_bytes();

    let aurora = in_front_of(&upstream).start().await;
    let (status, said) = post(&aurora, "/v1/chat/completions", JSON, body.clone()).await;
    assert_eq!(status, 413, "{said}");
    assert!(upstream.requests().is_empty());

    let aurora = impatient(&upstream, "max_body = \"80MiB\"").await;
    others_are_served(&aurora).await;
    let before = aurora.resident();
    let (status, said) = post(&aurora, "/v1/chat/completions", JSON, body.clone()).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(upstream.last().body_length, body.len());
    let growth = aurora.memory_peak().saturating_sub(before);
    assert!(growth < 200 * MIB, "memory grew by {growth}");
}
