//! The config that comes with Aurora: a whole gateway over the built-in upstream, with nothing else needed.

use aurora_testkit::Aurora;
use base64::Engine as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{aurora, refusal, routes};

/// Aurora with the config that it comes with.
async fn shipped() -> Aurora {
    aurora(include_str!("../aurora.toml")).start().await
}

/// Reads an answer of the mock: its status must be 200, and it must say who it is.
async fn body(request: reqwest::RequestBuilder) -> (String, Vec<u8>) {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.bytes().await.unwrap().to_vec();
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    assert_eq!(headers["x-aurora-upstream"], "mock");
    (headers["content-type"].to_str().unwrap().to_owned(), body)
}

async fn json_of(request: reqwest::RequestBuilder) -> Value {
    let (kind, body) = body(request).await;
    assert_eq!(kind, "application/json");
    serde_json::from_slice(&body).unwrap()
}

/// A form with `fields` and a file called `name`.
fn form_with(
    name: &str,
    aurora: &Aurora,
    path: &str,
    fields: &[(&str, &str)],
    file: &[u8],
) -> reqwest::RequestBuilder {
    let mut body = Vec::new();
    for (name, value) in fields {
        let part =
            format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    let part = format!(
        "--b\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"a.wav\"\r\n\r\n"
    );
    body.extend_from_slice(part.as_bytes());
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--b--\r\n");
    let request = aurora.client().post(format!("{}{path}", aurora.url()));
    request
        .header("content-type", "multipart/form-data; boundary=b")
        .body(body)
}

/// A form with `fields` and a `file`.
fn form(
    aurora: &Aurora,
    path: &str,
    fields: &[(&str, &str)],
    file: &[u8],
) -> reqwest::RequestBuilder {
    form_with("file", aurora, path, fields, file)
}

#[tokio::test]
async fn chat_says_what_it_received() {
    let aurora = shipped().await;
    let ask =
        json!({"model": "any", "messages": [{"role": "user", "content": "what about tuesday"}]});

    let answer = json_of(aurora.post("/v1/chat/completions", &ask)).await;

    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "any");
    let choice = &answer["choices"][0];
    assert_eq!(
        (choice["finish_reason"].as_str(), choice["index"].as_u64()),
        (Some("stop"), Some(0))
    );
    let text = choice["message"]["content"].as_str().unwrap();
    assert!(text.contains("what about tuesday"), "{text}");
    assert!(answer["usage"]["total_tokens"].as_u64().unwrap() > 3);
}

#[tokio::test]
async fn chat_streams_the_same_words() {
    let aurora = shipped().await;
    let ask = |stream: bool| json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "hello"}]});
    let whole = json_of(aurora.post("/v1/chat/completions", &ask(false))).await;

    let (kind, stream) = body(aurora.post("/v1/chat/completions", &ask(true))).await;

    assert!(kind.starts_with("text/event-stream"), "{kind}");
    let stream = String::from_utf8(stream).unwrap();
    let events: Vec<&str> = stream.split_terminator("\n\n").collect();
    let (done, events) = events.split_last().unwrap();
    assert_eq!(*done, "data: [DONE]");
    let said = |event: &&str| {
        let event: Value = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(event["object"], "chat.completion.chunk");
        event["choices"][0]["delta"]["content"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let words: String = events.iter().map(said).collect();
    assert_eq!(
        words,
        whole["choices"][0]["message"]["content"].as_str().unwrap()
    );
    assert!(events.len() > 2);
}

#[tokio::test]
async fn responses_are_served_through_chat() {
    let aurora = shipped().await;

    let request = aurora.post(
        "/v1/responses",
        &json!({"model": "m", "input": "hello there"}),
    );
    let response = request.send().await.unwrap();

    assert_eq!(response.status(), 200);
    let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(
        (answer["object"].as_str(), answer["status"].as_str()),
        (Some("response"), Some("completed"))
    );
    assert_eq!(answer["output"][0]["content"][0]["type"], "output_text");
    let id = answer["id"].as_str().unwrap();
    let kept = aurora
        .get(&format!("/v1/responses/{id}"))
        .send()
        .await
        .unwrap();
    assert_eq!(kept.status(), 200);
}

#[tokio::test]
async fn models_are_listed_and_found() {
    let aurora = shipped().await;
    let get = async |path: &str| -> Value {
        let text = aurora.get(path).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap()
    };

    let list = get("/v1/models").await;

    assert_eq!(list["object"], "list");
    let id = list["data"][0]["id"].as_str().unwrap();
    assert_eq!(get(&format!("/v1/models/{id}")).await["object"], "model");
}

#[tokio::test]
async fn embeddings_are_vectors_and_the_same_each_time() {
    let aurora = shipped().await;
    let ask = json!({"model": "e", "input": ["one", "two"], "dimensions": 8});

    let one = json_of(aurora.post("/v1/embeddings", &ask)).await;
    let two = json_of(aurora.post("/v1/embeddings", &ask)).await;

    assert_eq!(one["data"].as_array().unwrap().len(), 2);
    assert_eq!(one["data"][1]["embedding"].as_array().unwrap().len(), 8);
    assert_ne!(one["data"][0]["embedding"], one["data"][1]["embedding"]);
    assert_eq!(one["data"], two["data"]);
}

#[tokio::test]
async fn completions_and_moderations_are_answered() {
    let aurora = shipped().await;

    let text =
        json_of(aurora.post("/v1/completions", &json!({"model": "m", "prompt": "say"}))).await;
    let judged = json_of(aurora.post("/v1/moderations", &json!({"input": "be nice"}))).await;

    assert_eq!(text["object"], "text_completion");
    assert!(!text["choices"][0]["text"].as_str().unwrap().is_empty());
    assert_eq!(judged["results"][0]["flagged"], false);
}

/// The PNG in an images answer.
fn png(answer: &Value) -> Vec<u8> {
    let text = answer["data"][0]["b64_json"].as_str().unwrap();
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}

#[tokio::test]
async fn images_are_drawn_edited_and_varied() {
    let aurora = shipped().await;
    let ask = |prompt: &str| json!({"prompt": prompt, "size": "64x64"});

    let boat = json_of(aurora.post("/v1/images/generations", &ask("a boat"))).await;
    let tree = json_of(aurora.post("/v1/images/generations", &ask("a tree"))).await;
    let image = png(&boat);

    assert!(image.starts_with(b"\x89PNG\r\n\x1a\n"));
    assert_ne!(image, png(&tree));
    for (path, fields) in [
        ("/v1/images/edits", [("prompt", "red")].as_slice()),
        ("/v1/images/variations", &[]),
    ] {
        let request = form_with("image", &aurora, path, fields, &image);
        assert!(
            png(&json_of(request).await).starts_with(b"\x89PNG"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn speech_is_a_sound_file() {
    let aurora = shipped().await;
    let ask = |format: &str| json!({"model": "t", "voice": "v", "input": "hello", "response_format": format});

    let (kind, wav) = body(aurora.post("/v1/audio/speech", &ask("wav"))).await;
    let (other, mp3) = body(aurora.post("/v1/audio/speech", &ask("mp3"))).await;

    assert_eq!((kind.as_str(), other.as_str()), ("audio/wav", "audio/mpeg"));
    assert_eq!(
        (&wav[..4], &wav[8..12]),
        (b"RIFF".as_slice(), b"WAVE".as_slice())
    );
    assert_eq!(mp3[0], 0xff);
}

#[tokio::test]
async fn sound_is_transcribed_and_translated() {
    let aurora = shipped().await;

    for path in ["/v1/audio/transcriptions", "/v1/audio/translations"] {
        let answer = json_of(form(&aurora, path, &[("model", "w")], b"RIFFnoise")).await;
        assert!(
            answer["text"].as_str().unwrap().contains("a.wav"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn files_are_kept_read_and_deleted() {
    let aurora = shipped().await;

    let file = json_of(form(
        &aurora,
        "/v1/files",
        &[("purpose", "user_data")],
        b"content",
    ))
    .await;
    let id = file["id"].as_str().unwrap();
    let one = json_of(aurora.get(&format!("/v1/files/{id}"))).await;
    let (_, content) = body(aurora.get(&format!("/v1/files/{id}/content"))).await;
    let list = json_of(aurora.get("/v1/files")).await;
    let delete = aurora
        .client()
        .delete(format!("{}/v1/files/{id}", aurora.url()));
    let deleted = json_of(delete).await;

    assert_eq!(
        (file["bytes"].as_u64(), &file["filename"]),
        (Some(7), &json!("a.wav"))
    );
    assert_eq!(one, file);
    assert_eq!(content, b"content");
    assert_eq!(list["data"][0]["id"], id);
    assert_eq!(deleted["deleted"], true);
    let gone = aurora.get(&format!("/v1/files/{id}")).send().await.unwrap();
    assert_eq!(gone.status(), 404);
}

#[tokio::test]
async fn files_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = format!("--data-dir={}", folder.path().display());
    let start = || aurora(include_str!("../aurora.toml")).arg(&data).start();
    let mut first = start().await;
    let file = json_of(form(&first, "/v1/files", &[], b"content")).await;
    first.signal("TERM").await;
    assert_eq!(first.wait_for_exit().await, Some(0));

    let second = start().await;

    let path = format!("/v1/files/{}/content", file["id"].as_str().unwrap());
    assert_eq!(body(second.get(&path)).await.1, b"content");
}

#[tokio::test]
async fn two_clients_do_not_see_each_others_files() {
    let text = format!(
        "[auth]\nkeys = [\"sk-ann\", \"sk-bob\"]\n[upstreams.mock]\nprotocol = \"mock\"\n{}",
        routes("\"mock\"")
    );
    let aurora = aurora(&text).start().await;
    let upload = form(&aurora, "/v1/files", &[], b"secret plans");
    let file = json_of(upload.header("authorization", "sk-ann")).await;
    let id = file["id"].as_str().unwrap();
    let (one, content) = (format!("/v1/files/{id}"), format!("/v1/files/{id}/content"));
    let send = async |method: Method, key: &str, path: &str| {
        let request = aurora
            .client()
            .request(method, format!("{}{path}", aurora.url()));
        let response = request.header("authorization", key).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };

    assert_eq!(send(Method::GET, "sk-bob", &one).await.0, 404);
    assert_eq!(send(Method::GET, "sk-bob", &content).await.0, 404);
    assert_eq!(send(Method::DELETE, "sk-bob", &one).await.0, 404);
    assert!(
        !send(Method::GET, "sk-bob", "/v1/files")
            .await
            .1
            .contains(id)
    );

    let mine = send(Method::GET, "sk-ann", &content).await;
    assert_eq!(mine, (200, "secret plans".to_owned()));
    assert!(
        send(Method::GET, "sk-ann", "/v1/files")
            .await
            .1
            .contains(id)
    );
}

#[tokio::test]
async fn what_the_mock_does_not_serve_is_a_json_404() {
    let aurora = shipped().await;

    let refused = refusal(aurora.get("/v1/assistants").send().await.unwrap()).await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (404, "unknown_endpoint")
    );
}

#[tokio::test]
async fn a_mistake_in_a_request_names_the_field() {
    let aurora = shipped().await;

    let request = aurora.post("/v1/chat/completions", &json!({"messages": []}));
    let refused = refusal(request.send().await.unwrap()).await;

    assert_eq!(
        (refused.status, refused.param.as_deref()),
        (400, Some("model"))
    );
}

#[tokio::test]
async fn tokens_are_exchanged_only_where_the_upstream_can() {
    let config = "[upstreams.mock]\nprotocol = \"mock\"\n\
                  [[routes]]\npath = \"/auth/{*rest}\"\nplugin = \"auth\"\nupstream = \"mock\"\n";
    let aurora = aurora(config).start().await;

    let request = aurora.post("/auth/refresh", &json!({"refresh_token": "r"}));
    let refused = refusal(request.send().await.unwrap()).await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (501, "unsupported_operation")
    );
}
