//! The example plugins in front of a fake upstream.

use aurora_testkit::{FakeUpstream, Reply, Step, eventually};

use super::library;
use crate::support::{aurora, upstream};

/// The examples that hand chats on, built in first; Go's where its compiler is there.
fn relays() -> Vec<(&'static str, Option<std::path::PathBuf>)> {
    let mut relays = vec![
        ("chat", None),
        ("hello", Some(library("hello_plugin"))),
        ("hello-c", Some(library("hello_c"))),
    ];
    let go = library("hello_plugin").with_file_name("libhello_go.so");
    if go.exists() {
        relays.push(("hello-go", Some(go)));
    }
    relays
}

async fn start(fake: &FakeUpstream) -> aurora_testkit::Aurora {
    let mut config = upstream(
        "fake",
        fake,
        "tokens = \"t\"\n[tokens.t]\nvalues = [\"sk-upstream\"]",
    );
    let mut files = Vec::new();
    for (name, library) in relays() {
        let route = format!(
            "[[routes]]\npath = \"/{name}\"\nplugin = \"{name}\"\nmethods = [\"POST\"]\nupstream = \"fake\"\n\n"
        );
        config.push_str(&route);
        if let Some(library) = library {
            files.push((
                format!("plugins/{name}.so"),
                std::fs::read(library).unwrap(),
            ));
        }
    }
    let builder = files
        .iter()
        .fold(aurora(&config), |builder, (name, bytes)| {
            builder.file(name, bytes)
        });
    builder.start().await
}

fn chat() -> serde_json::Value {
    serde_json::json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "hi"}]})
}

#[tokio::test]
async fn a_hundred_chunks_are_the_same_bytes_through_every_kind_of_plugin() {
    let words: Vec<String> = (0..100).map(|number| format!("wörd {number} ")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let events = FakeUpstream::chat_events("m", &words);
    let expected = events.concat();
    let fake = FakeUpstream::with(move |_| Reply::events(&events)).await;
    let aurora = start(&fake).await;

    for (name, _) in relays() {
        let response = aurora
            .post(&format!("/{name}"), &chat())
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200, "{name}");
        assert_eq!(response.text().await.unwrap(), expected, "{name}");
        // The host added the token.
        assert_eq!(
            fake.last().header("authorization"),
            Some("Bearer sk-upstream"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_closes_the_upstream_through_every_kind_of_plugin() {
    let events = FakeUpstream::chat_events("m", &["a", "b"]);
    let fake = FakeUpstream::with(move |_| Reply::open_events(&events[..2]).then(Step::Hang)).await;
    let aurora = start(&fake).await;

    for (number, (name, _)) in relays().into_iter().enumerate() {
        let mut response = aurora
            .post(&format!("/{name}"), &chat())
            .send()
            .await
            .unwrap();
        response.chunk().await.unwrap().unwrap();
        drop(response);
        eventually("the upstream is let go", async || {
            fake.closed().len() == number + 1
        })
        .await;
    }
    eventually("nothing is left", async || {
        aurora.status().await["in_flight"] == 0
    })
    .await;
}

#[tokio::test]
async fn signals_reach_the_gateway_with_a_go_runtime_in_it() {
    let fake = FakeUpstream::start().await;
    let mut aurora = start(&fake).await;
    for (name, _) in relays() {
        aurora
            .post(&format!("/{name}"), &chat())
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
    }

    // The hang-up asks for a reload, and the broken file says that it came.
    aurora.write("plugins/broken.so", "no library");
    aurora.signal("HUP").await;
    aurora.wait_for_output("plugin refused").await;
    aurora.signal("TERM").await;

    assert_eq!(aurora.wait_for_exit().await, Some(0));
}
