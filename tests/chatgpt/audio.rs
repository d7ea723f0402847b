//! Speech and transcription.

use aurora_testkit::chatgpt::Fault;
use aurora_testkit::eventually;
use serde_json::{Value, json};

use super::super::support::refusal;
use super::files::{form, json_of};
use super::{Setup, setup};

const SPEECH: &str = "/v1/audio/speech";
const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";

/// The last call for sound.
fn synthesized(setup: &Setup) -> aurora_testkit::chatgpt::Recorded {
    setup.web.calls("GET /synthesize").pop().unwrap()
}

#[tokio::test]
async fn every_voice_and_format_is_mapped() {
    let setup = setup("").await;
    let voices = [
        ("alloy", "cove"),
        ("ash", "fathom"),
        ("coral", "vale"),
        ("echo", "ember"),
        ("fable", "breeze"),
        ("onyx", "orbit"),
        ("nova", "maple"),
        ("sage", "glimmer"),
        ("shimmer", "juniper"),
        ("sol", "sol"),
        ("nobody", "cove"),
    ];
    for (asked, voice) in voices {
        let response = setup
            .post(SPEECH, &json!({"input": "Hello!", "voice": asked}))
            .await;
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.headers()["content-type"],
            "audio/mpeg",
            "mp3 where nothing is asked for"
        );
        assert_eq!(
            synthesized(&setup).parameter("voice").as_deref(),
            Some(voice),
            "{asked}"
        );
    }
    let formats = [
        ("mp3", "mp3", "audio/mpeg"),
        ("opus", "opus", "audio/ogg"),
        ("aac", "aac", "audio/aac"),
        ("flac", "aac", "audio/aac"),
        ("wav", "aac", "audio/aac"),
        ("pcm", "aac", "audio/aac"),
    ];
    for (asked, format, content_type) in formats {
        let response = setup
            .post(
                SPEECH,
                &json!({"input": "Hello!", "response_format": asked}),
            )
            .await;
        assert_eq!(response.headers()["content-type"], content_type, "{asked}");
        assert!(!response.bytes().await.unwrap().is_empty());
        assert_eq!(
            synthesized(&setup).parameter("format").as_deref(),
            Some(format)
        );
    }
}

#[tokio::test]
async fn the_text_itself_is_read_aloud_and_its_conversation_hidden() {
    let setup = setup("").await;
    for by_url in [false, true] {
        setup.web.speech_by_url(by_url);
        let response = setup
            .post(SPEECH, &json!({"input": "Hello, this is a test!"}))
            .await;
        assert_eq!(response.status(), 200);
        let sound = response.bytes().await.unwrap();
        assert!(
            sound
                .windows(22)
                .any(|part| part == b"Hello, this is a test!"),
            "not the model's reply"
        );
        let turn = setup.last_turn();
        assert_eq!(turn["messages"][0]["author"]["role"], "assistant");
        assert_eq!(turn["history_and_training_disabled"], false);
        let asked = synthesized(&setup);
        let sent = turn["messages"][0]["id"].as_str().map(str::to_owned);
        assert_eq!(asked.parameter("message_id"), sent);
        let id = asked.parameter("conversation_id").unwrap();
        eventually("the conversation is hidden", async || setup.web.hidden(&id)).await;
    }
}

#[tokio::test]
async fn a_failure_hides_the_conversation_too() {
    let setup = setup("").await;
    setup.web.fault(
        "GET /synthesize",
        Fault::status(404, &json!({"detail": "Conversation not found"})).always(),
    );

    let refused = refusal(setup.post(SPEECH, &json!({"input": "Hello!"})).await).await;

    assert_eq!(refused.status, 404);
    let id = setup.web.conversations().pop().unwrap();
    assert!(setup.web.hidden(&id));
}

#[tokio::test]
async fn speech_requests_are_checked() {
    let setup = setup("").await;
    let long = "a".repeat(4097);
    for (body, code, param) in [
        (
            json!({"voice": "alloy"}),
            "missing_required_parameter",
            "input",
        ),
        (json!({"input": " "}), "missing_required_parameter", "input"),
        (json!({"input": 7}), "invalid_value", "input"),
        (json!({"input": long}), "invalid_value", "input"),
        (
            json!({"input": "x", "response_format": "midi"}),
            "invalid_value",
            "response_format",
        ),
    ] {
        let refused = refusal(setup.post(SPEECH, &body).await).await;
        assert_eq!(
            (
                refused.status,
                refused.code.as_str(),
                refused.param.as_deref()
            ),
            (400, code, Some(param))
        );
    }
    assert!(setup.web.requests().is_empty());
}

#[tokio::test]
async fn a_transcription_comes_in_the_form_asked_for() {
    let setup = setup("").await;
    for plain in [false, true] {
        setup.web.plain_transcripts(plain);
        let sound = b"RIFF sound";
        let ask = |format: &'static str| {
            let fields = [
                ("model", "whisper-1"),
                ("language", "en"),
                ("response_format", format),
            ];
            form(
                ("name=\"file\"; filename=\"a.wav\"", "audio/wav", sound),
                &fields,
            )
        };
        let json = json_of(setup.send_form(TRANSCRIPTIONS, ask("json")).await).await;
        let text = json["text"].as_str().unwrap().to_owned();
        assert!(text.contains("10") && text.contains("en"), "{text}");
        let plain = setup.send_form(TRANSCRIPTIONS, ask("text")).await;
        assert!(
            plain.headers()["content-type"]
                .to_str()
                .unwrap()
                .starts_with("text/plain")
        );
        assert_eq!(plain.text().await.unwrap(), text);
        let verbose = json_of(setup.send_form(TRANSCRIPTIONS, ask("verbose_json")).await).await;
        assert_eq!(
            (&verbose["task"], &verbose["language"]),
            (&json!("transcribe"), &json!("en"))
        );
        assert_eq!(verbose["text"].as_str(), Some(text.as_str()));
        let translated = json_of(
            setup
                .send_form("/v1/audio/translations", ask("verbose_json"))
                .await,
        )
        .await;
        assert_eq!(translated["task"], "translate");
    }
}

#[tokio::test]
async fn transcription_requests_are_checked() {
    let setup = setup("").await;
    let file = |bytes: &[u8], fields: &[(&str, &str)]| {
        form(
            ("name=\"file\"; filename=\"a.wav\"", "audio/wav", bytes),
            fields,
        )
    };
    let big = vec![0; (50 << 20) + 1];
    let table = [
        (
            file(b"x", &[("response_format", "srt")]),
            400,
            "invalid_response_format",
        ),
        (file(b"x", &[("language", "e n\r\n")]), 400, "invalid_value"),
        (file(b"", &[]), 400, "empty_file"),
        (
            form(("name=\"sound\"; filename=\"a\"", "", b"x"), &[]),
            400,
            "missing_required_parameter",
        ),
        (file(&big, &[]), 413, "request_too_large"),
        (
            ("application/json".to_owned(), b"{}".to_vec()),
            400,
            "invalid_content_type",
        ),
    ];
    for (form, status, code) in table {
        let refused = refusal(setup.send_form(TRANSCRIPTIONS, form).await).await;
        assert_eq!((refused.status, refused.code.as_str()), (status, code));
    }
    assert!(setup.web.requests().is_empty());
}

#[tokio::test]
async fn the_models_are_the_services_own_and_known_ones_without_it() {
    let setup = setup("models = { fast = \"gpt-5\" }").await;
    let ids = |list: &Value| -> Vec<String> {
        let data = list["data"].as_array().unwrap().iter();
        data.map(|model| model["id"].as_str().unwrap().to_owned())
            .collect()
    };
    setup
        .web
        .models(json!({"models": [{"slug": "gpt-9"}, {"slug": "gpt-9-mini"}]}));
    let list = json_of(setup.aurora.get("/v1/models").send().await.unwrap()).await;
    assert_eq!(ids(&list), ["auto", "fast", "gpt-9", "gpt-9-mini"]);
    let one = json_of(setup.aurora.get("/v1/models/gpt-9").send().await.unwrap()).await;
    assert_eq!(
        (&one["object"], &one["owned_by"]),
        (&json!("model"), &json!("openai"))
    );
    let gone = refusal(setup.aurora.get("/v1/models/gpt-8").send().await.unwrap()).await;
    assert_eq!(gone.code, "model_not_found");
    assert_eq!(
        setup.web.calls("GET /models").len(),
        1,
        "asked once, known for a while"
    );

    let other = super::setup("").await;
    other
        .web
        .fault("GET /models", Fault::status(500, &json!({})).always());
    let list = json_of(other.aurora.get("/v1/models").send().await.unwrap()).await;
    assert!(ids(&list).contains(&"gpt-5-6-thinking".to_owned()));
}
