//! `POST embeddings`: texts that share words get vectors that lie close.

use std::fmt::Write as _;

use aurora_sdk::Error;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::fields::Fields;
use crate::refusal::{missing, wrong_type, wrong_value};
use crate::seed::Seed;
use crate::{Answer, Exchange, words};

/// As at OpenAI.
const MAX_INPUTS: usize = 2048;
const MAX_INPUT_TOKENS: u64 = 8192;
const MAX_TOTAL_TOKENS: u64 = 300_000;
const MAX_DIMENSIONS: u64 = 3072;
const DIMENSIONS: u64 = 1536;

/// Places of a vector that one word sets: few enough for words to stay apart, enough for short vectors to differ.
const PLACES: u32 = 8;

/// What is embedded: words, or tokens spelled out.
struct Input {
    features: Vec<String>,
    tokens: u64,
}

/// Embeds texts.
pub(crate) fn embed(exchange: &Exchange<'_>) -> Result<Answer, Error> {
    let fields = exchange.fields()?;
    let model = fields.required_text("model")?;
    let inputs = inputs(&fields)?;
    let dimensions = fields
        .integer("dimensions", 1..=MAX_DIMENSIONS)?
        .unwrap_or(DIMENSIONS);
    let dimensions = u32::try_from(dimensions).unwrap_or_default();
    let base64 = fields.word("encoding_format", &["float", "base64"])? == Some("base64");
    let tokens: u64 = inputs.iter().map(|input| input.tokens).sum();
    if tokens > MAX_TOTAL_TOKENS || inputs.iter().any(|input| input.tokens > MAX_INPUT_TOKENS) {
        let expected =
            format!("at most {MAX_INPUT_TOKENS} tokens a text, {MAX_TOTAL_TOKENS} in all");
        return Err(wrong_value("input", &expected));
    }
    // Written as text: as JSON values 2048 vectors would take ten times the memory.
    let mut body = String::from("{\"object\":\"list\",\"data\":[");
    for (index, input) in inputs.iter().enumerate() {
        let vector = vector(&input.features, dimensions);
        let comma = if index == 0 { "" } else { "," };
        let embedding = if base64 {
            to_base64(&vector)
        } else {
            to_array(&vector)
        };
        // Writing to a string cannot fail.
        write!(
            body,
            "{comma}{{\"object\":\"embedding\",\"index\":{index},\"embedding\":{embedding}}}"
        )
        .unwrap_or_default();
    }
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    write!(body, "],\"model\":{},\"usage\":{usage}}}", json!(model)).unwrap_or_default();
    Ok(Answer::new("application/json", body))
}

fn inputs(fields: &Fields) -> Result<Vec<Input>, Error> {
    let wrong = || wrong_type("input", "a string, tokens, or an array of either");
    let inputs = match fields.get("input") {
        None => return Err(missing("input")),
        Some(Value::String(text)) => vec![of_text(text)],
        Some(Value::Array(items)) if !items.is_empty() && items.iter().all(Value::is_u64) => {
            vec![of_tokens(items)]
        }
        Some(Value::Array(items)) if items.len() <= MAX_INPUTS => items
            .iter()
            .map(|item| match item {
                Value::String(text) => Ok(of_text(text)),
                Value::Array(tokens) if tokens.iter().all(Value::is_u64) => Ok(of_tokens(tokens)),
                _ => Err(wrong()),
            })
            .collect::<Result<_, _>>()?,
        Some(Value::Array(_)) => {
            let expected = format!("at most {MAX_INPUTS} texts");
            return Err(wrong_value("input", &expected));
        }
        Some(_) => return Err(wrong()),
    };
    if inputs.is_empty() || inputs.iter().any(|input| input.features.is_empty()) {
        return Err(wrong_value("input", "texts that are not empty"));
    }
    Ok(inputs)
}

fn of_text(text: &str) -> Input {
    let lower = text.to_lowercase();
    let mut features: Vec<String> = lower
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    if features.is_empty() && !text.is_empty() {
        features.push(lower);
    }
    Input {
        features,
        tokens: words::count(text),
    }
}

fn of_tokens(tokens: &[Value]) -> Input {
    Input {
        features: tokens
            .iter()
            .map(|token| format!("token {token}"))
            .collect(),
        tokens: tokens.len() as u64,
    }
}

/// A vector of length one: every word adds a few signs at places of its own.
fn vector(features: &[String], dimensions: u32) -> Vec<f32> {
    let mut vector = vec![0.0_f32; dimensions as usize];
    for feature in features {
        let mut numbers = Seed::of(&[feature.as_bytes()]).numbers();
        for _ in 0..PLACES {
            let sign = if numbers.below(2) == 0 { -1.0 } else { 1.0 };
            if let Some(place) = vector.get_mut(numbers.below(dimensions) as usize) {
                *place += sign;
            }
        }
    }
    let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if norm > 0.0 {
        for value in &mut vector {
            *value /= norm;
        }
    } else if let Some(first) = vector.first_mut() {
        // In a short vector the signs can cancel out.
        *first = 1.0;
    }
    vector
}

fn to_array(vector: &[f32]) -> String {
    let mut text = String::with_capacity(vector.len() * 4);
    for (index, value) in vector.iter().enumerate() {
        text.push(if index == 0 { '[' } else { ',' });
        if *value == 0.0 {
            text.push('0');
        } else {
            write!(text, "{value}").unwrap_or_default();
        }
    }
    text.push(']');
    text
}

fn to_base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    format!("\"{}\"", STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearness(one: &str, other: &str) -> f32 {
        let vectors = [one, other].map(|text| vector(&of_text(text).features, 256));
        vectors[0].iter().zip(&vectors[1]).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn texts_that_share_words_are_closer() {
        let same = nearness("the cat sat", "The cat, sat!");
        let near = nearness("the cat sat", "the cat ran");
        let far = nearness("the cat sat", "quarterly revenue report");

        assert!((same - 1.0).abs() < 1e-5);
        assert!(near > 0.4 && near < 0.9, "{near}");
        assert!(far.abs() < 0.3, "{far}");
    }

    #[test]
    fn even_one_dimension_has_length_one() {
        for text in ["a", "b c", "d e f g"] {
            let vector = vector(&of_text(text).features, 1);

            assert!((vector[0].abs() - 1.0).abs() < 1e-6);
        }
    }
}
