//! How bytes go out.

use std::io::Read as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aurora_chatgpt::stream::{Event, StreamError};
use aurora_testkit::chatgpt::Reply;
use tokio::sync::Notify;

use crate::client::{Client, Reading, ask, ask_delta};

const BODY: &[u8] = b"event: a\ndata: {\"k\": \"\xc3\xa4\"}\n\ndata: [DONE]\n\n";

async fn chunks(client: &Client, reply: Reply) -> Vec<Vec<u8>> {
    client.web.reply(reply);
    let mut response = client.turn(&ask("x")).await;
    let mut chunks = Vec::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        chunks.push(chunk.to_vec());
    }
    chunks
}

#[tokio::test]
async fn bytes_are_cut_as_told() {
    let client = Client::start().await;
    let sse = || Reply::sse(BODY);

    let frames = chunks(&client, sse()).await;
    assert_eq!(frames.concat(), BODY);
    assert!(frames.len() <= 2, "{frames:?}");
    // A wait between the writes keeps them apart on the wire.
    let slow = Duration::from_millis(2);
    let single = chunks(&client, sse().chunks(1).delay(slow)).await;
    assert_eq!(single.concat(), BODY);
    assert!(single.iter().all(|chunk| chunk.len() == 1));
    let lengths = |chunks: &[Vec<u8>]| chunks.iter().map(Vec::len).collect::<Vec<_>>();
    let three = chunks(&client, sse().at(&[5, 24]).delay(slow)).await;
    assert_eq!(lengths(&three), [5, 19, BODY.len() - 24]);
}

#[tokio::test]
async fn an_early_end_looks_whole_a_closed_connection_does_not() {
    let client = Client::start().await;
    client
        .web
        .reply(Reply::text("one two three").delta().cut_after(2000));
    let cut = client.stream(&ask("x")).await;
    assert_eq!(cut.len(), 2000);
    assert_eq!(
        Reading::of(&[cut]).last(),
        &Event::Failed(StreamError::Truncated)
    );

    for reply in [
        Reply::sse(BODY).close_after(20),
        Reply::sse(BODY).reset_after(20),
    ] {
        client.web.reply(reply);
        let response = client.turn(&ask("x")).await;
        assert!(response.bytes().await.is_err());
    }
    assert_eq!(client.web.abandoned(), 0);
    assert_eq!(client.web.running("alice"), 0);
}

#[tokio::test]
async fn waits_hold_back_what_comes_after_them() {
    let client = Client::start().await;
    let hold = Arc::new(Notify::new());
    client.web.reply(
        Reply::sse(BODY)
            .hold_after(9, &hold)
            .pause_after(0, Duration::from_millis(30)),
    );
    let asked = Instant::now();

    let mut response = client.turn(&ask("x")).await;

    assert_eq!(
        response.chunk().await.unwrap().unwrap().as_ref(),
        b"event: a\n"
    );
    assert!(asked.elapsed() >= Duration::from_millis(30));
    hold.notify_one();
    let mut rest = Vec::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        rest.extend_from_slice(&chunk);
    }
    assert_eq!(rest, &BODY[9..]);
}

#[tokio::test]
async fn pings_come_only_between_frames() {
    let client = Client::start().await;
    let boundary = BODY.len() - "data: [DONE]\n\n".len();
    let wait = Duration::from_millis(40);
    let pinged = |at: usize| {
        Reply::sse(BODY)
            .pause_after(at, wait)
            .pings(Duration::from_millis(10))
    };

    let inside = chunks(&client, pinged(12)).await.concat();
    let between = chunks(&client, pinged(boundary)).await.concat();

    assert_eq!(inside, BODY);
    let text = String::from_utf8(between).unwrap();
    assert!(text.contains("\n\n: ping - "), "{text}");
}

#[tokio::test]
async fn streams_can_be_compressed_and_have_other_line_ends() {
    let client = Client::start().await;
    client
        .web
        .reply(Reply::text("Ein Wort 🙂").gzip().header("x-more", "yes"));
    let response = client.turn(&ask_delta("x")).await;
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.headers()["x-more"], "yes");
    let packed = response.bytes().await.unwrap();
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(packed.as_ref())
        .read_to_end(&mut plain)
        .unwrap();
    assert_eq!(Reading::of(&[plain]).text(), "Ein Wort 🙂");

    client.web.reply(Reply::text("Ein Wort").crlf());
    let bytes = client.stream(&ask_delta("x")).await;
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
    assert_eq!(Reading::of(&[bytes]).text(), "Ein Wort");
}

#[tokio::test]
async fn long_answers_and_many_pieces_go_out_quickly() {
    let client = Client::start().await;
    let long = "lorem ipsum ".repeat(100_000);
    client.web.reply(Reply::text(&long).pieces(3));
    let many = "x".repeat(3_000);
    client.web.reply(Reply::text(&many).pieces(3_000));

    let first = client.stream(&ask("x")).await;
    assert!(first.len() > 3 * long.len());
    let second = client.stream(&ask_delta("x")).await;
    assert_eq!(Reading::of(&[second]).text(), many);
}

#[tokio::test]
async fn a_status_can_stand_in_for_a_stream() {
    let client = Client::start().await;
    client.web.reply(
        Reply::status(429, "application/json", r#"{"detail":"slow"}"#).header("retry-after", "7"),
    );
    client.web.reply(Reply::sse(""));

    let refused = client.turn(&ask("x")).await;
    assert_eq!(refused.status().as_u16(), 429);
    assert_eq!(refused.headers()["retry-after"], "7");
    assert!(refused.headers().contains_key("x-oai-request-id"));
    assert_eq!(client.stream(&ask("x")).await, b"");
}
