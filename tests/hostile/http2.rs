//! Floods over HTTP/2: memory stays, the upstream is asked no more than it may be, others are served meanwhile.

use aurora_testkit::{Aurora, FakeUpstream, Reply, Step, eventually};

use super::frames::{
    CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, Flooded, HEADERS, PING, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, frame, get, literal, request,
};
use super::{MIB, impatient, others_are_served};

/// Sends a flood while another client is served, and looks at what it cost.
async fn survives(
    aurora: &Aurora,
    client: Client,
    times: u32,
    piece: impl FnMut(u32) -> Vec<u8>,
) -> Flooded {
    others_are_served(aurora).await;
    let before = aurora.resident();
    let (flooded, ()) = tokio::join!(client.flood(piece, times), async {
        for _ in 0..5 {
            others_are_served(aurora).await;
        }
    });
    others_are_served(aurora).await;
    let growth = aurora.memory_peak().saturating_sub(before);
    assert!(growth < 32 * MIB, "memory grew by {growth}: {flooded:?}");
    eventually("nothing is left of it", async || {
        aurora.status().await["in_flight"] == 0
    })
    .await;
    flooded
}

#[tokio::test]
async fn streams_that_are_reset_at_once_do_not_multiply_requests() {
    let upstream = FakeUpstream::with(|request| {
        if request.target.ends_with("/chat/completions") {
            Reply::json(200, &"pong".into())
        } else {
            Reply::raw(vec![Step::Hang])
        }
    })
    .await;
    let aurora = impatient(&upstream, "").await;
    let client = Client::connect(&aurora).await;

    let flooded = survives(&aurora, client, 10_000, |number| {
        let stream = number * 2 + 1;
        let reset = frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
        [get(stream, "/v1/slow"), reset].concat()
    })
    .await;

    let asked = upstream.requests().len();
    assert_eq!(flooded.goaway, Some(11), "ENHANCE_YOUR_CALM: {flooded:?}");
    assert!(asked < 2_000, "{asked}");
}

#[tokio::test]
async fn pings_and_settings_without_end_cost_nothing() {
    let upstream = FakeUpstream::start().await;
    let aurora = impatient(&upstream, "").await;
    for piece in [
        frame(PING, 0, 0, &[7; 8]),
        frame(SETTINGS, 0, 0, &[]),
        frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 16, 0]),
        frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
        frame(0x42, 0, 0, &[1; 64]),
        frame(2, 0, 1, &[0, 0, 0, 0, 1]),
    ] {
        let client = Client::connect(&aurora).await;
        let flooded = survives(&aurora, client, 100_000, |_| piece.clone()).await;
        assert_eq!(flooded.sent, 100_000, "{flooded:?}");
    }
}

#[tokio::test]
async fn a_client_that_pings_and_reads_nothing_is_let_go() {
    let upstream = FakeUpstream::start().await;
    let aurora = impatient(&upstream, "body_write_gap = \"500ms\"").await;
    let before = aurora.resident();
    let mut client = Client::connect(&aurora).await;
    let pings = frame(PING, 0, 0, &[7; 8]).repeat(1000);

    let flood = async { while client.try_send(&pings).await {} };
    tokio::time::timeout(aurora_testkit::PATIENCE, flood)
        .await
        .expect("the connection is closed");

    let growth = aurora.memory_peak().saturating_sub(before);
    assert!(growth < 16 * MIB, "memory grew by {growth}");
    others_are_served(&aurora).await;
}

#[tokio::test]
async fn header_blocks_without_end_are_refused() {
    let upstream = FakeUpstream::start().await;
    let aurora = impatient(&upstream, "").await;
    let filler = literal("a", &"x".repeat(100)).repeat(100);
    for filler in [filler, Vec::new()] {
        let client = Client::connect(&aurora).await;
        let flooded = survives(&aurora, client, 100_000, |number| match number {
            0 => frame(HEADERS, END_STREAM, 1, &request("GET", "/v1/x")),
            _ => frame(CONTINUATION, 0, 1, &filler),
        })
        .await;
        assert!(
            flooded.sent < 100_000 || flooded.goaway.is_some(),
            "{flooded:?}"
        );
    }
    assert!(
        upstream
            .requests()
            .iter()
            .all(|request| request.target != "/v1/x")
    );
}

#[tokio::test]
async fn a_small_block_that_unpacks_to_a_large_one_is_refused() {
    let upstream = FakeUpstream::start().await;
    let aurora = impatient(&upstream, "").await;
    // An entry of nearly 4 KiB for the table, and then one byte for each time that it is meant (RFC 7541, 6.1).
    // A length of 3900: 127 in the first byte, and 3773 in groups of seven bits behind it.
    let name = [0x40, 1, b'a'];
    let length = [0x7f, 0xbd, 0x1d];
    let entry = [&name[..], &length, &[b'x'; 3900]].concat();
    let bomb = [request("GET", "/v1/bomb"), entry, vec![0xbe; 12_000]].concat();
    let client = Client::connect(&aurora).await;

    let flooded = survives(&aurora, client, 50, |number| {
        frame(HEADERS, END_STREAM | END_HEADERS, number * 2 + 1, &bomb)
    })
    .await;

    assert!(
        upstream
            .requests()
            .iter()
            .all(|request| request.target != "/v1/bomb"),
        "{flooded:?}"
    );
}

#[tokio::test]
async fn empty_pieces_of_a_body_do_not_pile_up() {
    // An upstream that takes nothing of the upload.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let upstream = FakeUpstream::start().await;
    let text = crate::support::config(&upstream, "").replace("/v1/{*rest}", "/v1/rest/{*rest}")
        + &format!(
            "\n[upstreams.deaf]\nprotocol = \"openai\"\nbase_url = \"http://{address}/v1\"\n\
             [[routes]]\npath = \"/v1/deaf/{{*rest}}\"\nplugin = \"passthrough\"\nupstream = \"deaf\"\n"
        );
    let text = format!("[server]\nbody_read_gap = \"2s\"\nidle = \"2s\"\n{text}");
    let aurora = crate::support::aurora(&text).start().await;
    let client = Client::connect(&aurora).await;

    let flooded = survives(&aurora, client, 1_000_000, |number| match number {
        0 => frame(HEADERS, END_HEADERS, 1, &request("POST", "/v1/deaf/x")),
        _ => frame(DATA, 0, 1, &[]),
    })
    .await;

    assert_eq!(flooded.goaway, Some(11), "{flooded:?}");
    drop(listener);
}

#[tokio::test]
async fn answers_that_nobody_takes_are_not_held_whole() {
    let upstream = FakeUpstream::with(|request| {
        if request.target.ends_with("/chat/completions") {
            Reply::json(200, &"pong".into())
        } else {
            Reply::new(200, &[("content-type", "audio/mpeg")], vec![7; 4 << 20])
        }
    })
    .await;
    let aurora = impatient(&upstream, "body_write_gap = \"1s\"").await;
    others_are_served(&aurora).await;
    let before = aurora.resident();
    // A window of nothing for every stream.
    let mut client = Client::with_settings(&aurora, &[0, 4, 0, 0, 0, 0]).await;

    for number in 0..100 {
        client
            .send(get(number * 2 + 1, "/v1/files/x/content"))
            .await;
    }

    aurora.wait_for_output("end=\"client_stopped\"").await;
    let growth = aurora.memory_peak().saturating_sub(before);
    assert!(growth < 64 * MIB, "memory grew by {growth}");
    eventually("nothing is left of it", async || {
        aurora.status().await["in_flight"] == 0
    })
    .await;
    others_are_served(&aurora).await;
}
