//! What a plugin holds, and when it lets go.

use std::time::Duration;

use aurora_testkit::{Aurora, eventually};
use serde_json::json;

use super::refused::compile;
use super::{FIXTURE, fixture, version, wait_for, with_fixture};
use crate::support::aurora;

#[tokio::test]
async fn a_large_body_is_echoed_through_a_plugin_in_little_memory() {
    const PIECE: usize = 1 << 20;
    const PIECES: usize = 256;
    let aurora = with_fixture("").start().await;
    aurora
        .post("/fixture/echo", &json!({}))
        .body("warm")
        .send()
        .await
        .unwrap();
    let before = aurora.memory_peak();
    let pieces =
        futures_util::stream::iter((0..PIECES).map(|_| Ok::<_, std::io::Error>(vec![7_u8; PIECE])));

    let mut response = aurora
        .post("/fixture/echo", &json!({}))
        .header("content-type", "application/octet-stream")
        .body(reqwest::Body::wrap_stream(pieces))
        .send()
        .await
        .unwrap();
    let mut length = 0;
    while let Some(chunk) = response.chunk().await.unwrap() {
        assert!(chunk.iter().all(|byte| *byte == 7));
        length += chunk.len();
    }

    assert_eq!(length, PIECE * PIECES);
    let grown = aurora.memory_peak() - before;
    assert!(grown < 16 << 20, "{grown} bytes more");
}

#[tokio::test]
async fn clients_that_do_not_read_stop_a_plugin_that_never_ends() {
    let aurora = with_fixture("").start().await;
    let before = aurora.resident();
    let mut clients = Vec::new();
    for _ in 0..30 {
        let mut client = aurora.raw().await;
        client
            .send(b"GET /fixture/endless HTTP/1.1\r\nhost: a\r\n\r\n")
            .await;
        clients.push(client);
    }
    eventually("all are served", async || {
        aurora.status().await["in_flight"] == 30
    })
    .await;

    // What the sockets take is taken by then; the plugin must have come to rest.
    let mut last = 0;
    eventually("memory is at rest", async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = aurora.resident();
        now.abs_diff(std::mem::replace(&mut last, now)) < 64 << 10
    })
    .await;
    let grown = aurora.resident().saturating_sub(before);
    assert!(grown < 24 << 20, "{grown} bytes more");

    drop(clients);
    eventually("all are let go", async || {
        aurora.status().await["in_flight"] == 0
    })
    .await;
}

#[tokio::test]
async fn the_gateway_stops_with_streams_open_on_three_versions() {
    let mut aurora = with_fixture("[server]\ndrain = \"5s\"").start().await;
    let mut streams = Vec::new();
    for number in 1..=3 {
        if number > 1 {
            aurora.replace(FIXTURE, fixture(number));
            wait_for(&aurora, number).await;
        }
        let mut stream = aurora.get("/fixture/stream/20/100").send().await.unwrap();
        stream.chunk().await.unwrap().unwrap();
        streams.push(stream);
    }

    aurora.signal("TERM").await;

    for (stream, number) in streams.into_iter().zip(1..) {
        let text = stream.text().await.unwrap();
        assert!(
            text.contains(&version(number)) && text.ends_with("data: [DONE]\n\n"),
            "{text}"
        );
    }
    assert_eq!(aurora.wait_for_exit().await, Some(0));
    let output = aurora.output();
    assert!(
        (1..=3).all(|number| output.contains(&format!("destroyed {}", version(number)))),
        "{output}"
    );
    assert!(!aurora.path(".aurora-plugins").exists());
}

/// A plugin in C that may be unmapped; `number` makes it another one.
fn unloadable(number: u32) -> Vec<u8> {
    let source = r#"
#include "aurora_plugin.h"
static const char text[] = "{\"version\":NUMBER}";
static aur_rc create(const aur_host *host, int32_t kind, aur_str options, aur_instance **out, aur_build_failure *failure) {
    (void)kind; (void)options; (void)failure; *out = (aur_instance *)host; host->retain(host); return AUR_OK;
}
static aur_rc handle(aur_instance *self, aur_req *req, aur_task *task) {
    const aur_host *host = (const aur_host *)self;
    const aur_header type = {AUR_S_INIT("content-type"), AUR_S_INIT("application/json")};
    aur_str body = {text, sizeof text - 1};
    (void)task;
    AUR_TRY(host->request->resp_head(req, 200, &type, 1));
    return host->request->resp_write(req, NULL, body);
}
static void destroy(aur_instance *self) { ((const aur_host *)self)->release((const aur_host *)self); }
static const aur_plugin_vtable table = { .size = sizeof(aur_plugin_vtable), .flags = AUR_PLUGIN_UNLOADABLE,
    .manifest = AUR_S_INIT("{\"name\":\"c\",\"version\":\"1\",\"needs_upstream\":false}"),
    .create = create, .handle = handle, .destroy = destroy };
AUR_DEFINE_PLUGIN(&table, 0)
"#;
    let folder = tempfile::tempdir().unwrap();
    compile(
        folder.path(),
        "unloadable",
        &source.replace("NUMBER", &number.to_string()),
    )
}

/// Copies of libraries that the gateway has mapped.
fn mapped(aurora: &Aurora) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", aurora.pid())).unwrap();
    let files = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5));
    let files: std::collections::BTreeSet<&str> = files
        .filter(|file| file.contains(".aurora-plugins"))
        .collect();
    files.len()
}

async fn says(aurora: &Aurora, number: u32) -> bool {
    let text = aurora.get("/c").send().await.unwrap().text().await.unwrap();
    text == format!("{{\"version\":{number}}}")
}

#[tokio::test]
async fn old_versions_stay_mapped_unless_author_and_operator_say_that_they_may_go() {
    for (unload, left) in [("never", 6), ("if-safe", 3)] {
        let config = format!(
            "[plugins]\nunload = \"{unload}\"\n[[routes]]\npath = \"/c\"\nplugin = \"c\"\n"
        );
        let aurora = aurora(&config)
            .file("plugins/c.so", unloadable(1))
            .start()
            .await;
        for number in 2..=6 {
            aurora.replace("plugins/c.so", unloadable(number));
            eventually("the new version serves", async || {
                says(&aurora, number).await
            })
            .await;
        }

        // Two are kept to go back to, beside the one that serves.
        eventually("what may go is gone", async || mapped(&aurora) == left).await;
        assert!(says(&aurora, 6).await);
    }
}
