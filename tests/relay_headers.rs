//! Which headers cross, in either direction, and what becomes of answers that are none.

use std::io::Write as _;

use aurora_testkit::{FakeUpstream, Reply, Step};
use reqwest::header::HeaderMap;
use serde_json::json;

use crate::support::{aurora, config, in_front_of, pool, refusal};

/// A chat turn with everything that a client and the proxies before it may send.
async fn sent(settings: &str) -> aurora_testkit::Recorded {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&config(&upstream, settings)).start().await;
    let headers = [
        ("authorization", "Bearer sk-client"),
        ("x-api-key", "sk-client"),
        ("api-key", "sk-client"),
        ("proxy-authorization", "Basic abc"),
        ("cookie", "session=1"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-real-ip", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
        ("via", "1.1 somewhere"),
        ("origin", "https://page.example"),
        ("referer", "https://page.example/secret"),
        ("openai-organization", "org-client"),
        ("openai-beta", "assistants=v2"),
        ("x-custom", "1"),
        ("te", "trailers"),
        ("user-agent", "client/1.0"),
        ("accept", "application/json"),
        ("idempotency-key", "i-1"),
    ];
    let mut request = aurora.post("/v1/chat/completions", &json!({"model": "m"}));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    assert_eq!(request.send().await.unwrap().status(), 200);
    upstream.last()
}

#[tokio::test]
async fn an_upstreams_request_is_built_from_empty() {
    let seen = sent("").await;

    let names: Vec<&str> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    let expected = [
        "accept",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "user-agent",
    ];
    assert_eq!(sorted, expected);
    assert!(seen.header("user-agent").unwrap().starts_with("aurora/"));
}

#[tokio::test]
async fn the_host_is_the_upstreams() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;

    let request = aurora.post("/v1/chat/completions", &json!({"model": "m"}));
    request
        .header("host", "gateway.example")
        .send()
        .await
        .unwrap();

    assert_eq!(
        upstream.last().header("host"),
        Some(upstream.address().to_string().as_str())
    );
}

#[tokio::test]
async fn headers_that_the_config_lists_are_passed_on() {
    let seen = sent("forward_headers = [\"openai-beta\", \"x-custom\"]").await;

    assert_eq!(seen.header("openai-beta"), Some("assistants=v2"));
    assert_eq!(seen.header("x-custom"), Some("1"));
    assert_eq!(seen.header("openai-organization"), None);
}

#[tokio::test]
async fn the_pools_token_is_added_and_the_clients_key_is_not() {
    let seen = sent(&pool(&["sk-pool"])).await;

    let given: Vec<&(String, String)> = seen
        .headers
        .iter()
        .filter(|(name, _)| name == "authorization")
        .collect();
    assert_eq!(
        given,
        [&("authorization".to_owned(), "Bearer sk-pool".to_owned())]
    );
    assert!(!format!("{seen:?}").contains("sk-client"));
}

/// What a client sees of an answer with `headers`.
async fn shown(headers: &[(&str, &str)]) -> HeaderMap {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    upstream.next(Reply::new(200, headers, "{}"));
    aurora.chat("hi").await.headers().clone()
}

#[tokio::test]
async fn useful_headers_of_an_upstream_reach_the_client() {
    let useful = [
        ("content-type", "application/json"),
        ("retry-after", "7"),
        ("x-ratelimit-remaining-requests", "9"),
        ("x-ratelimit-reset-tokens", "6m0s"),
        ("openai-processing-ms", "12"),
        ("openai-version", "2020-10-01"),
        ("openai-model", "m-2"),
        ("etag", "\"e\""),
        ("content-language", "de"),
    ];

    let headers = shown(&useful).await;

    for (name, value) in useful {
        assert_eq!(headers[name], value, "{name}");
    }
}

#[tokio::test]
async fn what_names_the_operators_account_or_the_upstreams_insides_does_not() {
    let hidden = [
        ("set-cookie", "__cf_bm=1; path=/"),
        ("server", "cloudflare"),
        ("openai-organization", "org-operator"),
        ("openai-project", "proj-operator"),
        ("cf-ray", "123"),
        ("via", "1.1 inside"),
        ("x-powered-by", "php"),
        ("alt-svc", "h3=\":443\""),
        ("strict-transport-security", "max-age=1"),
        ("access-control-allow-origin", "*"),
        ("www-authenticate", "Bearer"),
        ("location", "http://inside"),
        ("keep-alive", "timeout=5"),
    ];

    let headers = shown(&hidden).await;

    for (name, _) in hidden {
        assert!(!headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn the_upstreams_request_id_is_shown_beside_auroras() {
    let headers = shown(&[("x-request-id", "req_upstream")]).await;

    assert_eq!(headers["x-upstream-request-id"], "req_upstream");
    assert!(
        headers["x-request-id"]
            .to_str()
            .unwrap()
            .starts_with("req_")
    );
    assert_ne!(headers["x-request-id"], "req_upstream");
    assert_eq!(headers.get_all("x-request-id").iter().count(), 1);
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

#[tokio::test]
async fn a_packed_answer_is_passed_on_packed() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let packed = gzip("{\"packed\":true}");
    upstream.next(Reply::new(200, &[("content-encoding", "gzip")], &packed));

    let request = aurora.post("/v1/chat/completions", &json!({"model": "m"}));
    let response = request
        .header("accept-encoding", "br, gzip, deflate")
        .send()
        .await
        .unwrap();

    assert_eq!(upstream.last().header("accept-encoding"), Some("gzip"));
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.bytes().await.unwrap(), packed);
}

#[tokio::test]
async fn nobody_who_does_not_ask_for_it_gets_a_packed_answer() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;

    aurora.chat("hi").await;

    assert_eq!(upstream.last().header("accept-encoding"), None);
}

#[tokio::test]
async fn a_packed_error_is_unpacked_and_read() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let said = "{\"error\":{\"message\":\"too long\"}}";
    let headers = [
        ("content-encoding", "gzip"),
        ("content-type", "application/json"),
    ];
    upstream.next(Reply::new(400, &headers, gzip(said)));

    let response = aurora.chat("hi").await;

    assert_eq!(response.status(), 400);
    assert!(!response.headers().contains_key("content-encoding"));
    assert_eq!(response.text().await.unwrap(), said);
}

#[tokio::test]
async fn a_packed_request_is_passed_on_packed() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let packed = gzip("{\"packed\":true}");

    let request = aurora.client().post(format!("{}/v1/other", aurora.url()));
    let request = request.header("content-type", "application/json");
    let request = request
        .header("content-encoding", "gzip")
        .body(packed.clone());
    assert_eq!(request.send().await.unwrap().status(), 200);

    assert_eq!(upstream.last().header("content-encoding"), Some("gzip"));
    assert_eq!(upstream.last().body, packed);
}

/// The code of the error that a client gets where the upstream answers with `reply` each time.
async fn code_of(reply: Reply) -> (u16, String) {
    let upstream = FakeUpstream::with(move |_| reply.clone()).await;
    let aurora = in_front_of(&upstream).start().await;
    let refused = refusal(aurora.chat("hi").await).await;
    assert!(
        !refused.message.contains("127.0.0.1"),
        "{}",
        refused.message
    );
    (refused.status, refused.code)
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = FakeUpstream::start().await;
    let location = format!("{}/chat/completions", elsewhere.url());

    for status in [301, 302, 303, 307, 308] {
        let reply = Reply::new(status, &[("location", &location)], "");
        assert_eq!(
            code_of(reply).await,
            (502, "upstream_error".to_owned()),
            "{status}"
        );
    }

    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_web_page_where_an_answer_should_be_is_an_error() {
    let page = Reply::new(
        200,
        &[("content-type", "text/html; charset=utf-8")],
        "<html>Welcome</html>",
    );
    assert_eq!(code_of(page).await, (502, "upstream_error".to_owned()));
}

#[tokio::test]
async fn garbage_where_an_answer_should_be_is_an_error() {
    for garbage in [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "\u{0}\u{1}\u{2}\u{3}\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
    ] {
        let reply = Reply::raw(vec![Step::Send(garbage.into())]);
        assert_eq!(
            code_of(reply).await,
            (502, "upstream_error".to_owned()),
            "{garbage:?}"
        );
    }
}

#[tokio::test]
async fn an_oversized_head_of_an_upstream_is_an_error() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(1024 * 1024));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(1000));

    for head in [long, many] {
        let reply = Reply::raw(vec![Step::Send(head.into())]);
        assert_eq!(code_of(reply).await, (502, "upstream_error".to_owned()));
    }
}

#[tokio::test]
async fn an_upstream_that_closes_without_a_word_is_unreachable() {
    let reply = Reply::raw(vec![Step::Close]);
    assert_eq!(
        code_of(reply).await,
        (502, "upstream_unreachable".to_owned())
    );
}

#[tokio::test]
async fn a_short_json_answer_that_breaks_off_is_asked_for_once_more() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let half =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"id\":";
    upstream.next(Reply::raw(vec![Step::Send(half.into())]));

    let response = aurora.chat("hi").await;

    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-aurora-attempts"], "2");
    aurora.wait_for_output("failed=\"fake=truncated\"").await;
}

#[tokio::test]
async fn a_long_answer_that_breaks_off_is_a_broken_transfer() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{\"id\":";
    upstream.next(Reply::raw(vec![Step::Send(half.into())]));

    let response = aurora.chat("hi").await;

    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err());
    aurora.wait_for_output("end=\"truncated\"").await;
}
