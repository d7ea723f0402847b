//! `POST audio/speech`: a melody as long as the text would be spoken.
//!
//! wav, pcm and flac carry the melody, mp3, aac and opus are valid files of silence of the same length: encoders for
//! those would be larger than the rest of the mock.

mod flac;
mod melody;
mod ogg;
mod silence;
mod wav;

use aurora_sdk::Error;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::json;

use crate::answer::named;
use crate::refusal::wrong_value;
use crate::seed::Seed;
use crate::{Answer, Exchange, words};

/// Characters at most, as at OpenAI.
const MAX_INPUT: usize = 4096;

/// Samples a second, as at OpenAI.
const RATE: u32 = 24_000;

/// Audio bytes in one event.
const EVENT_BYTES: usize = 16 * 1024;

const FORMATS: [&str; 6] = ["mp3", "opus", "aac", "flac", "wav", "pcm"];

/// Speaks a text.
pub(crate) fn speak(exchange: &Exchange<'_>) -> Result<Answer, Error> {
    let fields = exchange.fields()?;
    let input = fields.required_text("input")?;
    if input.chars().nth(MAX_INPUT).is_some() {
        let expected = format!("at most {MAX_INPUT} characters");
        return Err(wrong_value("input", &expected));
    }
    let format = fields.word("response_format", &FORMATS)?.unwrap_or("mp3");
    let sse = fields.word("stream_format", &["audio", "sse"])? == Some("sse");
    let speed = fields.number("speed", 0.25..=4.0)?.unwrap_or(1.0);
    let voice = fields
        .get("voice")
        .map(ToString::to_string)
        .unwrap_or_default();
    let samples = melody::samples(input, speed);
    let tune = || melody::melody(&Seed::of(&[voice.as_bytes(), input.as_bytes()]), samples);
    let (content_type, audio) = match format {
        "wav" => ("audio/wav", wav::file(&tune())),
        "pcm" => ("audio/pcm", wav::samples(&tune())),
        "flac" => ("audio/flac", flac::file(&tune())),
        "aac" => ("audio/aac", silence::aac(samples)),
        "opus" => ("audio/ogg", ogg::file(samples)),
        _ => ("audio/mpeg", silence::mp3(samples)),
    };
    if !sse {
        return Ok(Answer::new(content_type, audio));
    }
    let tokens = words::count(input);
    Ok(Answer::events(events(&audio, tokens)))
}

fn events(audio: &[u8], input_tokens: u64) -> Vec<Bytes> {
    let mut events: Vec<Bytes> = audio
        .chunks(EVENT_BYTES)
        .map(|chunk| named(&json!({"type": "speech.audio.delta", "audio": STANDARD.encode(chunk)})))
        .collect();
    let output_tokens = events.len() as u64;
    events.push(named(&json!({
        "type": "speech.audio.done",
        "usage": {
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "total_tokens": input_tokens + output_tokens,
        },
    })));
    events
}
