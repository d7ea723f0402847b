//! Files: uploaded in three calls, asked about with the account that holds them.

use aurora_testkit::FakeChatGpt;
use aurora_testkit::chatgpt::{Fault, Host, Indexing};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::support::{Refusal, refusal};
use super::{Setup, setup};

/// A form with one file and some fields.
pub(super) fn form(file: (&str, &str, &[u8]), fields: &[(&str, &str)]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, value) in fields {
        let part = format!(
            "--b0undary\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        );
        body.extend_from_slice(part.as_bytes());
    }
    let (disposition, content_type, bytes) = file;
    let head = format!("--b0undary\r\nContent-Disposition: form-data; {disposition}\r\n");
    body.extend_from_slice(head.as_bytes());
    if !content_type.is_empty() {
        body.extend_from_slice(format!("Content-Type: {content_type}\r\n").as_bytes());
    }
    body.extend_from_slice(b"\r\n");
    body.extend_from_slice(bytes);
    body.extend_from_slice(b"\r\n--b0undary--\r\n");
    ("multipart/form-data; boundary=b0undary".to_owned(), body)
}

impl Setup {
    pub(super) async fn send_form(
        &self,
        path: &str,
        (content_type, body): (String, Vec<u8>),
    ) -> reqwest::Response {
        let url = format!("{}{path}", self.aurora.url());
        let request = self.aurora.client().post(url).body(body);
        request
            .header("content-type", content_type)
            .send()
            .await
            .unwrap()
    }

    async fn upload(&self, name: &str, content_type: &str, bytes: &[u8]) -> Value {
        let disposition = format!("name=\"file\"; filename=\"{name}\"");
        let form = form(
            (&disposition, content_type, bytes),
            &[("purpose", "assistants")],
        );
        json_of(self.send_form("/v1/files", form).await).await
    }

    async fn refused_upload(&self, bytes: &[u8]) -> Refusal {
        let form = form(
            (
                "name=\"file\"; filename=\"a.pdf\"",
                "application/pdf",
                bytes,
            ),
            &[],
        );
        refusal(self.send_form("/v1/files", form).await).await
    }
}

pub(super) async fn json_of(response: reqwest::Response) -> Value {
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_file_is_uploaded_in_three_calls_and_the_blob_store_learns_nothing() {
    let setup = setup("").await;

    let file = setup
        .upload("r\u{e9}port.pdf", "application/pdf", b"%PDF-1.4 hello")
        .await;

    let id = file["id"].as_str().unwrap();
    assert_eq!(file["file_id"], id);
    assert_eq!(
        (&file["bytes"], &file["filename"]),
        (&json!(14), &json!("r\u{e9}port.pdf"))
    );
    assert_eq!(
        (&file["purpose"], &file["object"]),
        (&json!("assistants"), &json!("file"))
    );
    assert_eq!(&setup.web.file(id).unwrap()[..], b"%PDF-1.4 hello");
    let calls: Vec<String> = setup
        .web
        .requests()
        .iter()
        .map(aurora_testkit::chatgpt::Recorded::call)
        .collect();
    assert_eq!(calls[0], "POST /files");
    assert!(calls[1].starts_with("PUT "));
    assert_eq!(calls[2], format!("POST /files/{id}/uploaded"));
    assert_eq!(
        calls[3],
        format!("GET /files/{id}"),
        "it waits for the index"
    );
    let blob = &setup.web.requests()[1];
    assert_eq!(blob.host, Host::Blob);
    for header in [
        "authorization",
        "cookie",
        "chatgpt-account-id",
        "oai-device-id",
    ] {
        assert_eq!(blob.header(header), None, "{header}");
    }
    assert_eq!(blob.header("x-ms-blob-type"), Some("BlockBlob"));
    assert_eq!(blob.header("content-type"), Some("application/pdf"));
    assert_eq!(blob.header("content-length"), Some("14"));
}

#[tokio::test]
async fn a_file_is_listed_read_asked_about_and_forgotten() {
    let setup = setup("").await;
    let file = setup.upload("a.txt", "", b"plain words").await;
    assert_eq!(file["mime_type"], "text/plain", "told by its name");
    let id = file["id"].as_str().unwrap().to_owned();

    let list = json_of(setup.aurora.get("/v1/files").send().await.unwrap()).await;
    assert_eq!(list["data"][0]["id"], id);
    let one = json_of(
        setup
            .aurora
            .get(&format!("/v1/files/{id}"))
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(one["filename"], "a.txt");
    let content = setup
        .aurora
        .get(&format!("/v1/files/{id}/content"))
        .send()
        .await
        .unwrap();
    assert_eq!(content.headers()["content-type"], "text/plain");
    assert_eq!(content.text().await.unwrap(), "plain words");

    let part = json!({"type": "input_file", "file_id": id});
    let text = json!({"type": "text", "text": "what is it?"});
    let told = setup
        .chat(
            json!({"model": "auto", "messages": [{"role": "user", "content": [part, part, text]}]}),
        )
        .await;
    assert_eq!(told.status, 200, "{}", told.message);
    let turn = setup.last_turn();
    let attachments = turn["messages"][0]["metadata"]["attachments"]
        .as_array()
        .unwrap();
    assert_eq!(attachments.len(), 1, "named twice, attached once");
    assert_eq!(attachments[0]["name"], "a.txt");
    assert_eq!(attachments[0]["size"], 11);

    let url = format!("{}/v1/files/{id}", setup.aurora.url());
    let deleted = json_of(setup.aurora.client().delete(&url).send().await.unwrap()).await;
    assert_eq!(deleted["deleted"], true);
    let gone = refusal(setup.aurora.client().get(&url).send().await.unwrap()).await;
    assert_eq!((gone.status, gone.code.as_str()), (404, "not_found"));
}

#[tokio::test]
async fn documents_wait_for_their_index() {
    let setup = setup("").await;
    setup.web.indexing(Indexing::After(2));
    setup.upload("a.pdf", "application/pdf", b"%PDF").await;
    let polls = setup
        .web
        .requests()
        .iter()
        .filter(|request| request.call().starts_with("GET /files/"))
        .count();
    assert_eq!(polls, 3);

    setup.web.indexing(Indexing::Failed);
    let failed = setup.refused_upload(b"%PDF").await;
    assert_eq!(
        (failed.status, failed.code.as_str()),
        (400, "file_upload_error")
    );
}

#[tokio::test]
async fn each_step_that_fails_is_told() {
    let setup = setup("").await;
    assert_eq!(setup.refused_upload(b"").await.code, "empty_file");

    let denied = json!({"status": "error", "error_code": "file_type_not_supported", "error_message": "File type not supported"});
    setup.web.fault("POST /files", Fault::status(200, &denied));
    let refused = setup.refused_upload(b"x").await;
    assert_eq!(
        (refused.status, refused.code.as_str()),
        (400, "file_upload_error")
    );
    assert_eq!(
        (refused.message.as_str(), refused.param.as_deref()),
        ("File type not supported", Some("file"))
    );

    setup
        .web
        .fault("PUT /**", Fault::body(403, "application/xml", "<Error/>"));
    let refused = setup.refused_upload(b"x").await;
    assert_eq!(
        (refused.status, refused.code.as_str()),
        (502, "upstream_unexpected_response")
    );

    setup.web.fault(
        "POST /files/*/uploaded",
        Fault::status(500, &json!({"detail": "oops"})).always(),
    );
    assert_eq!(
        setup.refused_upload(b"x").await.code,
        "upstream_server_error"
    );
    setup.web.clear_faults();

    let limit = json!({"detail": {"message": "You've hit your file upload limit.", "code": "file_upload_limit", "clears_in": 10800}});
    setup.web.fault("POST /files", Fault::status(429, &limit));
    let limited = setup.refused_upload(b"x").await;
    assert_eq!((limited.status, limited.retry_after), (429, Some(10800)));
    let told = setup.chat(super::asking("still there?", false)).await;
    assert_eq!(told.status, 200, "the limit is one of files alone");
}

#[tokio::test]
async fn forms_that_cannot_be_read_are_refused() {
    let setup = setup("").await;
    let no_file = form(("name=\"other\"; filename=\"a\"", "text/plain", b"x"), &[]);
    let refused = refusal(setup.send_form("/v1/files", no_file).await).await;
    assert_eq!(
        (refused.code.as_str(), refused.param.as_deref()),
        ("missing_required_parameter", Some("file"))
    );
    let cut = (
        "multipart/form-data; boundary=b".to_owned(),
        b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nx".to_vec(),
    );
    assert_eq!(
        refusal(setup.send_form("/v1/files", cut).await).await.code,
        "invalid_multipart"
    );
    let json = ("application/json".to_owned(), b"{}".to_vec());
    assert_eq!(
        refusal(setup.send_form("/v1/files", json).await).await.code,
        "invalid_content_type"
    );
    assert!(setup.web.requests().is_empty());
}

#[tokio::test]
async fn a_large_file_goes_through_in_pieces_and_leaves_nothing_behind() {
    let setup = setup("").await;
    let bytes: Vec<u8> = (0..40 << 20)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect();

    let file = setup.upload("big.bin", "application/zip", &bytes).await;

    let id = file["id"].as_str().unwrap();
    assert!(setup.web.file(id).unwrap()[..] == bytes[..]);
    let left = std::fs::read_dir(setup.aurora.path("uploads"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "the file on its way is removed");
}

#[tokio::test]
async fn pictures_in_a_chat_are_uploaded_with_their_size() {
    let setup = setup("").await;
    let png = FakeChatGpt::picture(5);
    let gif = b"GIF89a\x07\0\x08\0\0\0\0";
    let webp = b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x09\0\0\x0a\0\0";
    let url = |mime: &str, bytes: &[u8]| format!("data:{mime};base64,{}", STANDARD.encode(bytes));
    let content = json!([
        {"type": "image_url", "image_url": {"url": url("image/png", &png)}},
        {"type": "input_image", "image_url": url("image/gif", gif)},
        {"type": "image_url", "image_url": {"url": url("image/webp", webp)}},
        {"type": "text", "text": "what is this?"}]);

    let told = setup
        .chat(json!({"messages": [{"role": "user", "content": content}]}))
        .await;

    assert_eq!(told.status, 200, "{}", told.message);
    let turn = setup.last_turn();
    let parts = turn["messages"][0]["content"]["parts"].as_array().unwrap();
    let sizes: Vec<(u64, u64)> = parts[..3]
        .iter()
        .map(|part| {
            (
                part["width"].as_u64().unwrap(),
                part["height"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(sizes, [(5, 5), (7, 8), (10, 11)]);
    assert_eq!(parts[3], "what is this?");
    assert_eq!(
        turn["messages"][0]["content"]["content_type"],
        "multimodal_text"
    );
}

#[tokio::test]
async fn pictures_that_are_none_are_refused() {
    let setup = setup("").await;
    for (url, code) in [
        ("data:image/png;base64,@@", "invalid_image"),
        ("data:image/png;base64,", "invalid_image"),
        ("data:image/png;base64,aGVsbG8=", "invalid_image"),
        ("data:application/pdf;base64,JVBERg==", "invalid_image"),
        ("http://127.0.0.1:9/cat.png", "invalid_url"),
        ("http://localhost:9/cat.png", "invalid_url"),
        ("http://169.254.169.254/latest/meta-data", "invalid_url"),
    ] {
        let part = json!({"type": "image_url", "image_url": {"url": url}});
        let body = json!({"messages": [{"role": "user", "content": [part]}]});
        let refused = refusal(setup.post("/v1/chat/completions", &body).await).await;
        assert_eq!(
            (refused.status, refused.code.as_str()),
            (400, code),
            "{url}"
        );
        assert!(
            refused.message.contains("picture or file 1"),
            "{}",
            refused.message
        );
    }
    assert!(setup.web.turns().is_empty());
}
