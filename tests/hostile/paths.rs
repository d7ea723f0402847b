//! Paths that mean something else to another server: none is routed as another path, or sent outside of the upstream's root.

use aurora_testkit::FakeUpstream;

use super::{impatient, others_are_served, thrown};

#[tokio::test]
async fn no_path_leaves_the_root_of_its_upstream() {
    let upstream = FakeUpstream::start().await;
    let aurora = impatient(&upstream, "").await;
    let long = "x".repeat(60 * 1024);
    let paths = [
        "/v1/../admin",
        "/v1/../../etc/passwd",
        "/v1/x/../../admin",
        "/v1/%2e%2e/admin",
        "/v1/%2E%2e/admin",
        "/v1/.%2e/admin",
        "/v1/%252e%252e/admin",
        "/v1/..%2fadmin",
        "/v1/..%5cadmin",
        "/v1/..\\admin",
        "/v1/..;/admin",
        "/v1//chat/completions",
        "//v1/chat/completions",
        "/v1/chat//completions",
        "/v1/files%2f..%2fadmin",
        "/v1/x%00/admin",
        "/v1/%c0%ae%c0%ae/admin",
        "/v1/%e0%80%ae%e0%80%ae/admin",
        "/v1/%uff0e%uff0e/admin",
        "/v1/.",
        "/v1/..",
    ];

    for path in paths {
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = thrown(&aurora, head.as_bytes()).await;
        let refused = answer.contains("invalid_path") || answer.contains("invalid_request_head");
        let passed = answer.starts_with("HTTP/1.1 200") && upstream.last().target == path;
        assert!(
            (refused && answer.starts_with("HTTP/1.1 400")) || passed,
            "{path}: {answer}"
        );
        assert!(!passed || !path.contains(".."), "{path}: {answer}");
    }
    for path in [
        format!("/v1/{long}"),
        "/v1/a;b=c".into(),
        "/v1/a%20b".into(),
    ] {
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = thrown(&aurora, head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(upstream.last().target, path);
    }
    for request in upstream.requests() {
        assert!(request.target.starts_with("/v1/"), "{}", request.target);
        assert!(!request.target.contains("admin/.."), "{}", request.target);
    }
    others_are_served(&aurora).await;
}

#[tokio::test]
async fn a_path_says_the_same_over_http2() {
    let upstream = FakeUpstream::start().await;
    let aurora = impatient(&upstream, "").await;
    for path in ["/v1/%2e%2e/admin", "/v1//files", "/v1/a%2fb"] {
        let mut client = super::frames::Client::connect(&aurora).await;
        client.send(super::frames::get(1, path)).await;

        let answer = client.until_end_of(1).await;

        assert!(answer.contains("invalid_path"), "{path}: {answer}");
    }
    assert!(upstream.requests().is_empty());
}
