//! Speech and transcription.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use serde_json::json;

use crate::client::{Client, body, error, events, json};

fn speak(format: &str) -> (String, Vec<u8>) {
    let request = json!({"model": "m", "voice": "alloy", "input": "fifteen letters", "response_format": format});
    let answer = Client::default().post("audio/speech", &request);
    let content_type = answer.headers[CONTENT_TYPE].to_str().unwrap().to_owned();
    (content_type, body(&answer).to_vec())
}

#[test]
fn every_format_has_its_type_and_its_frames() {
    let (wav_type, wav) = speak("wav");
    let (pcm_type, pcm) = speak("pcm");
    let (flac_type, flac) = speak("flac");
    let (mp3_type, mp3) = speak("mp3");
    let (aac_type, aac) = speak("aac");
    let (opus_type, opus) = speak("opus");

    assert_eq!(wav_type, "audio/wav");
    assert_eq!(&wav[..4], b"RIFF");
    assert_eq!(wav[44..], pcm);
    assert_eq!(pcm_type, "audio/pcm");
    assert_eq!(pcm.len(), 48_000, "one second for fifteen letters");
    assert_eq!(flac_type, "audio/flac");
    assert_eq!(&flac[..4], b"fLaC");
    assert_eq!(flac[42..44], [0xFF, 0xF8]);
    assert_eq!(mp3_type, "audio/mpeg");
    assert_eq!(mp3.len(), 42 * 48);
    assert!(mp3.chunks(48).all(|frame| frame[..2] == [0xFF, 0xF3]));
    assert_eq!(aac_type, "audio/aac");
    assert!(aac.chunks(11).all(|frame| frame[..2] == [0xFF, 0xF1]));
    assert_eq!(opus_type, "audio/ogg");
    assert_eq!(&opus[28..36], b"OpusHead");
}

#[test]
fn speech_comes_as_events_too() {
    let mut request =
        json!({"model": "m", "voice": "alloy", "input": "hello", "response_format": "wav"});
    let plain = Client::default().post("audio/speech", &request);
    request["stream_format"] = json!("sse");

    let events = events(&Client::default().post("audio/speech", &request));

    let (done, deltas) = events.split_last().unwrap();
    let audio: Vec<u8> = deltas
        .iter()
        .flat_map(|event| STANDARD.decode(event["audio"].as_str().unwrap()).unwrap())
        .collect();
    assert_eq!(audio, *body(&plain));
    assert!(
        deltas
            .iter()
            .all(|event| event["type"] == "speech.audio.delta")
    );
    assert_eq!(done["type"], "speech.audio.done");
    assert!(done["usage"]["total_tokens"].is_u64());
}

#[test]
fn speech_that_cannot_be_made_names_the_member_at_fault() {
    let client = Client::default();
    let cases = [
        (json!({"input": ""}), "input"),
        (json!({"input": "x".repeat(4097)}), "input"),
        (
            json!({"input": "x", "response_format": "midi"}),
            "response_format",
        ),
        (
            json!({"input": "x", "stream_format": "tape"}),
            "stream_format",
        ),
        (json!({"input": "x", "speed": 9}), "speed"),
    ];
    for (request, param) in cases {
        let (status, _, named) = error(&client.post("audio/speech", &request));

        assert_eq!((status, named.as_deref()), (400, Some(param)));
    }
}

#[test]
fn a_transcription_says_what_was_received() {
    let client = Client::default();
    let (_, wav) = speak("wav");

    let wav = json(&client.form("audio/transcriptions", &[("file", Some("a.wav"), &wav)]));
    let mp3 = json(&client.form("audio/translations", &[("file", Some("b.mp3"), b"ID3")]));

    assert_eq!(wav["text"], "Transcription of a.wav (48044 bytes, 1.0 s).");
    assert_eq!(wav["usage"], json!({"type": "duration", "seconds": 1.0}));
    assert_eq!(mp3, json!({"text": "Translation of b.mp3 (3 bytes)."}));
}

#[test]
fn a_transcription_has_the_format_asked_for() {
    let client = Client::default();
    let (_, wav) = speak("wav");
    let ask = |format: &str| {
        let parts = [
            ("file", Some("a.wav"), wav.as_slice()),
            ("response_format", None, format.as_bytes()),
        ];
        client.form("audio/transcriptions", &parts)
    };
    let text = |format| String::from_utf8(body(&ask(format)).to_vec()).unwrap();

    let said = "Transcription of a.wav (48044 bytes, 1.0 s).";
    assert_eq!(text("text"), format!("{said}\n"));
    assert_eq!(
        text("srt"),
        format!("1\n00:00:00,000 --> 00:00:01,000\n{said}\n\n")
    );
    assert_eq!(
        text("vtt"),
        format!("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n{said}\n\n")
    );
    let verbose = json(&ask("verbose_json"));
    assert_eq!(verbose["duration"], 1.0);
    assert_eq!(verbose["segments"][0]["text"], said);
    assert_eq!(verbose["words"].as_array().unwrap().len(), 7);
    assert_eq!(verbose["words"][6]["end"], 1.0);
    assert_eq!(error(&ask("xml")).2.as_deref(), Some("response_format"));
}

#[test]
fn a_transcription_can_be_streamed() {
    let parts = [
        ("file", Some("a.mp3"), b"ID3".as_slice()),
        ("stream", None, b"true"),
    ];

    let events = events(&Client::default().form("audio/transcriptions", &parts));

    let (done, deltas) = events.split_last().unwrap();
    let joined: String = deltas
        .iter()
        .filter_map(|event| event["delta"].as_str())
        .collect();
    assert_eq!(done["type"], "transcript.text.done");
    assert_eq!(done["text"], joined);
}

#[test]
fn a_transcription_without_a_file_is_refused() {
    let client = Client::default();

    let none = client.form("audio/transcriptions", &[("model", None, b"m")]);
    let empty = client.form("audio/translations", &[("file", Some("a.wav"), b"")]);

    assert_eq!(
        error(&none),
        (
            400,
            "missing_required_parameter".to_owned(),
            Some("file".to_owned())
        )
    );
    assert_eq!(
        error(&empty),
        (400, "invalid_value".to_owned(), Some("file".to_owned()))
    );
}
