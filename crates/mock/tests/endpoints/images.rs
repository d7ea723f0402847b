//! Pictures.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::client::{Client, error, events, json};

/// Width and height of a picture in base64, decoded to its last pixel.
fn size(picture: &Value) -> (u32, u32) {
    let bytes = STANDARD.decode(picture.as_str().unwrap()).unwrap();
    let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    (frame.width, frame.height)
}

#[test]
fn pictures_have_the_size_asked_for_and_differ() {
    let request = json!({"prompt": "a cat", "size": "256x128", "n": 2, "output_format": "webp"});

    let answer = json(&Client::default().post("images/generations", &request));

    assert_eq!(size(&answer["data"][0]["b64_json"]), (256, 128));
    assert_ne!(answer["data"][0], answer["data"][1]);
    assert_eq!(answer["data"][0]["revised_prompt"], "a cat");
    assert_eq!(answer["output_format"], "png");
    assert_eq!(answer["usage"]["total_tokens"], 2 + 544);
    assert_eq!(
        answer,
        json(&Client::default().post("images/generations", &request))
    );
}

#[test]
fn a_url_holds_the_picture_itself() {
    let request = json!({"prompt": "a cat", "response_format": "url", "size": "64x64"});

    let answer = json(&Client::default().post("images/generations", &request));

    let url = answer["data"][0]["url"].as_str().unwrap();
    let picture = url.strip_prefix("data:image/png;base64,").unwrap();
    assert_eq!(size(&json!(picture)), (64, 64));
}

#[test]
fn a_stream_shows_the_picture_grow() {
    let request = json!({"prompt": "a cat", "stream": true, "partial_images": 2, "size": "auto"});

    let events = events(&Client::default().post("images/generations", &request));

    let names: Vec<_> = events
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "image_generation.partial_image",
            "image_generation.partial_image",
            "image_generation.completed"
        ]
    );
    assert_eq!(events[1]["partial_image_index"], 1);
    assert_ne!(events[0]["b64_json"], events[2]["b64_json"]);
    assert_eq!(size(&events[2]["b64_json"]), (1024, 1024));
    assert!(events[2]["usage"]["total_tokens"].is_u64());
}

#[test]
fn edits_and_variations_take_forms() {
    let client = Client::default();
    let small = ("size", None, b"64x64".as_slice());
    let image = ("image[]", Some("a.png"), b"\x89PNG".as_slice());
    let mask = ("mask", Some("m.png"), b"mask".as_slice());
    let prompt = ("prompt", None, b"blue".as_slice());
    let stream = ("stream", None, b"true".as_slice());

    let edit = json(&client.form("images/edits", &[image, mask, prompt, small]));
    let unmasked = json(&client.form("images/edits", &[image, prompt, small]));
    let vary = json(&client.form("images/variations", &[image, small]));
    let streamed = events(&client.form("images/edits", &[image, image, prompt, small, stream]));

    assert_eq!(size(&edit["data"][0]["b64_json"]), (64, 64));
    assert_ne!(edit["data"][0], unmasked["data"][0]);
    assert_eq!(size(&vary["data"][0]["b64_json"]), (64, 64));
    assert_eq!(streamed[0]["type"], "image_edit.completed");
    assert_eq!(
        streamed[0]["usage"]["input_tokens_details"]["image_tokens"],
        170
    );
}

#[test]
fn edits_take_json() {
    let request = json!({
        "prompt": "blue",
        "size": "64x64",
        "images": [{"image_url": "data:image/png;base64,AA"}, {"file_id": "file-1"}],
    });

    let answer = json(&Client::default().post("images/edits", &request));

    assert_eq!(size(&answer["data"][0]["b64_json"]), (64, 64));
}

#[test]
fn bad_requests_name_the_member_at_fault() {
    let client = Client::default();
    let cases = [
        ("images/generations", json!({}), "prompt"),
        ("images/generations", json!({"prompt": ""}), "prompt"),
        ("images/generations", json!({"prompt": "x", "n": 11}), "n"),
        (
            "images/generations",
            json!({"prompt": "x", "size": "big"}),
            "size",
        ),
        (
            "images/generations",
            json!({"prompt": "x", "response_format": "gif"}),
            "response_format",
        ),
        ("images/edits", json!({"prompt": "x"}), "image"),
        ("images/edits", json!({"prompt": "x", "image": 4}), "image"),
        (
            "images/edits",
            json!({"image": "data:image/png;base64,AA"}),
            "prompt",
        ),
        ("images/variations", json!({}), "image"),
    ];
    for (path, request, param) in cases {
        let (status, _, named) = error(&client.post(path, &request));

        assert_eq!(
            (status, named.as_deref()),
            (400, Some(param)),
            "{path} {request}"
        );
    }
    let empty = client.form("images/edits", &[("image", Some("a.png"), b"")]);
    assert_eq!(error(&empty).2.as_deref(), Some("image"));
}
