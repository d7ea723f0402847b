//! Pictures made of pictures.

use aurora_testkit::FakeChatGpt;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::super::support::refusal;
use super::files::{form, json_of};
use super::images::{GENERATIONS, is_png};
use super::setup;

#[tokio::test]
async fn edits_take_pictures_in_every_form() {
    let setup = setup("").await;
    let png = FakeChatGpt::picture(4);
    let encoded = STANDARD.encode(&png);
    let url = format!("data:image/png;base64,{encoded}");
    for name in ["image", "image[]", "images", "images[]"] {
        let disposition = format!("name=\"{name}\"; filename=\"a.png\"");
        let form = form(
            (&disposition, "image/png", &png),
            &[("prompt", "make it blue"), ("n", "1")],
        );
        let answer = json_of(setup.send_form("/v1/images/edits", form).await).await;
        assert!(is_png(&answer["data"][0]), "{name}");
    }
    for body in [
        json!({"prompt": "blue", "images": [{"image_url": url}, {"image_url": url}]}),
        json!({"prompt": "blue", "image": {"image_url": {"url": url}}}),
        json!({"prompt": "blue", "image_url": url}),
        json!({"prompt": "blue", "image": encoded}),
        json!({"input": [{"role": "user", "content": [{"type": "input_text", "text": "blue"},
            {"type": "input_image", "image_url": url}]}]}),
    ] {
        let answer = json_of(setup.post("/v1/images/edits", &body).await).await;
        assert!(is_png(&answer["data"][0]));
        let parts = setup.last_turn()["messages"][0]["content"]["parts"].clone();
        let parts = parts.as_array().unwrap();
        assert_eq!(parts[0]["width"], 4);
        assert!(parts.last().unwrap().as_str().unwrap().starts_with("blue"));
    }
}

#[tokio::test]
async fn variations_need_no_prompt() {
    let setup = setup("").await;
    let png = FakeChatGpt::picture(4);
    let only = || {
        form(
            ("name=\"image\"; filename=\"a.png\"", "image/png", &png),
            &[],
        )
    };
    let answer = json_of(setup.send_form("/v1/images/variations", only()).await).await;
    assert!(is_png(&answer["data"][0]));
}

#[tokio::test]
async fn requests_for_pictures_are_checked() {
    let setup = setup("").await;
    let png = FakeChatGpt::picture(4);
    let only = form(
        ("name=\"image\"; filename=\"a.png\"", "image/png", &png),
        &[],
    );
    let table = [
        (
            setup.send_form("/v1/images/edits", only).await,
            "missing_required_parameter",
            "prompt",
        ),
        (
            setup
                .post("/v1/images/edits", &json!({"prompt": "x"}))
                .await,
            "missing_required_parameter",
            "image",
        ),
        (
            setup.post(GENERATIONS, &json!({"n": 1})).await,
            "missing_required_parameter",
            "prompt",
        ),
        (
            setup
                .post(GENERATIONS, &json!({"prompt": "x", "n": "two"}))
                .await,
            "invalid_value",
            "n",
        ),
        (
            setup
                .post(
                    GENERATIONS,
                    &json!({"prompt": "x", "response_format": "gif"}),
                )
                .await,
            "invalid_value",
            "response_format",
        ),
        (
            setup
                .post("/v1/images/edits", &json!({"prompt": "x", "image": "@@"}))
                .await,
            "invalid_image",
            "image",
        ),
    ];
    for (response, code, param) in table {
        let refused = refusal(response).await;
        assert_eq!(
            (
                refused.status,
                refused.code.as_str(),
                refused.param.as_deref()
            ),
            (400, code, Some(param))
        );
    }
}
