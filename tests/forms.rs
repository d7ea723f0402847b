//! Forms: streamed through, with the model's name replaced on the way where the upstream has another for it.

use aurora_testkit::FakeUpstream;

use crate::support::{aurora, config};

const BEFORE: &str = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nfast\r\n--b\r\n\
    Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nmodel=fast\r\n--b--\r\n";

/// The model comes after more of a file than the gateway looks at.
fn after() -> String {
    let file = "model=fast\r\n--".repeat(100_000);
    format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n{file}\r\n--b\r\n\
         Content-Disposition: form-data; name=\"model\"\r\n\r\nfast\r\n--b--\r\n"
    )
}

/// Posts a form to the transcription route.
async fn post(
    aurora: &aurora_testkit::Aurora,
    form: impl Into<reqwest::Body>,
    key: &str,
) -> reqwest::Response {
    let url = format!("{}/v1/audio/transcriptions", aurora.url());
    let request = aurora.client().post(url).bearer_auth(key);
    let request = request.header("content-type", "multipart/form-data; boundary=b");
    request.body(form).send().await.unwrap()
}

#[tokio::test]
async fn a_model_before_the_file_is_renamed_and_the_length_is_kept() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&config(&upstream, "models = { fast = \"whisper-1\" }"))
        .start()
        .await;

    assert_eq!(post(&aurora, BEFORE, "").await.status(), 200);

    let sent = upstream.last();
    let expected = BEFORE.replacen("\r\n\r\nfast", "\r\n\r\nwhisper-1", 1);
    assert_eq!(sent.body, expected);
    assert_eq!(
        sent.header("content-length"),
        Some(expected.len().to_string().as_str())
    );
}

#[tokio::test]
async fn a_model_after_the_file_is_renamed_too() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&config(&upstream, "models = { fast = \"whisper-1\" }"))
        .start()
        .await;

    assert_eq!(post(&aurora, after(), "").await.status(), 200);

    let sent = upstream.last();
    assert_eq!(
        sent.body,
        after().replace("\r\n\r\nfast", "\r\n\r\nwhisper-1")
    );
    assert_eq!(sent.header("transfer-encoding"), Some("chunked"));
}

#[tokio::test]
async fn a_form_without_aliases_passes_byte_for_byte() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&config(&upstream, "models = { other = \"whisper-1\" }"))
        .start()
        .await;

    post(&aurora, BEFORE, "").await;
    let before = upstream.last();
    post(&aurora, after(), "").await;

    assert_eq!(before.body, BEFORE);
    assert_eq!(
        before.header("content-length"),
        Some(BEFORE.len().to_string().as_str())
    );
    assert_eq!(upstream.last().body, after());
}

#[tokio::test]
async fn a_key_that_is_limited_to_models_must_name_one_before_the_files() {
    let upstream = FakeUpstream::start().await;
    let keys = "[auth]\nkeys = [{ name = \"a\", key = \"sk-fast\", models = [\"fast\"] }, { name = \"b\", key = \"sk-other\", models = [\"other\"] }]";
    let aurora = aurora(&format!("{keys}\n{}", config(&upstream, "")))
        .start()
        .await;

    let allowed = post(&aurora, BEFORE, "sk-fast").await;
    let other = post(&aurora, BEFORE, "sk-other").await;
    let unknown = post(&aurora, after(), "sk-fast").await;

    assert_eq!(
        [allowed.status(), other.status(), unknown.status()],
        [200, 403, 403]
    );
    assert!(unknown.text().await.unwrap().contains("before the files"));
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_model_in_a_form_leads_to_the_upstream_that_knows_it() {
    let (first, second) = (FakeUpstream::start().await, FakeUpstream::start().await);
    let text = format!(
        "[upstreams.first]\nprotocol = \"openai\"\nbase_url = \"{}\"\n[upstreams.second]\nprotocol = \"openai\"\n\
         base_url = \"{}\"\nmodels = {{ fast = \"whisper-1\" }}\n{}",
        first.url(),
        second.url(),
        crate::support::routes("[\"first\", \"second\"]")
    );
    let aurora = aurora(&text).start().await;

    assert_eq!(post(&aurora, BEFORE, "").await.status(), 200);

    assert!(first.requests().is_empty());
    assert_eq!(second.requests().len(), 1);
}
