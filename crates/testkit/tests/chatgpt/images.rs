//! Pictures that the service makes.

use aurora_chatgpt::stream::Event;
use aurora_testkit::chatgpt::Reply;
use serde_json::Value;

use crate::client::{Client, Reading, ask_picture};
use crate::handoff::Socket;

async fn draw(client: &Client) -> Reading {
    Reading::of(&[client.stream(&ask_picture("A cat with a hat")).await])
}

/// The ids of the pictures in a stored conversation's messages of tools.
fn stored(conversation: &Value) -> Vec<String> {
    let nodes = conversation["mapping"].as_object().unwrap();
    let messages = nodes.values().map(|node| &node["message"]);
    messages
        .filter(|message| message["author"]["role"] == "tool")
        .filter_map(|message| message["content"]["parts"][0]["asset_pointer"].as_str())
        .map(|pointer| pointer.trim_start_matches("sediment://").to_owned())
        .collect()
}

#[tokio::test]
async fn a_picture_comes_in_the_stream_and_can_be_had() {
    let client = Client::start().await;

    let reading = draw(&client).await;

    let pictures = reading.pictures();
    assert_eq!(pictures.len(), 1);
    let (_, answer) = client
        .get(&format!("/files/download/{}", pictures[0]))
        .await;
    let bytes = client
        .http
        .get(answer["download_url"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    let bytes = bytes.bytes().await.unwrap();
    let reader = png::Decoder::new(std::io::Cursor::new(bytes.as_ref()))
        .read_info()
        .unwrap();
    assert_eq!(reader.info().size(), (64, 64));
    assert_eq!(client.web.file(&pictures[0]), Some(bytes));
}

#[tokio::test]
async fn several_pictures_and_previews_give_one_result_each() {
    let client = Client::start().await;
    client
        .web
        .reply(Reply::image().pictures(3).caption("Three cats."));
    let three = draw(&client).await;
    assert_eq!(three.pictures().len(), 3);
    assert_eq!(three.turn.answer(), "Three cats.");

    for snapshot in [
        Reply::image().preview().snapshot(),
        Reply::image().preview(),
    ] {
        client.web.reply(snapshot);
        let reading = draw(&client).await;
        let pictures = reading.pictures();
        assert_eq!(pictures.len(), 1);
        let bytes = client.web.file(&pictures[0]).unwrap();
        let reader = png::Decoder::new(std::io::Cursor::new(bytes.as_ref()))
            .read_info()
            .unwrap();
        assert_eq!(reader.info().size(), (64, 64), "the preview is smaller");
    }
}

#[tokio::test]
async fn a_revision_names_what_it_revises() {
    let client = Client::start().await;
    client.web.reply(Reply::image().revisions(2));
    let id = draw(&client).await.conversation();

    let stored = client.web.conversation(&id);

    let nodes = stored["mapping"].as_object().unwrap().values();
    let made: Vec<_> = nodes
        .map(|node| &node["message"])
        .filter(|message| message["author"]["role"] == "tool" && message["weight"] == 1.0)
        .map(|message| &message["content"]["parts"][0]["metadata"]["dalle"])
        .map(|made| (made["gen_id"].clone(), made["parent_gen_id"].clone()))
        .collect();
    assert_eq!(made.len(), 2);
    let first = made.iter().find(|(_, parent)| parent.is_null()).unwrap();
    assert!(made.iter().any(|(_, parent)| *parent == first.0));
}

#[tokio::test]
async fn late_pictures_are_in_the_conversation_after_some_looks() {
    let client = Client::start().await;
    client.web.reply(Reply::async_image(2));
    let reading = draw(&client).await;
    assert!(reading.pictures().is_empty());
    assert!(matches!(reading.last(), Event::Pending(_)));
    let path = format!("/conversation/{}", reading.conversation());

    let mut seen = Vec::new();
    for _ in 0..3 {
        let (_, conversation) = client.get(&path).await;
        let pictures = stored(&conversation);
        seen.push((conversation["async_status"].clone(), pictures.len()));
    }

    assert_eq!(seen, [(1.into(), 0), (1.into(), 0), (4.into(), 1)]);
}

#[tokio::test]
async fn late_pictures_can_be_refused() {
    let client = Client::start().await;
    client
        .web
        .reply(Reply::async_image_refusal(0, "I cannot draw that."));
    let reading = draw(&client).await;

    let (_, conversation) = client
        .get(&format!("/conversation/{}", reading.conversation()))
        .await;

    let last = conversation["current_node"].as_str().unwrap();
    let last = &conversation["mapping"][last]["message"];
    assert_eq!(last["content"]["parts"][0], "I cannot draw that.");
    assert_eq!(last["end_turn"], true);
}

#[tokio::test]
async fn late_pictures_can_come_over_the_websocket() {
    let client = Client::start().await;
    client.web.reply(Reply::async_image(9).pushed());
    let mut socket = Socket::open(&client).await;
    socket.subscribe(1, "conversations", None).await;
    let id = draw(&client).await.conversation();

    let update = socket
        .wait(|frame| frame["payload"]["payload"]["update_type"] == "add-messages")
        .await;

    let payload = &update["payload"]["payload"];
    assert_eq!(payload["conversation_id"], id.as_str());
    let pointer = &payload["update_content"]["messages"][0]["content"]["parts"][0]["asset_pointer"];
    assert!(pointer.as_str().unwrap().starts_with("sediment://file_"));
}

#[tokio::test]
async fn refusals_and_quotas_come_as_words() {
    let client = Client::start().await;
    client
        .web
        .reply(Reply::image_refusal("That is against the rules."));
    client.web.reply(Reply::image_quota("14 minutes"));

    let refused = draw(&client).await;
    assert!(refused.pictures().is_empty());
    assert_eq!(refused.text(), "That is against the rules.");
    let bytes = client.stream(&ask_picture("a cat")).await;
    let text = String::from_utf8(bytes).unwrap();
    assert!(
        text.contains("\"content_type\":\"system_error\"") && text.contains("wait for 14 minutes")
    );
    assert!(Reading::of(&[text]).pictures().is_empty());
}
