//! Which endpoint a path names, and who serves it.

use aurora_sdk::{Error, ErrorKind, Origin};
use http::header::{ALLOW, HeaderValue};

use crate::images::Task as ImageTask;
use crate::refusal::not_found;
use crate::transcribe::Task as AudioTask;
use crate::{
    Answer, Exchange, chat, completions, embeddings, files, images, models, moderations, speech,
    transcribe,
};

#[derive(Debug, Clone, Copy)]
enum Endpoint<'a> {
    Chat,
    Completions,
    Embeddings,
    Moderations,
    Models,
    Model(&'a str),
    Images(ImageTask),
    Speech,
    Transcribe(AudioTask),
    Files,
    File(&'a str),
    FileContent(&'a str),
}

impl<'a> Endpoint<'a> {
    fn find(path: &'a str) -> Option<Self> {
        Some(match path {
            "chat/completions" => Self::Chat,
            "completions" => Self::Completions,
            "embeddings" => Self::Embeddings,
            "moderations" => Self::Moderations,
            "models" => Self::Models,
            "images/generations" => Self::Images(ImageTask::Generate),
            "images/edits" => Self::Images(ImageTask::Edit),
            "images/variations" => Self::Images(ImageTask::Vary),
            "audio/speech" => Self::Speech,
            "audio/transcriptions" => Self::Transcribe(AudioTask::Transcribe),
            "audio/translations" => Self::Transcribe(AudioTask::Translate),
            "files" => Self::Files,
            _ => return Self::find_item(path),
        })
    }

    fn find_item(path: &'a str) -> Option<Self> {
        if let Some(id) = path.strip_prefix("models/") {
            return Some(Self::Model(id));
        }
        let rest = path.strip_prefix("files/")?;
        match rest.split_once('/') {
            None => Some(Self::File(rest)),
            Some((id, "content")) => Some(Self::FileContent(id)),
            Some(_) => None,
        }
    }

    fn methods(self) -> &'static str {
        match self {
            Self::Models | Self::Model(_) | Self::FileContent(_) => "GET",
            Self::Files => "GET, POST",
            Self::File(_) => "GET, DELETE",
            _ => "POST",
        }
    }
}

/// Answers `exchange`, or says why not.
pub(crate) async fn serve(exchange: &Exchange<'_>) -> Result<Answer, Error> {
    let path = exchange.endpoint();
    let endpoint = Endpoint::find(path).ok_or_else(|| unknown(path))?;
    let method = exchange.method.as_str();
    if !endpoint.methods().split(", ").any(|known| known == method) {
        return Ok(wrong_method(exchange, endpoint.methods()));
    }
    match (endpoint, method) {
        (Endpoint::Chat, _) => chat::complete(exchange),
        (Endpoint::Completions, _) => completions::complete(exchange),
        (Endpoint::Embeddings, _) => embeddings::embed(exchange),
        (Endpoint::Moderations, _) => moderations::moderate(exchange),
        (Endpoint::Models, _) => Ok(models::list()),
        (Endpoint::Model(id), _) => models::find(id),
        (Endpoint::Images(task), _) => images::draw(exchange, task).await,
        (Endpoint::Speech, _) => speech::speak(exchange),
        (Endpoint::Transcribe(task), _) => transcribe::transcribe(exchange, task).await,
        (Endpoint::Files, "POST") => files::upload(exchange).await,
        (Endpoint::Files, _) => files::list(exchange).await,
        (Endpoint::File(id), "DELETE") => files::delete(exchange, id).await,
        (Endpoint::File(id), _) => files::show(exchange, id).await,
        (Endpoint::FileContent(id), _) => files::content(exchange, id).await,
    }
}

fn unknown(path: &str) -> Error {
    let path: String = path.chars().take(200).collect();
    not_found(
        "unknown_endpoint",
        format!("the mock upstream has no endpoint `{path}`"),
    )
}

fn wrong_method(exchange: &Exchange<'_>, allowed: &'static str) -> Answer {
    let error = Error::new(
        ErrorKind::MethodNotAllowed,
        Origin::Downstream,
        "method_not_allowed",
        format!(
            "`{}` does not take {}; it takes {allowed}",
            exchange.endpoint(),
            exchange.method
        ),
    );
    let mut answer = Answer::refused(&error);
    answer
        .headers
        .insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}
