//! `POST audio/transcriptions` and `audio/translations`: the text says what was received.

mod duration;

use aurora_sdk::Error;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::answer::named;
use crate::fields::Fields;
use crate::form::Upload;
use crate::{Answer, Exchange, words};

const FORMATS: [&str; 5] = ["json", "text", "srt", "vtt", "verbose_json"];

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// To text in the language spoken.
    Transcribe,
    /// To English text.
    Translate,
}

struct Transcript {
    task: Task,
    text: String,
    language: String,
    seconds: f64,
}

/// Turns a sound file into text.
pub(crate) async fn transcribe(exchange: &Exchange<'_>, task: Task) -> Result<Answer, Error> {
    let form = exchange.form().await?;
    let upload = form.file()?;
    let fields = &form.fields;
    let format = fields.word("response_format", &FORMATS)?.unwrap_or("json");
    // OpenAI streams transcriptions only.
    let stream = fields.flag("stream")? && task == Task::Transcribe;
    let transcript = Transcript::of(task, upload, fields)?;
    Ok(if stream {
        Answer::events(transcript.events())
    } else {
        transcript.answer(format)
    })
}

impl Transcript {
    fn of(task: Task, upload: &Upload, fields: &Fields) -> Result<Self, Error> {
        let verb = match task {
            Task::Transcribe => "Transcription",
            Task::Translate => "Translation",
        };
        let bytes = upload.content.len();
        let known = duration::of_wav(&upload.content);
        let length = known.map_or_else(String::new, |seconds| format!(", {seconds:.1} s"));
        let language = match (task, fields.text("language")?) {
            (Task::Transcribe, Some(language)) if !language.is_empty() => language,
            _ => "english",
        };
        Ok(Self {
            task,
            text: format!("{verb} of {} ({bytes} bytes{length}).", upload.title()),
            language: words::quote(language, 40),
            seconds: known.unwrap_or_else(|| duration::guess(bytes)),
        })
    }

    fn answer(&self, format: &str) -> Answer {
        let plain = "text/plain; charset=utf-8";
        match format {
            "text" => Answer::new(plain, format!("{}\n", self.text)),
            "srt" => Answer::new(plain, self.subtitles("1\n", ',')),
            "vtt" => Answer::new("text/vtt; charset=utf-8", self.subtitles("WEBVTT\n\n", '.')),
            "verbose_json" => Answer::json(&self.verbose()),
            _ if self.task == Task::Translate => Answer::json(&json!({"text": self.text})),
            _ => Answer::json(&json!({"text": self.text, "usage": self.usage()})),
        }
    }

    fn usage(&self) -> Value {
        json!({"type": "duration", "seconds": self.seconds.ceil()})
    }

    /// One subtitle over the whole length.
    fn subtitles(&self, head: &str, point: char) -> String {
        let (start, end) = (stamp(0.0, point), stamp(self.seconds, point));
        // An arrow in the file's name would read as a time line.
        let text = self.text.replace("-->", "->");
        format!("{head}{start} --> {end}\n{text}\n\n")
    }

    fn verbose(&self) -> Value {
        let task = match self.task {
            Task::Transcribe => "transcribe",
            Task::Translate => "translate",
        };
        let spoken: Vec<&str> = self.text.split_whitespace().collect();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a text has fewer words than a float has whole numbers"
        )]
        let at = |index: usize| round(self.seconds * index as f64 / spoken.len().max(1) as f64);
        let words: Vec<Value> = spoken
            .iter()
            .enumerate()
            .map(|(index, word)| json!({"word": word, "start": at(index), "end": at(index + 1)}))
            .collect();
        let segment = json!({
            "id": 0,
            "seek": 0,
            "start": 0.0,
            "end": self.seconds,
            "text": self.text,
            "tokens": (0..words::count(&self.text)).collect::<Vec<_>>(),
            "temperature": 0.0,
            "avg_logprob": -0.1,
            "compression_ratio": 1.0,
            "no_speech_prob": 0.01,
        });
        json!({
            "task": task,
            "language": self.language,
            "duration": self.seconds,
            "text": self.text,
            "segments": [segment],
            "words": words,
            "usage": self.usage(),
        })
    }

    fn events(&self) -> Vec<Bytes> {
        let mut events: Vec<Bytes> = words::pieces(&self.text)
            .map(|piece| named(&json!({"type": "transcript.text.delta", "delta": piece})))
            .collect();
        let output = events.len() as u64;
        events.push(named(&json!({
            "type": "transcript.text.done",
            "text": self.text,
            "usage": {
                "type": "tokens",
                "input_tokens": 1,
                "output_tokens": output,
                "total_tokens": output + 1,
            },
        })));
        events
    }
}

fn round(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// `00:00:01.500`, with `point` before the milliseconds.
fn stamp(seconds: f64, point: char) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "seconds of a file in memory"
    )]
    let millis = (seconds * 1000.0).round() as u64;
    let (hours, minutes, seconds) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60);
    format!(
        "{hours:02}:{minutes:02}:{seconds:02}{point}{:03}",
        millis % 1000
    )
}
