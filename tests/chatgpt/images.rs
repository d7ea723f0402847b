//! Pictures: inline and awaited, as base64 and as links of the gateway.

use aurora_testkit::FakeChatGpt;
use aurora_testkit::chatgpt::{Fault, Host, Links, Reply};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::support::refusal;
use super::files::json_of;
use super::{Setup, setup};

pub(super) const GENERATIONS: &str = "/v1/images/generations";

async fn made(setup: &Setup, body: Value) -> Vec<Value> {
    let answer = json_of(setup.post(GENERATIONS, &body).await).await;
    assert!(answer["created"].as_u64().unwrap() > 1_700_000_000);
    answer["data"].as_array().unwrap().clone()
}

pub(super) fn is_png(item: &Value) -> bool {
    assert!(item.get("url").is_none(), "one of both alone");
    let bytes = STANDARD.decode(item["b64_json"].as_str().unwrap()).unwrap();
    bytes.starts_with(b"\x89PNG")
}

#[tokio::test]
async fn a_picture_is_base64_unless_a_link_is_asked_for() {
    let setup = setup("").await;

    let data = made(
        &setup,
        json!({"model": "gpt-image-2", "prompt": "a cat", "size": "1024x1024"}),
    )
    .await;

    assert!(data.len() == 1 && is_png(&data[0]));
    let turn = setup.last_turn();
    assert_eq!(turn["system_hints"], json!(["picture_v2"]));
    assert_eq!(turn["model"], "auto");
    assert!(
        turn["history_and_training_disabled"].as_bool() != Some(true),
        "it must be kept"
    );
    let text = turn["messages"][0]["content"]["parts"][0].as_str().unwrap();
    assert!(
        text.starts_with("a cat") && text.contains("1024x1024"),
        "{text}"
    );
    assert_eq!(
        turn["messages"][0]["metadata"]["system_hints"],
        json!(["picture_v2"])
    );
}

#[tokio::test]
async fn a_link_is_the_gateways_own_signed_and_needs_no_key() {
    let web = FakeChatGpt::start().await;
    let config = format!("[auth]\nkeys = [\"sk-1\"]\n{}", super::config(&web, ""));
    let builder =
        super::super::support::aurora(&config).file("access_tokens.txt", web.account("a"));
    let setup = Setup {
        aurora: builder.start().await,
        web,
    };
    let body = json!({"prompt": "a cat", "response_format": "url"});
    let request = setup.aurora.post(GENERATIONS, &body).bearer_auth("sk-1");

    let answer = json_of(request.send().await.unwrap()).await;

    let link = answer["data"][0]["url"].as_str().unwrap();
    assert!(
        link.starts_with(&format!("{}/_aurora/pictures/", setup.aurora.url())),
        "{link}"
    );
    let get = |url: String| setup.aurora.client().get(url).send();
    let shown = get(link.to_owned()).await.unwrap();
    assert_eq!(shown.headers()["content-type"], "image/png");
    assert!(shown.bytes().await.unwrap().starts_with(b"\x89PNG"));
    for wrong in [
        link.replace("signature=", "signature=x"),
        link.replace("expires=1", "expires=2"),
    ] {
        let refused = refusal(get(wrong).await.unwrap()).await;
        assert_eq!(
            (refused.status, refused.code.as_str()),
            (403, "invalid_link")
        );
    }
}

#[tokio::test]
async fn several_pictures_are_several_conversations() {
    let setup = setup("").await;
    for (n, count) in [(json!(0), 1), (json!(1), 1), (json!(3), 3), (json!(99), 10)] {
        let before = setup.web.turns().len();
        let data = made(&setup, json!({"prompt": "cats", "n": n})).await;
        assert_eq!(
            (data.len(), setup.web.turns().len() - before),
            (count, count),
            "{n}"
        );
    }
}

#[tokio::test]
async fn one_failure_of_several_leaves_the_others() {
    let setup = setup("").await;
    setup.web.reply(Reply::image());
    setup.web.reply(Reply::image_refusal("I can't draw that."));
    setup.web.reply(Reply::image());

    assert_eq!(
        made(&setup, json!({"prompt": "cats", "n": 3})).await.len(),
        2
    );
}

#[tokio::test]
async fn a_late_picture_is_waited_for() {
    let setup = setup("").await;
    for reply in [Reply::async_image(1), Reply::async_image(0).pushed()] {
        setup.web.reply(reply);
        let data = made(&setup, json!({"prompt": "a lighthouse"})).await;
        assert!(data.len() == 1 && is_png(&data[0]));
    }
    // Not stored at once, and looks may be limited.
    setup.web.reply(Reply::async_image(0));
    setup.web.fault(
        "GET /conversation/*",
        Fault::status(404, &json!({"detail": "conversation_not_found"})),
    );
    setup
        .web
        .fault("GET /conversation/*", Fault::status(500, &json!({})));
    assert_eq!(
        made(&setup, json!({"prompt": "a lighthouse"})).await.len(),
        1
    );
}

#[tokio::test]
async fn a_late_picture_that_never_comes_is_given_up() {
    let setup = setup("timeouts = { image = \"1s\" }").await;
    setup.web.reply(Reply::async_image(1000));

    let refused = refusal(setup.post(GENERATIONS, &json!({"prompt": "x"})).await).await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (504, "image_generation_timeout")
    );
}

#[tokio::test]
async fn what_is_no_picture_is_told_by_kind() {
    let setup = setup("").await;
    for (reply, status, code) in [
        (
            Reply::image_refusal("This goes against our content policy."),
            400,
            "content_policy_violation",
        ),
        (
            Reply::async_image_refusal(0, "This goes against our content policy."),
            400,
            "content_policy_violation",
        ),
        (
            Reply::text("Here is a poem in place of a picture."),
            502,
            "image_generation_failed",
        ),
    ] {
        setup.web.reply(reply);
        let refused = refusal(setup.post(GENERATIONS, &json!({"prompt": "x"})).await).await;
        assert_eq!((refused.status, refused.code.as_str()), (status, code));
    }
}

#[tokio::test]
async fn a_quota_cools_the_account_for_pictures_alone() {
    let setup = setup("").await;
    setup.web.reply(Reply::image_quota("14 minutes"));

    let first = refusal(setup.post(GENERATIONS, &json!({"prompt": "x"})).await).await;
    let again = refusal(setup.post(GENERATIONS, &json!({"prompt": "x"})).await).await;

    assert_eq!(
        (first.status, first.code.as_str()),
        (429, "image_rate_limit")
    );
    assert_eq!(first.retry_after, Some(840));
    assert_eq!(again.status, 429);
    assert_eq!(setup.web.turns().len(), 1, "the second was not even asked");
    assert_eq!(setup.chat(super::asking("hi", false)).await.status, 200);
}

#[tokio::test]
async fn the_final_picture_counts_and_not_its_preview_or_an_earlier_one() {
    let setup = setup("").await;
    for reply in [Reply::image().preview(), Reply::image().revisions(3)] {
        setup.web.reply(reply);
        assert_eq!(made(&setup, json!({"prompt": "x"})).await.len(), 1);
    }
    setup.web.reply(Reply::image().pictures(2));
    assert_eq!(
        made(&setup, json!({"prompt": "x"})).await.len(),
        2,
        "one turn may make several"
    );
}

#[tokio::test]
async fn credentials_go_to_the_services_own_host_only() {
    let setup = setup("").await;
    for links in [Links::Blob, Links::Estuary] {
        setup.web.links(links);
        assert!(is_png(&made(&setup, json!({"prompt": "x"})).await[0]));
    }
    setup.web.stale_links(1);
    assert!(
        is_png(&made(&setup, json!({"prompt": "x"})).await[0]),
        "a stale link is asked for again"
    );
    setup.web.slow_links(2);
    assert!(is_png(&made(&setup, json!({"prompt": "x"})).await[0]));
    for request in setup
        .web
        .requests()
        .iter()
        .filter(|request| request.host == Host::Blob)
    {
        for header in ["authorization", "cookie", "chatgpt-account-id"] {
            assert_eq!(request.header(header), None, "{header}");
        }
    }
}

#[tokio::test]
async fn a_picture_in_a_chat_is_shown_by_link() {
    let setup = setup("").await;
    for stream in [true, false] {
        setup.web.reply(Reply::image());
        let told = setup.chat(super::asking("draw", stream)).await;
        let link = told
            .text
            .strip_prefix("![image](")
            .unwrap()
            .strip_suffix(')')
            .unwrap();
        assert_eq!(
            setup
                .aurora
                .client()
                .get(link)
                .send()
                .await
                .unwrap()
                .status(),
            200
        );
    }
}

#[tokio::test]
async fn a_late_picture_in_a_streamed_chat_is_no_silence() {
    let setup = setup("history = true\ntimeouts = { idle = \"2s\" }").await;
    setup.web.websockets(false);
    setup.web.reply(Reply::async_image(2));

    let told = setup.chat(super::asking("draw", true)).await;

    assert_eq!(told.error, None, "{}", told.message);
    assert!(
        told.is_whole && told.text.starts_with("![image]("),
        "{told:?}"
    );
}
