//! No secret ever comes out: not in logs at any level, not in answers, not in status, not in reports.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use aurora_testkit::{Aurora, FakeUpstream, Reply, Step};
use serde_json::json;

use crate::support::aurora;

/// Every secret of these tests has this in it.
const MARK: &str = "hunter2";

/// A config with secrets wherever one can be, before an upstream and a dead proxy.
fn config(upstream: &FakeUpstream) -> String {
    let url = upstream.url();
    format!(
        r#"
[auth]
keys = ["sk-hunter2-client", {{ name = "ann", key = "sk-hunter2-ann", models = ["small"] }}, {{ env = "TEAM_KEY" }}]
keys_file = "keys.txt"

[tokens.file]
file = "tokens.txt"
probe_dead = "1ms"
cooldown = "1ms"
[tokens.env]
env = "UPSTREAM_KEYS"
probe_dead = "1ms"
cooldown = "1ms"
[tokens.values]
values = ["sk-hunter2-value", {{ file = "one.key" }}]
probe_dead = "1ms"
cooldown = "1ms"

[upstreams.one]
protocol = "openai"
base_url = "{url}"
tokens = "file"
[upstreams.two]
protocol = "openai"
base_url = "{url}"
tokens = "env"
[upstreams.three]
protocol = "openai"
base_url = "http://127.0.0.1:9/v1"
tokens = "values"
proxy = "http://hunter2-user:hunter2-password@127.0.0.1:9"

[[routes]]
path = "/v1/chat/completions"
plugin = "chat"
upstream = ["one", "two", "three"]
debug_headers = true
retry = {{ attempts = 2 }}

[[routes]]
path = "/v1/{{*rest}}"
plugin = "passthrough"
upstream = ["one", "three"]
"#
    )
}

async fn started(upstream: &FakeUpstream, format: &str) -> Aurora {
    aurora(&config(upstream))
        .file("keys.txt", "sk-hunter2-line\n")
        .file("tokens.txt", "sk-hunter2-file-1\nsk-hunter2-file-2\n")
        .file("one.key", "sk-hunter2-one\n")
        .file(".env", "TEAM_KEY=sk-hunter2-team\n")
        .env("UPSTREAM_KEYS", "sk-hunter2-env")
        .env("Authorization", "sk-hunter2-historic")
        .env("AURORA_LOG", "trace")
        .env("AURORA_LOG_FORMAT", format)
        .start()
        .await
}

/// What an upstream can answer: status and content type.
const ANSWERS: [(u16, &str); 11] = [
    (400, "application/json"),
    (401, "application/json"),
    (402, "application/json"),
    (403, "application/json"),
    (403, "text/html"),
    (404, "application/json"),
    (422, "application/json"),
    (429, "application/json"),
    (500, "application/json"),
    (503, "application/json"),
    (503, "text/html"),
];

/// An upstream that tells everybody what it was sent, with one status after the other.
async fn telltale() -> FakeUpstream {
    let next = AtomicUsize::new(0);
    FakeUpstream::with(move |request| {
        let (status, kind) = ANSWERS[next.fetch_add(1, Ordering::Relaxed) % ANSWERS.len()];
        let given = request.header("authorization").unwrap_or("none");
        let said =
            json!({"error": {"message": format!("bad key {given}"), "code": given, "x": [given]}});
        Reply::new(status, &[("content-type", kind)], said.to_string())
    })
    .await
}

/// Everything of an answer that a client sees.
async fn all(response: reqwest::Result<reqwest::Response>) -> String {
    let response = response.unwrap();
    let head = format!("{} {:?}", response.status(), response.headers());
    head + &response
        .text()
        .await
        .unwrap_or_else(|error| format!("{error:?}"))
}

/// Provokes every kind of failure and gathers all answers.
async fn provoked(aurora: &Aurora, upstream: &FakeUpstream) -> String {
    let turn = async |key: &str, path: &str| {
        let request = aurora.post(path, &json!({"model": "m"}));
        all(request.header("authorization", key).send().await).await
    };
    let chat = "/v1/chat/completions";
    let mut said = String::new();
    for _ in 0..2 * ANSWERS.len() {
        said += &turn("sk-hunter2-client", chat).await;
    }
    for reply in [
        Reply::raw(vec![Step::Reset]),
        Reply::raw(vec![Step::Send("sk garbage\r\n\r\n".into())]),
        Reply::open_events(&["data: {\"a\":1}\n\n"]).then(Step::Close),
    ] {
        upstream.next(reply);
        said += &turn("Bearer sk-hunter2-team", chat).await;
    }
    for key in [
        "sk-hunter2-wrong",
        "Bearer sk-hunter2-client2",
        "Basic aHVudGVyMg== sk-hunter2",
        "sk-hunter2-ann",
    ] {
        said += &turn(key, chat).await;
        said += &turn(key, "/v1/embeddings?api_key=sk-hunter2-query").await;
    }
    said
}

#[tokio::test]
async fn nothing_that_is_written_or_answered_has_a_secret_in_it() {
    for format in ["text", "json"] {
        let upstream = telltale().await;
        let aurora = started(&upstream, format).await;

        let mut said = provoked(&aurora, &upstream).await;
        assert!(
            format!("{:?}", upstream.requests()).contains("sk-hunter2-file-2"),
            "tokens were used"
        );
        assert!(said.contains("[redacted]"), "they were told of");
        for path in ["/status", "/ready", "/health", "/nowhere"] {
            write!(said, "{:?}", aurora.admin("GET", path).await).unwrap();
        }
        said += &aurora.metrics().await;
        // Lines keep their order: behind this one, all are written.
        aurora.get("/the-last").send().await.unwrap();
        aurora.wait_for_output("/the-last").await;
        said += &aurora.output();

        let line = said.lines().find(|line| line.contains(MARK));
        assert_eq!(line, None, "{format}");
    }
}

#[tokio::test]
async fn a_broken_reload_shows_the_line_and_not_the_secret_in_it() {
    let upstream = FakeUpstream::start().await;
    let good = config(&upstream);
    let broken = [
        good.replace(
            "values = [\"sk-hunter2-value\"",
            "values = [sk-hunter2-value",
        ),
        good.replace(
            "values = [\"sk-hunter2-value\"",
            "values = [\"sk-hunter2-value",
        ),
        good.replace(
            "keys = [\"sk-hunter2-client\"",
            "keys = [3, \"sk-hunter2-client\"",
        ),
        good.replace("key = \"sk-hunter2-ann\"", "kye = \"sk-hunter2-ann\""),
        good.replace("@127.0.0.1:9", "@127.0.0.1:port"),
        good.replace("tokens = \"file\"", "tokens = \"sk-hunter2-pasted\""),
        good.replace(
            "env = \"UPSTREAM_KEYS\"",
            "env = \"UNSET_KEYS\", x = \"sk-hunter2\"",
        ),
    ];
    let aurora = started(&upstream, "text").await;

    for text in broken {
        aurora.write("aurora.toml", &text);
        let (status, report) = aurora.admin("POST", "/reload").await;
        assert_eq!(status, 422, "{text}");
        let said = report.to_string() + &aurora.status().await.to_string() + &aurora.output();
        assert!(said.contains("aurora.toml:"), "{said}");
        let line = said.lines().find(|line| line.contains(MARK));
        assert_eq!(line, None, "{text}");
    }
}

#[tokio::test]
async fn a_broken_token_file_is_told_by_line_and_not_by_content() {
    let upstream = FakeUpstream::start().await;
    let aurora = started(&upstream, "text").await;

    aurora.write(
        "tokens.txt",
        "sk-hunter2-file-1\nsk-hunter2 two words\nsk-hunter2-\u{7}bell\n",
    );
    let (status, report) = aurora.admin("POST", "/reload").await;

    assert_eq!(status, 422, "{report}");
    let said = report.to_string() + &aurora.output();
    assert!(said.contains("tokens.txt"), "{said}");
    assert!(!said.contains(MARK), "{said}");
}
