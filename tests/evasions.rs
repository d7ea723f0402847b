//! What clients try in order to get more than they may: every way is closed, and nothing reaches an upstream.

use aurora_testkit::{Aurora, FakeUpstream};
use reqwest::Method;

use crate::support::{aurora, config, pool, refusal};

/// Aurora with one key that may use `small` alone.
async fn limited(upstream: &FakeUpstream) -> Aurora {
    let auth = "[auth]\nkeys = [{ name = \"ann\", key = \"sk-ann\", models = [\"small\"] }]\n";
    aurora(&format!("{auth}{}", config(upstream, "")))
        .start()
        .await
}

async fn post(aurora: &Aurora, path: &str, kind: &str, body: String) -> reqwest::Response {
    let url = format!("{}{path}", aurora.url());
    let request = aurora.client().post(url).bearer_auth("sk-ann");
    let request = request.header("content-type", kind).body(body);
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_second_model_in_other_letters_is_refused() {
    // Servers written in Go, such as Ollama, take `MODEL` for `model`, and the last one wins.
    let upstream = FakeUpstream::start().await;
    let aurora = limited(&upstream).await;

    for second in ["MODEL", "Model", "m\\u004fdel", "model"] {
        for path in ["/v1/chat/completions", "/v1/embeddings", "/v1/responses"] {
            let body = format!("{{\"model\":\"small\",\"input\":\"\",\"{second}\":\"large\"}}");
            let answer = post(&aurora, path, "application/json", body).await;
            let refused = refusal(answer).await;
            assert!(
                [400, 403].contains(&refused.status),
                "{second} {path}: {}",
                refused.status
            );
        }
    }
    assert!(upstream.requests().is_empty());
}

/// A form of fields, each with its head.
fn form(fields: &[(&str, &str)]) -> String {
    let part = |(head, value): &(&str, &str)| {
        format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
    };
    let parts: Vec<String> = fields.iter().map(part).collect();
    format!("{}--b--\r\n", parts.concat())
}

#[tokio::test]
async fn a_form_names_its_model_once() {
    // Most servers take the last field of a name.
    let upstream = FakeUpstream::start().await;
    let aurora = limited(&upstream).await;
    let (path, kind) = (
        "/v1/audio/transcriptions",
        "multipart/form-data; boundary=b",
    );
    let (small, file) = (
        ("name=\"model\"", "small"),
        ("name=\"file\"; filename=\"a.wav\"", "RIFF"),
    );
    let seconds = [
        "name=\"model\"",
        "name=model",
        "name=\"model\"; filename=\"x\"",
        "name=\"model\"; x=\";name=other\"",
        "NAME = \"model\"",
    ];

    for second in seconds {
        let body = form(&[small, file, (second, "large")]);
        let refused = refusal(post(&aurora, path, kind, body).await).await;
        assert_eq!(refused.status, 400, "{second}");
    }
    // Behind a head that is too long to be read.
    let long = format!("x=\"{}\"; name=\"model\"", "x".repeat(20_000));
    let hidden = form(&[small, file, (&long, "large")]);
    let refused = refusal(post(&aurora, path, kind, hidden).await).await;
    assert_eq!(refused.status, 400);

    let whole = |requests: Vec<aurora_testkit::Recorded>| {
        requests
            .iter()
            .filter(|request| request.body.ends_with(b"--b--\r\n"))
            .count()
    };
    assert_eq!(whole(upstream.requests()), 0);
    let body = form(&[
        small,
        file,
        ("name=\"prompt\"", "model"),
        ("name=\"models\"", "large"),
    ]);
    assert_eq!(post(&aurora, path, kind, body).await.status(), 200);
    assert_eq!(whole(upstream.requests()), 1);
}

#[tokio::test]
async fn trace_is_no_way_to_see_the_upstreams_token() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&config(&upstream, &pool(&["sk-operator"])))
        .start()
        .await;

    let url = format!("{}/v1/anything", aurora.url());
    let request = aurora.client().request(Method::TRACE, url);
    let refused = refusal(request.send().await.unwrap()).await;

    assert_eq!(refused.status, 405);
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn an_emptied_key_file_opens_nothing() {
    let upstream = FakeUpstream::start().await;
    let text = format!(
        "[auth]\nkeys_file = \"clients.txt\"\n{}",
        config(&upstream, "")
    );
    let with = |content: &str| aurora(&text).file("clients.txt", content);

    let aurora = with("sk-right\n").start().await;
    aurora.write("clients.txt", "# all gone\n");
    let (status, _) = aurora.admin("POST", "/reload").await;
    let answer = aurora.chat("hi").await;

    assert_eq!((status, answer.status().as_u16()), (422, 401));
    let (code, said) = with("").run_to_end().await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("clients.txt"), "{said}");
    assert!(upstream.requests().is_empty());
}
