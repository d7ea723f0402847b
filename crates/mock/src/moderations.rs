//! `POST moderations`.
//!
//! A category is flagged where the text has all the words of its name, whatever the case: "violence" flags
//! `violence`, "graphic violence" flags `violence/graphic` too.

use aurora_sdk::Error;
use serde_json::{Map, Value, json};

use crate::fields::Fields;
use crate::refusal::{missing, wrong_type, wrong_value};
use crate::{Answer, Exchange};

/// Texts of one request at most; as many as embeddings take.
const MAX_INPUTS: usize = 2048;

const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

/// Judges texts.
pub(crate) fn moderate(exchange: &Exchange<'_>) -> Result<Answer, Error> {
    let fields = exchange.fields()?;
    let results: Vec<Value> = texts(&fields)?.iter().map(|text| judge(text)).collect();
    Ok(Answer::json(&json!({
        "id": exchange.seed().id("modr-"),
        "model": fields.text("model")?.unwrap_or("omni-moderation-latest"),
        "results": results,
    })))
}

/// The texts to judge. Parts of a multimodal input are judged together, pictures unseen.
fn texts(fields: &Fields) -> Result<Vec<String>, Error> {
    let wrong = || {
        wrong_type(
            "input",
            "a string, an array of strings or an array of parts",
        )
    };
    match fields.get("input").ok_or_else(|| missing("input"))? {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(items) if items.is_empty() || items.len() > MAX_INPUTS => {
            let expected = format!("from 1 to {MAX_INPUTS} texts");
            Err(wrong_value("input", &expected))
        }
        Value::Array(items) if items.iter().all(Value::is_object) => {
            let texts = items.iter().filter_map(|part| part.get("text")?.as_str());
            Ok(vec![texts.collect::<Vec<_>>().join("\n")])
        }
        Value::Array(items) => items
            .iter()
            .map(|text| text.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect(),
        _ => Err(wrong()),
    }
}

fn judge(text: &str) -> Value {
    let text = text.to_lowercase();
    let mut categories = Map::new();
    let mut scores = Map::new();
    let mut types = Map::new();
    let mut flagged = false;
    for name in CATEGORIES {
        let hit = name.split('/').all(|word| text.contains(word));
        flagged |= hit;
        categories.insert(name.to_owned(), json!(hit));
        scores.insert(name.to_owned(), json!(if hit { 0.99 } else { 0.0001 }));
        types.insert(name.to_owned(), json!(["text"]));
    }
    json!({
        "flagged": flagged,
        "categories": categories,
        "category_scores": scores,
        "category_applied_input_types": types,
    })
}
