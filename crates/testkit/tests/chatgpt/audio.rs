//! Speech and transcription.

use aurora_testkit::chatgpt::Reply;
use serde_json::json;

use crate::client::{Client, Reading, ask, message, said, with};

#[tokio::test]
async fn a_seeded_text_is_spoken() {
    let client = Client::start().await;
    let seed = message("assistant", "Hello, this is a test!");
    let body = with(ask(""), "messages", json!([seed]));
    client.web.reply(Reply::text("How can I help?"));
    let reading = Reading::of(&[client.stream(&body).await]);
    let spoken = |message: &str, format: &str| {
        let id = reading.conversation();
        format!("/synthesize?message_id={message}&conversation_id={id}&voice=cove&format={format}")
    };
    let id = seed["id"].as_str().unwrap();

    for (format, mime_type) in [
        ("mp3", "audio/mpeg"),
        ("opus", "audio/ogg"),
        ("aac", "audio/aac"),
    ] {
        let response = client
            .call("GET", &spoken(id, format))
            .send()
            .await
            .unwrap();
        assert_eq!(response.headers()["content-type"], mime_type);
        let bytes = response.bytes().await.unwrap();
        assert!(
            bytes.ends_with(b"voice=cove;text=Hello, this is a test!"),
            "{format}"
        );
    }
    let reply = client
        .call("GET", &spoken(&reading.answer_id(), "mp3"))
        .send()
        .await
        .unwrap();
    assert!(
        reply
            .bytes()
            .await
            .unwrap()
            .ends_with(b"text=How can I help?")
    );
    assert_eq!(client.get(&spoken(id, "wav")).await.0, 422);
    assert_eq!(
        client
            .get(&spoken(id, "mp3").replace("cove", "alloy"))
            .await
            .0,
        422
    );
    assert_eq!(client.get(&spoken("another", "mp3")).await.0, 404);
    client.web.speech_by_url(true);
    let (_, answer) = client.get(&spoken(id, "mp3")).await;
    let response = client
        .http
        .get(answer["download_url"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "audio/mpeg");
}

#[tokio::test]
async fn temporary_chats_are_not_spoken() {
    let client = Client::start().await;
    let body = with(ask("hi"), "history_and_training_disabled", json!(true));
    let reading = Reading::of(&[client.stream(&body).await]);
    let (id, answer) = (reading.conversation(), reading.answer_id());

    let path =
        format!("/synthesize?message_id={answer}&conversation_id={id}&voice=cove&format=mp3");

    assert_eq!(
        client.get(&path).await,
        (404, json!({"detail": "Conversation not found"}))
    );
}

fn form(file: &str) -> String {
    format!(
        "--b\r\n{file}\r\n--b\r\ncontent-disposition: form-data; name=\"language\"\r\n\r\nde\r\n--b--\r\n"
    )
}

#[tokio::test]
async fn a_recording_is_named_by_size_type_and_language() {
    let client = Client::start().await;
    let send = async |content_type: &str, body: String| {
        let request = client
            .call("POST", "/transcribe")
            .header("content-type", content_type);
        request.body(body).send().await.unwrap()
    };
    let multipart = "multipart/form-data; boundary=b";
    let file = |head: &str, bytes: &str| {
        form(&format!(
            "content-disposition: form-data; name=\"file\"{head}\r\n\r\n{bytes}"
        ))
    };
    let good = file("; filename=\"a.wav\"\r\ncontent-type: audio/wav", "12345");

    let (status, answer) = said(send(multipart, good.clone()).await).await;
    assert_eq!(
        (status, answer),
        (200, json!({"text": "5 bytes of audio/wav, language de."}))
    );
    let empty = file("; filename=\"a.wav\"\r\ncontent-type: audio/wav", "");
    assert_eq!(
        said(send(multipart, empty).await).await.1["detail"],
        "Audio file is too short"
    );
    assert_eq!(
        send(multipart, file("", "12345")).await.status().as_u16(),
        400
    );
    assert_eq!(
        send("application/json", "{}".to_owned())
            .await
            .status()
            .as_u16(),
        400
    );
    client.web.plain_transcripts(true);
    let response = send(multipart, good).await;
    assert_eq!(response.headers()["content-type"], "text/plain");
    assert_eq!(
        response.text().await.unwrap(),
        "5 bytes of audio/wav, language de."
    );
}
