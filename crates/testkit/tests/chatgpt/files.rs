//! Uploads and downloads.

use aurora_testkit::FakeChatGpt;
use aurora_testkit::chatgpt::{AccountSpec, Host, Indexing, Links};
use serde_json::{Value, json};

use crate::client::{Client, ask, message, said, with};

fn picture(size: usize) -> Value {
    json!({"file_name": "cat.png", "file_size": size, "use_case": "multimodal", "mime_type": "image/png",
        "store_in_library": true, "width": 64, "height": 64})
}

fn document(size: usize) -> Value {
    json!({"file_name": "a.txt", "file_size": size, "use_case": "my_files", "mime_type": "text/plain"})
}

async fn put(client: &Client, url: &str, bytes: impl Into<reqwest::Body>) -> u16 {
    let request = client.http.put(url).header("x-ms-blob-type", "BlockBlob");
    let request = request.header("x-ms-version", "2020-04-08").body(bytes);
    request.send().await.unwrap().status().as_u16()
}

/// The three calls; the file's id.
async fn upload(client: &Client, body: &Value, bytes: &[u8]) -> String {
    let (status, created) = client.post("/files", body).await;
    assert_eq!((status, &created["status"]), (200, &"success".into()));
    let id = created["file_id"].as_str().unwrap().to_owned();
    assert_eq!(
        put(
            client,
            created["upload_url"].as_str().unwrap(),
            bytes.to_vec()
        )
        .await,
        201
    );
    let (status, done) = client
        .post(&format!("/files/{id}/uploaded"), &json!({}))
        .await;
    assert_eq!((status, &done["status"]), (200, &"success".into()));
    id
}

#[tokio::test]
async fn a_picture_goes_up_and_comes_down_by_every_way() {
    let client = Client::start().await;
    let bytes = FakeChatGpt::picture(64);
    let id = upload(&client, &picture(bytes.len()), &bytes).await;
    let conversation = client.say("hi").await.conversation();

    for path in [
        format!("/files/{id}/download"),
        format!("/files/download/{id}?conversation_id={conversation}&inline=false"),
        format!("/conversation/{conversation}/attachment/{id}/download"),
    ] {
        let (status, answer) = client.get(&path).await;
        assert_eq!(
            (status, &answer["status"]),
            (200, &"success".into()),
            "{path}"
        );
        let url = answer["download_url"].as_str().unwrap();
        assert!(url.starts_with(&client.web.blob_url()));
        let response = client.http.get(url).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "image/png");
        assert_eq!(response.bytes().await.unwrap(), bytes);
    }
    let uploads: Vec<_> = client
        .web
        .requests()
        .into_iter()
        .filter(|one| one.host == Host::Blob)
        .collect();
    assert_eq!(uploads.len(), 4);
    assert_eq!(uploads[0].method, "PUT");
    assert_eq!(uploads[0].body, bytes);
    assert!(
        uploads
            .iter()
            .all(|one| one.header("authorization").is_none())
    );
    assert_eq!(client.web.file(&id), Some(bytes));
    assert_eq!(
        client
            .get("/conversation/nothing/attachment/x/download")
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn wrong_announcements_are_refused() {
    let client = Client::start().await;
    for (field, value) in [
        ("file_name", Value::Null),
        ("file_size", json!(0)),
        ("use_case", json!("assistants")),
    ] {
        let (status, answer) = client.post("/files", &with(picture(5), field, value)).await;
        assert_eq!(
            (status, &answer["detail"][0]["loc"][1]),
            (422, &field.into())
        );
    }
    let (status, answer) = client
        .post(
            "/files",
            &with(picture(5), "mime_type", json!("text/plain")),
        )
        .await;
    assert_eq!(
        (status, &answer["error_code"]),
        (200, &"file_type_not_supported".into())
    );
}

#[tokio::test]
async fn the_blob_store_is_strict_and_knows_no_accounts() {
    let client = Client::start().await;
    let (_, created) = client.post("/files", &document(5)).await;
    let url = created["upload_url"].as_str().unwrap();
    let uploaded = format!("/files/{}/uploaded", created["file_id"].as_str().unwrap());
    assert_eq!(
        client.post(&uploaded, &json!({})).await.1["detail"]["code"],
        "file_not_uploaded"
    );

    let bare = client
        .http
        .put(url)
        .header("x-ms-version", "2020-04-08")
        .body("hello");
    let (status, text) = {
        let response = bare.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(status, 400);
    assert!(text.contains("MissingRequiredHeader"), "{text}");
    let leak = client
        .http
        .put(url)
        .bearer_auth(&client.token)
        .header("x-ms-blob-type", "BlockBlob");
    assert_eq!(
        leak.body("hello").send().await.unwrap().status().as_u16(),
        400
    );
    let leaked = client.web.requests().pop().unwrap();
    assert_eq!(
        (leaked.host, leaked.account.as_deref()),
        (Host::Blob, Some("alice"))
    );
    assert_eq!(put(&client, &format!("{url}x"), "hello").await, 403);
    assert_eq!(
        client.http.get(url).send().await.unwrap().status().as_u16(),
        403
    );
    assert_eq!(put(&client, url, "hell").await, 201);
    assert_eq!(
        client.post(&uploaded, &json!({})).await.1["detail"]["code"],
        "file_size_mismatch"
    );
    assert_eq!(put(&client, url, "hello").await, 201);
    assert_eq!(client.post(&uploaded, &json!({})).await.0, 200);
}

#[tokio::test]
async fn documents_are_indexed_in_their_time() {
    let client = Client::start().await;
    for (indexing, expected) in [
        (Indexing::After(2), ["pending", "pending", "success"]),
        (Indexing::Failed, ["pending", "failed", "failed"]),
        (Indexing::Never, ["pending", "pending", "pending"]),
    ] {
        client.web.indexing(indexing);
        let id = upload(&client, &document(5), b"hello").await;
        for status in expected {
            let (_, answer) = client.get(&format!("/files/{id}")).await;
            assert_eq!(answer["retrieval_index_status"], status, "{indexing:?}");
            assert_eq!(answer["file_size_tokens"].is_u64(), status == "success");
        }
    }
    let bytes = FakeChatGpt::picture(8);
    let id = upload(&client, &picture(bytes.len()), &bytes).await;
    assert_eq!(
        client.get(&format!("/files/{id}")).await.1["retrieval_index_status"],
        Value::Null
    );
}

#[tokio::test]
async fn ids_can_look_as_in_earlier_years() {
    let client = Client::start().await;
    client.web.old_file_ids(true);
    let id = upload(&client, &document(5), b"hello").await;
    let stream = client.stream(&crate::client::ask_picture("a cat")).await;

    assert!(id.starts_with("file-") && id.len() == 27, "{id}");
    let text = String::from_utf8(stream).unwrap();
    assert!(text.contains("file-service://file-") && !text.contains("sediment"));
    let (_, answer) = client.get(&format!("/files/{id}/download")).await;
    assert_eq!(answer["status"], "success");
}

#[tokio::test]
async fn processing_is_told_line_by_line() {
    let client = Client::start().await;
    let (_, created) = client.post("/files", &document(5)).await;
    let body = json!({"file_id": created["file_id"], "use_case": "my_files", "index_for_retrieval": true,
        "file_name": "a.txt", "entry_surface": "chat_composer"});
    assert_eq!(
        client.post("/files/process_upload_stream", &body).await.0,
        400
    );
    put(&client, created["upload_url"].as_str().unwrap(), "hello").await;

    let request = client
        .call("POST", "/files/process_upload_stream")
        .body(body.to_string());
    let text = request.send().await.unwrap().text().await.unwrap();

    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<_> = events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "file.processing.started",
            "file.processing.metadata",
            "file.processing.completed"
        ]
    );
}

#[tokio::test]
async fn files_belong_to_an_account_and_a_workspace() {
    let client = Client::start().await;
    let team = "99999999-2222-4333-8444-555555555555";
    client.web.account_with(AccountSpec {
        name: "alice".to_owned(),
        teams: vec![team.to_owned()],
        ..AccountSpec::default()
    });
    let id = upload(&client, &document(5), b"hello").await;
    let path = format!("/files/{id}");

    assert_eq!(client.get(&path).await.0, 200);
    let bob = client.with_token(client.web.account("bob"));
    assert_eq!(bob.get(&path).await.0, 404);
    let in_team = client.call("GET", &path).header("chatgpt-account-id", team);
    assert_eq!(in_team.send().await.unwrap().status().as_u16(), 404);
    let mut message = message("user", "read it");
    message["metadata"]["attachments"] = json!([{"id": id, "name": "a.txt"}]);
    let body = with(ask(""), "messages", json!([message]));
    assert_eq!(bob.turn(&body).await.status().as_u16(), 404);
    let reading = crate::client::Reading::of(&[client.stream(&body).await]);
    assert!(
        reading.text().contains("1 attachments") && reading.text().contains("Not indexed yet: 1")
    );
}

#[tokio::test]
async fn addresses_can_be_stale_slow_or_the_services_own() {
    let client = Client::start().await;
    let id = upload(&client, &document(5), b"hello").await;
    let path = format!("/files/{id}/download");
    let link = async || {
        client.get(&path).await.1["download_url"]
            .as_str()
            .unwrap_or("none")
            .to_owned()
    };
    let fetch = async |url: String, token: Option<&str>| {
        let request = client.http.get(url);
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        request.send().await.unwrap().status().as_u16()
    };

    client.web.stale_links(1);
    assert_eq!(fetch(link().await, None).await, 403);
    assert_eq!(fetch(link().await, None).await, 200);
    client.web.slow_links(1);
    assert_eq!(client.get(&path).await.1, json!({"status": "retry"}));
    client.web.links(Links::Estuary);
    let own = link().await;
    assert!(own.starts_with(&client.web.base_url()));
    assert_eq!(fetch(own.clone(), None).await, 401);
    assert_eq!(
        fetch(own.clone(), Some(&client.web.account("bob"))).await,
        404
    );
    assert_eq!(fetch(own, Some(&client.token)).await, 200);
    let (status, answer) = client.get("/files/file_unknown/download").await;
    assert_eq!(
        (status, &answer["error_code"]),
        (200, &"file_not_found".into())
    );
}

#[tokio::test]
async fn sandbox_files_are_had_through_the_message_that_links_them() {
    use aurora_testkit::chatgpt::Reply;
    let client = Client::start().await;
    client.web.sandbox_file("/mnt/data/a.csv", "1,2");
    client.web.reply(Reply::text(
        "See [it](sandbox:/mnt/data/a.csv) or [that](sandbox:/mnt/data/b.csv).",
    ));
    let reading = client.say("make a file").await;
    let path = format!(
        "/conversation/{}/interpreter/download",
        reading.conversation()
    );
    let query = |message: &str, name: &str| {
        format!("{path}?message_id={message}&sandbox_path=%2Fmnt%2Fdata%2F{name}")
    };

    let (_, answer) = client.get(&query(&reading.answer_id(), "a.csv")).await;
    let url = answer["download_url"].as_str().unwrap();
    assert_eq!(
        client
            .http
            .get(url)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
        "1,2"
    );
    let asked = json!({"message_id": reading.answer_id(), "sandbox_path": "/mnt/data/a.csv"});
    assert_eq!(client.post(&path, &asked).await.1["status"], "success");
    assert_eq!(client.get(&query("another", "a.csv")).await.0, 404);
    assert_eq!(
        client.get(&query(&reading.answer_id(), "b.csv")).await.1["status"],
        "error"
    );
    let response = client.call("GET", "/files").send().await.unwrap();
    assert_eq!(said(response).await.0, 404);
}
