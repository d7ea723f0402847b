//! The shipped transcripts.

use aurora_chatgpt::stream::{Event, FinishReason, StreamError};
use aurora_testkit::FakeChatGpt;
use aurora_testkit::chatgpt::Reply;

use crate::client::{Client, Reading, ask};

const ID: &str = "67a1f0c2-3b44-8006-9d1e-5c0a7b21e4f0";

#[tokio::test]
async fn each_is_told_with_this_turns_ids_or_byte_for_byte() {
    let client = Client::start().await;
    for name in FakeChatGpt::transcripts() {
        client
            .web
            .reply(Reply::transcript(name).verbatim())
            .reply(Reply::transcript(name));
        let given = client.stream(&ask("x")).await;
        let told = client.stream(&ask("x")).await;

        let file = format!("{}/transcripts/{name}.sse", env!("CARGO_MANIFEST_DIR"));
        assert_eq!(given, std::fs::read(file).unwrap(), "{name}");
        assert_eq!(told.len(), given.len(), "{name}");
        let told = String::from_utf8(told).unwrap();
        assert!(!told.contains("67a1f0c2-3b44-8006-9d1e"), "{name}");
        let id = client.web.conversations().pop().unwrap();
        assert!(told.contains(&id), "{name}");
        assert!(client.web.conversation(&id)["mapping"].is_object());
    }
    assert!(!client.web.conversation(ID).is_null());
}

#[tokio::test]
async fn a_told_transcript_can_be_continued() {
    let client = Client::start().await;
    client
        .web
        .reply(Reply::transcript("07"))
        .reply(Reply::transcript("07_max_tokens_continue_b"));
    let first = client.stream(&ask("x")).await;
    let reading = Reading::of(&[&first]);
    let body = serde_json::json!({
        "action": "continue", "model": "auto", "conversation_id": reading.conversation(),
        "parent_message_id": reading.answer_id(),
    });

    let second = client.stream(&body).await;

    let whole = Reading::of(&[first, second]);
    assert_eq!(
        whole.text(),
        "one two three four five six seven eight nine ten."
    );
    assert_eq!(whole.last(), &Event::Finish(FinishReason::Stop));
}

#[tokio::test]
async fn pictures_of_a_transcript_can_be_had() {
    let client = Client::start().await;
    client.web.reply(Reply::transcript("05"));
    let reading = Reading::of(&[client.stream(&ask("x")).await]);

    let path = format!("/files/download/{}?inline=false", reading.pictures()[0]);
    let (_, answer) = client.get(&path).await;

    let url = answer["download_url"].as_str().unwrap();
    let bytes = client
        .http
        .get(url)
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert!(bytes.starts_with(b"\x89PNG"));
}

/// The authored ones: what each is about.
#[tokio::test]
async fn the_authored_ones_read_as_they_are_meant() {
    let client = Client::start().await;
    let stop = || Event::Finish(FinishReason::Stop);
    let table = [
        (
            "04",
            "I will look at the file and count its lines.\n\nIt has 12.",
            stop(),
        ),
        (
            "08",
            "one two three four",
            Event::Finish(FinishReason::Length),
        ),
        ("13", "Alpha beta gamma delta epsilon zeta!", stop()),
        ("14", "Noted: tea.", stop()),
        ("17", "The sum is 4.", stop()),
        (
            "19",
            "Once upon a time",
            Event::Failed(StreamError::Truncated),
        ),
        ("26", "A quick answer.", stop()),
    ];
    for (name, text, last) in table {
        client.web.reply(Reply::transcript(name));
        let reading = Reading::of(&[client.stream(&ask("x")).await]);
        assert_eq!(reading.turn.answer(), text, "{name}");
        assert_eq!(reading.last(), &last, "{name}");
    }
}

#[tokio::test]
async fn the_authored_ones_have_what_their_names_say() {
    let client = Client::start().await;
    let read = async |name: &str| {
        client.web.reply(Reply::transcript(name));
        Reading::of(&[client.stream(&ask("x")).await])
    };

    assert!(matches!(
        read("11").await.last(),
        Event::Failed(StreamError::Upstream { .. })
    ));
    let old = read("16").await.text();
    assert!(
        old.starts_with("🙂 Rust is fast") && old.contains("https://book.example.org/rust"),
        "{old}"
    );
    assert!(old.contains("【safe】") && !old.contains('†'), "{old}");
    assert_eq!(read("23").await.text(), "");
    assert_eq!(
        read("24").await.turn.answer(),
        "The capital of Australia is Canberra, not Sydney."
    );
    let served = read("26").await.events;
    assert!(served.contains(&Event::Model("gpt-5-6-t-mini".to_owned())));
    assert_eq!(read("28").await.pictures().len(), 2);
}

#[tokio::test]
async fn the_variants_of_calls_are_calls() {
    use aurora_chatgpt::tools::{Choice, Functions, Machine, Piece};
    let client = Client::start().await;
    client.web.reply(Reply::transcript("27"));
    let text = Reading::of(&[client.stream(&ask("x")).await]).text();
    let declared = ["get_weather", "read_file", "run_command"];
    let declared =
        declared.map(|name| serde_json::json!({"type": "function", "function": {"name": name}}));
    let mut machine = Machine::new(Functions::read(&declared), &Choice::Auto);

    let mut pieces = machine.push(&text);
    pieces.extend(machine.finish());

    let calls: Vec<_> = pieces
        .iter()
        .filter(|piece| matches!(piece, Piece::Call(_)))
        .collect();
    assert_eq!(calls.len(), 4, "{pieces:?}");
    let said = format!("{calls:?}");
    assert!(
        said.contains("notes.txt") && said.contains("keys.txt"),
        "{said}"
    );
}
