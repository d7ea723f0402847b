//! A library that is dropped into the folder serves.

use std::time::Duration;

use aurora_testkit::eventually;
use serde_json::json;

use super::{FIXTURE, ask, config, fixture, serving, slot, version, with_fixture};
use crate::support::{aurora, refusal};

#[tokio::test]
async fn a_library_in_the_folder_serves_what_the_config_says() {
    let aurora = with_fixture("[plugins.fixture]\nword = \"hi\"")
        .start()
        .await;

    let answer = ask(&aurora, "version").await;

    assert_eq!(answer, json!({ "version": version(1), "word": "hi" }));
    let slot = slot(&aurora, "fixture").await;
    assert_eq!(
        (&slot["serving"]["generation"], &slot["serving"]["version"]),
        (&json!(1), &json!("1.0.0"))
    );
}

#[tokio::test]
async fn a_library_that_comes_later_is_found_in_a_folder_that_comes_later() {
    let chat = "[upstreams.mock]\nprotocol = \"mock\"\n";
    let aurora = aurora(chat).start().await;

    std::fs::create_dir(aurora.path("plugins")).unwrap();
    aurora.write(FIXTURE, fixture(1));
    aurora.write("aurora.toml", config(""));

    eventually("the plugin serves", async || {
        aurora
            .get("/fixture/version")
            .send()
            .await
            .unwrap()
            .status()
            == 200
    })
    .await;
    assert_eq!(serving(&aurora).await, version(1));
}

#[tokio::test]
async fn options_change_without_another_library() {
    let aurora = with_fixture("[plugins.fixture]\nword = \"one\"")
        .start()
        .await;

    aurora.write("aurora.toml", config("[plugins.fixture]\nword = \"two\""));
    aurora.wait_for_generation(2).await;

    assert_eq!(ask(&aurora, "version").await["word"], "two");
    assert_eq!(slot(&aurora, "fixture").await["loaded_generations"], 1);
    aurora.wait_for_output("drained version-0000001").await;
    aurora.wait_for_output("destroyed version-0000001").await;
}

#[tokio::test]
async fn an_unrelated_change_leaves_the_instance_alone() {
    let aurora = with_fixture("").start().await;
    aurora.write(
        "aurora.toml",
        config("[[routes]]\npath = \"/x\"\nplugin = \"chat\"\nupstream = \"mock\""),
    );
    aurora.wait_for_generation(2).await;

    assert_eq!(serving(&aurora).await, version(1));
    assert_eq!(
        aurora.output().matches("created version-0000001").count(),
        1
    );
    assert!(!aurora.output().contains("destroyed"));
}

#[tokio::test]
async fn an_option_with_a_typo_is_shown_at_its_place_and_no_code_of_the_plugin_sees_it() {
    let aurora = with_fixture("").start().await;

    aurora.write("aurora.toml", config("[plugins.fixture]\nwrod = \"hi\""));
    let error = aurora.wait_for_reload_error().await;

    assert!(
        error.contains("error[AUR0701]") && error.contains("unknown option `wrod`"),
        "{error}"
    );
    assert!(
        error.contains("wrod = \"hi\"") && error.contains("known options: create"),
        "{error}"
    );
    assert_eq!(serving(&aurora).await, version(1));
    assert_eq!(aurora.output().matches("created").count(), 1);
}

#[tokio::test]
async fn an_error_of_a_plugin_reaches_the_client_as_it_is() {
    let aurora = with_fixture("").start().await;

    let refused = refusal(aurora.get("/fixture/fail").send().await.unwrap()).await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (400, "told_to_fail")
    );
    assert_eq!(
        (refused.param.as_deref(), refused.retry_after),
        (Some("mode"), Some(7))
    );
}

#[tokio::test]
async fn a_body_of_any_size_goes_through_a_plugin_in_pieces() {
    let aurora = with_fixture("").start().await;
    let body: Vec<u8> = (0..8 * 1024 * 1024_u32)
        .map(|number| (number % 251) as u8)
        .collect();

    let response = aurora
        .post("/fixture/echo", &json!({}))
        .body(body.clone())
        .send()
        .await
        .unwrap();

    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.unwrap() == body);
}

#[tokio::test]
async fn a_plugin_knows_who_asks_and_sees_no_credential() {
    let aurora = with_fixture("[auth]\nkeys = [{ name = \"team\", key = \"sk-secret\" }]")
        .start()
        .await;

    let response = aurora
        .get("/fixture/facts?a=%20b")
        .header("authorization", "Bearer sk-secret")
        .header("x-custom", "x")
        .send()
        .await
        .unwrap();
    let id = response.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let facts: serde_json::Value =
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();

    assert_eq!(facts["request_id"], id.as_str());
    assert_eq!(
        (&facts["client"], &facts["query"]),
        (&json!("team"), &json!("a=%20b"))
    );
    assert_eq!(
        (&facts["method"], &facts["path"]),
        (&json!("GET"), &json!("/fixture/facts"))
    );
    assert_eq!(
        (&facts["route"], &facts["stream"]),
        (&json!("/fixture/{*mode}"), &json!(true))
    );
    assert_eq!(
        (&facts["custom"], &facts["authorization"]),
        (&json!("x"), &json!(null))
    );
}

#[tokio::test]
async fn a_stream_is_sent_as_it_comes() {
    let aurora = with_fixture("").start().await;

    let mut response = aurora.get("/fixture/stream/3/200").send().await.unwrap();
    let started = std::time::Instant::now();
    let first = response.chunk().await.unwrap().unwrap();

    assert!(first.starts_with(b"data: {\"n\":1,"), "{first:?}");
    assert!(started.elapsed() < Duration::from_millis(200));
    let mut rest = Vec::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        rest.extend_from_slice(&chunk);
    }
    assert!(rest.ends_with(b"data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_removed_library_serves_on_and_status_says_that_it_is_missing() {
    let aurora = with_fixture("").start().await;

    std::fs::remove_file(aurora.path(FIXTURE)).unwrap();

    eventually("it is missed", async || {
        aurora.admin("POST", "/reload").await;
        slot(&aurora, "fixture").await["missing"] == true
    })
    .await;
    assert_eq!(serving(&aurora).await, version(1));
}

#[tokio::test]
async fn a_plugin_of_a_built_in_name_takes_its_place_and_a_second_name_has_a_file_of_its_own() {
    let settings = "[plugins.second]\nfile = \"other.so\"\nword = \"2\"\n\n[[routes]]\npath = \"/second/{*mode}\"\n\
                    plugin = \"second\"\n";
    let aurora = with_fixture(settings)
        .file("plugins/other.so", fixture(2))
        .start()
        .await;

    let second = aurora.get("/second/version").send().await.unwrap();
    let second: serde_json::Value = serde_json::from_slice(&second.bytes().await.unwrap()).unwrap();

    assert_eq!(second, json!({ "version": version(2), "word": "2" }));
    assert_eq!(serving(&aurora).await, version(1));
}
