//! `GET models`.

use aurora_openai::models::{Model, ModelList};
use aurora_sdk::Error;
use serde::Serialize;

use crate::Answer;
use crate::refusal::not_found;
use crate::words::quote;

/// The list; other endpoints take any name.
const IDS: [&str; 5] = [
    "mock-chat",
    "mock-embedding",
    "mock-image",
    "mock-tts",
    "mock-transcribe",
];

/// 2023-11-14: some day, always the same.
const CREATED: i64 = 1_700_000_000;

/// All models.
pub(crate) fn list() -> Answer {
    json(&ModelList::new(IDS.map(model).into()))
}

/// The model `id`.
pub(crate) fn find(id: &str) -> Result<Answer, Error> {
    IDS.into_iter()
        .find(|known| *known == id)
        .map(|known| json(&model(known)))
        .ok_or_else(|| {
            let message = format!("the model `{}` does not exist", quote(id, 200));
            not_found("model_not_found", message).with_param("model")
        })
}

fn model(id: &str) -> Model {
    Model::new(id, CREATED, "aurora-mock")
}

fn json<T: Serialize>(value: &T) -> Answer {
    // Strings and numbers always have a JSON form.
    Answer::json(&serde_json::to_value(value).unwrap_or_default())
}
