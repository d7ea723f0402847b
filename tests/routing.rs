//! Paths, methods and origins: who is served, and how the others are told.

use aurora_testkit::{Aurora, FakeUpstream};
use reqwest::Method;

use crate::support::{
    aurora, chat_route, config, in_front_of, refusal, upstream as upstream_table,
};

#[tokio::test]
async fn an_unknown_path_is_a_json_404() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;

    let refused = refusal(aurora.get("/v2/chat").send().await.unwrap()).await;

    assert_eq!((refused.status, refused.code.as_str()), (404, "not_found"));
    assert_eq!(refused.kind, "invalid_request_error");
    assert!(refused.message.contains("/v2/chat"), "{}", refused.message);
}

#[tokio::test]
async fn a_wrong_method_is_a_json_405_that_says_which_are_right() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let cases = [
        ("PUT", "/v1/models", "GET, HEAD, OPTIONS"),
        ("GET", "/v1/chat/completions", "POST, OPTIONS"),
        ("PATCH", "/v1/files", "DELETE, GET, HEAD, POST, OPTIONS"),
    ];

    for (method, path, allow) in cases {
        let url = format!("{}{path}", aurora.url());
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let response = aurora.client().request(method, url).send().await.unwrap();
        assert_eq!(response.headers()["allow"], allow, "{path}");
        let refused = refusal(response).await;
        assert_eq!(
            (refused.status, refused.code.as_str()),
            (405, "method_not_allowed")
        );
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn options_is_answered_with_what_is_allowed() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let url = format!("{}/v1/chat/completions", aurora.url());

    let request = aurora.client().request(Method::OPTIONS, url);
    let response = request.send().await.unwrap();

    assert_eq!(response.status(), 204);
    assert_eq!(response.headers()["allow"], "POST, OPTIONS");
    assert_eq!(response.text().await.unwrap(), "");
}

#[tokio::test]
async fn head_gives_the_head_of_get() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let get = aurora.get("/ping").send().await.unwrap();
    let length = get.headers()["content-length"].clone();
    let mut client = aurora.raw().await;

    client
        .send("HEAD /ping HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;

    let answer = client.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains(&format!("content-length: {}", length.to_str().unwrap())));
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

/// The status of a GET of `path` as written.
async fn status_of(aurora: &Aurora, path: &str) -> String {
    let mut client = aurora.raw().await;
    client
        .send(format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        ))
        .await;
    let answer = client.read_to_end().await;
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn paths_that_another_server_could_read_differently_are_refused() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let tricks = [
        "/v1/../admin",
        "/v1/files/..",
        "/v1/./files",
        "/v1/%2e%2e/admin",
        "/v1/%2E./admin",
        "/v1/.%2e/admin",
        "/v1/files/%2fetc",
        "/v1/files/a%2Fb",
        "/v1/files/a%5c..%5cb",
        "/v1/files/a\\b",
        "/v1/files/a%00b",
    ];

    for path in tricks {
        assert_eq!(status_of(&aurora, path).await, "400", "{path}");
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_refused_path_is_told_in_json() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;

    let refused = refusal(aurora.get("/v1/a%2Fb").send().await.unwrap()).await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (400, "invalid_path")
    );
}

#[tokio::test]
async fn harmless_odd_paths_reach_the_upstream_as_written() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;

    for path in [
        "/v1/a%20b",
        "/v1/a..b/c",
        "/v1/%C3%A9",
        "/v1/a:b@c",
        "/v1/x/",
    ] {
        assert_eq!(status_of(&aurora, path).await, "200", "{path}");
        assert_eq!(upstream.last().target, path);
    }
}

#[tokio::test]
async fn a_name_in_the_query_is_no_path() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;

    let path = "/v1/things?path=../../x&y=%2f%00&z";
    assert_eq!(status_of(&aurora, path).await, "200");

    assert_eq!(upstream.last().target, path);
}

#[tokio::test]
async fn the_most_specific_route_serves() {
    let (exact, rest) = (FakeUpstream::start().await, FakeUpstream::start().await);
    let text = [
        upstream_table("exact", &exact, ""),
        upstream_table("rest", &rest, ""),
        "[[routes]]\npath = \"/v1/{*rest}\"\nplugin = \"passthrough\"\nupstream = \"rest\"\n"
            .into(),
        chat_route("\"exact\"", ""),
    ];
    let aurora = aurora(&text.concat()).start().await;

    assert_eq!(aurora.chat("hi").await.status(), 200);
    assert_eq!(status_of(&aurora, "/v1/chat/other").await, "200");

    assert_eq!(exact.requests().len(), 1);
    assert_eq!(rest.last().target, "/v1/chat/other");
}

/// What a page at `origin` is told about `path`.
async fn asked_by(aurora: &Aurora, method: Method, path: &str, origin: &str) -> reqwest::Response {
    aurora
        .client()
        .request(method, format!("{}{path}", aurora.url()))
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type",
        )
        .send()
        .await
        .unwrap()
}

/// Aurora with a key, for pages at `origins`.
async fn with_cors(upstream: &FakeUpstream, origins: &str) -> Aurora {
    let text = config(upstream, "");
    let text = format!("[server]\ncors = {origins}\n[auth]\nkeys = [\"sk-1\"]\n{text}");
    aurora(&text).start().await
}

#[tokio::test]
async fn a_page_of_a_listed_origin_may_ask_before_it_has_a_key() {
    let upstream = FakeUpstream::start().await;
    let aurora = with_cors(&upstream, "[\"https://chat.example\"]").await;

    let origin = "https://chat.example";
    let response = asked_by(&aurora, Method::OPTIONS, "/v1/chat/completions", origin).await;

    assert_eq!(response.status(), 204);
    let headers = response.headers();
    assert_eq!(headers["access-control-allow-origin"], origin);
    assert_eq!(headers["access-control-allow-methods"], "POST, OPTIONS");
    assert_eq!(
        headers["access-control-allow-headers"],
        "authorization,content-type"
    );
    assert_eq!(headers["vary"], "origin");
}

#[tokio::test]
async fn a_preflight_for_a_path_of_every_method_is_answered_by_aurora() {
    let upstream = FakeUpstream::start().await;
    let aurora = with_cors(&upstream, "[\"https://chat.example\"]").await;

    let origin = "https://chat.example";
    let response = asked_by(&aurora, Method::OPTIONS, "/v1/embeddings", origin).await;

    assert_eq!(response.status(), 204);
    let methods = &response.headers()["access-control-allow-methods"];
    assert!(methods.to_str().unwrap().contains("POST"), "{methods:?}");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_page_may_read_refusals_too() {
    let upstream = FakeUpstream::start().await;
    let aurora = with_cors(&upstream, "[\"https://chat.example\"]").await;

    let origin = "https://chat.example";
    let response = asked_by(&aurora, Method::POST, "/v1/chat/completions", origin).await;

    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["access-control-allow-origin"], origin);
    let exposed = response.headers()["access-control-expose-headers"].to_str();
    assert!(exposed.unwrap().contains("x-request-id"));
}

#[tokio::test]
async fn a_page_of_another_origin_is_told_nothing() {
    let upstream = FakeUpstream::start().await;
    let aurora = with_cors(&upstream, "[\"https://chat.example\"]").await;

    for origin in ["https://evil.example", "https://chat.example.evil", "null"] {
        let response = asked_by(&aurora, Method::OPTIONS, "/v1/chat/completions", origin).await;
        let cors = |name: &reqwest::header::HeaderName| name.as_str().starts_with("access-control");
        assert!(!response.headers().keys().any(cors), "{origin}");
    }
}

#[tokio::test]
async fn any_origin_is_told_so_where_all_are_allowed() {
    let upstream = FakeUpstream::start().await;
    let aurora = with_cors(&upstream, "[\"*\"]").await;

    let response = asked_by(&aurora, Method::GET, "/ping", "https://any.example").await;

    assert_eq!(response.headers()["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn without_cors_settings_there_are_no_cors_headers() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;

    let origin = "https://chat.example";
    let response = asked_by(&aurora, Method::OPTIONS, "/v1/chat/completions", origin).await;

    assert_eq!(response.status(), 204);
    assert!(
        !response
            .headers()
            .contains_key("access-control-allow-origin")
    );
}
