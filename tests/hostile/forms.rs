//! Forms without end, without a border, or made of nothing: refused or passed on, and never gathered.

use std::time::{Duration, Instant};

use aurora_testkit::{Aurora, FakeChatGpt, FakeUpstream};

use super::{MIB, others_are_served};
use crate::support::{aurora, config};

struct Case {
    name: &'static str,
    content_type: &'static str,
    body: Vec<u8>,
}

const PLAIN: &str = "multipart/form-data; boundary=b";

fn cases() -> Vec<Case> {
    let case = |name, content_type, body: Vec<u8>| Case {
        name,
        content_type,
        body,
    };
    let megabytes = |text: &str| text.repeat((30 << 20) / text.len()).into_bytes();
    let file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n";
    let long = "multipart/form-data; boundary=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    let inner = "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n";
    vec![
        case(
            "endless head",
            PLAIN,
            [b"--b\r\n".to_vec(), megabytes("a: b\r\n")].concat(),
        ),
        case(
            "endless line",
            PLAIN,
            [file.as_bytes().to_vec(), b"a: ".to_vec(), megabytes("x")].concat(),
        ),
        case("endless preamble", PLAIN, megabytes("x\r\n")),
        case("nearly the border", PLAIN, megabytes("\r\n--")),
        case(
            "empty parts",
            PLAIN,
            [b"--b\r\n\r\n\r\n".repeat(1_000_000), b"--b--\r\n".to_vec()].concat(),
        ),
        case(
            "fields",
            PLAIN,
            [
                b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n".repeat(400_000),
                b"--b--\r\n".to_vec(),
            ]
            .concat(),
        ),
        case("long border", long, b"--b\r\n\r\n\r\n--b--\r\n".to_vec()),
        case(
            "no border",
            "multipart/form-data",
            b"--b\r\n\r\n\r\n--b--\r\n".to_vec(),
        ),
        case(
            "empty border",
            "multipart/form-data; boundary=\"\"",
            b"--\r\n\r\n\r\n----\r\n".to_vec(),
        ),
        case(
            "nested",
            PLAIN,
            [inner.repeat(1000).into_bytes(), b"--b--\r\n".to_vec()].concat(),
        ),
        case("cut", PLAIN, file.as_bytes().to_vec()),
        case("nothing", PLAIN, Vec::new()),
    ]
}

/// Sends every form to `path`; who answers, answers soon, and is no larger after it.
async fn survives(aurora: &Aurora, path: &str, most: u64) {
    let ready = aurora.get("/ping").send().await.unwrap();
    assert_eq!(ready.status(), 200);
    let before = aurora.resident();
    for case in cases() {
        let began = Instant::now();
        let request = aurora.client().post(format!("{}{path}", aurora.url()));
        let request = request.header("content-type", case.content_type);
        let (response, ()) = tokio::join!(request.body(case.body).send(), async {
            let ping = tokio::time::timeout(Duration::from_secs(5), aurora.get("/ping").send());
            assert_eq!(ping.await.unwrap().unwrap().status(), 200);
        });
        let response = response.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let took = began.elapsed();
        assert!(status < 500, "{path} {}: {status} {text}", case.name);
        assert!(
            took < Duration::from_secs(5),
            "{path} {}: {took:?}",
            case.name
        );
        let growth = aurora.memory_peak().saturating_sub(before);
        assert!(
            growth < most,
            "{path} {}: memory grew by {growth}",
            case.name
        );
    }
}

#[tokio::test]
async fn forms_that_are_passed_on_are_never_gathered() {
    let upstream = FakeUpstream::start().await;
    upstream.keep_bodies(false);
    let settings = "models = { whisper = \"whisper-1\" }";
    let aurora = aurora(&config(&upstream, settings)).start().await;
    for path in [
        "/v1/other",
        "/v1/audio/transcriptions",
        "/v1/files",
        "/v1/images/edits",
    ] {
        survives(&aurora, path, 24 * MIB).await;
    }
    others_are_served(&aurora).await;
}

#[tokio::test]
async fn forms_that_the_mock_reads_are_bounded_by_the_body() {
    let routes = crate::support::routes("\"mock\"");
    let text = format!("[upstreams.mock]\nprotocol = \"mock\"\n\n{routes}");
    let aurora = aurora(&text).start().await;
    for path in ["/v1/files", "/v1/audio/transcriptions"] {
        survives(&aurora, path, 160 * MIB).await;
    }
}

#[tokio::test]
async fn forms_on_their_way_to_the_chatgpt_service_are_not_gathered() {
    let web = FakeChatGpt::start().await;
    let builder = aurora(&crate::chatgpt::config(&web, ""));
    let aurora = builder
        .file("access_tokens.txt", web.account("alice"))
        .start()
        .await;
    for path in ["/v1/files", "/v1/audio/transcriptions"] {
        survives(&aurora, path, 48 * MIB).await;
    }
    assert_eq!(
        std::fs::read_dir(aurora.path("uploads")).map_or(0, Iterator::count),
        0
    );
}
