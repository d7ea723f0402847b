//! `POST completions`, the legacy endpoint.

use aurora_sdk::Error;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::answer::{data, done};
use crate::fields::Fields;
use crate::limits::{Limits, MAX_CHOICES};
use crate::refusal::{missing, wrong_type, wrong_value};
use crate::words::{self, quote};
use crate::{Answer, Exchange};

/// Characters of a prompt that are quoted.
const QUOTED_CHARS: usize = 2000;

struct Completion {
    id: String,
    created: u64,
    model: String,
    /// Text and finish reason.
    choices: Vec<(String, &'static str)>,
    prompt_tokens: u64,
}

/// Completes prompts.
pub(crate) fn complete(exchange: &Exchange<'_>) -> Result<Answer, Error> {
    let fields = exchange.fields()?;
    let model = fields.required_text("model")?.to_owned();
    let prompts = prompts(&fields)?;
    let limits = Limits::of(&fields)?;
    if prompts.len() as u64 * limits.choices > MAX_CHOICES {
        return Err(wrong_value(
            "n",
            &format!("at most {MAX_CHOICES} choices over all prompts"),
        ));
    }
    let echo = fields.flag("echo")?;
    let mut choices = Vec::new();
    for prompt in &prompts {
        let quoted = quote(&prompt.text, QUOTED_CHARS);
        let text = format!("You said: {quoted} (model {})", quote(&model, 200));
        let (text, finish) = limits.finish(&text, limits.tokens);
        let text = if echo {
            format!("{quoted}{text}")
        } else {
            text
        };
        choices.extend((0..limits.choices).map(|_| (text.clone(), finish)));
    }
    let completion = Completion {
        id: exchange.seed().id("cmpl-"),
        created: exchange.created(),
        model,
        choices,
        prompt_tokens: prompts.iter().map(|prompt| prompt.tokens).sum(),
    };
    Ok(if limits.stream {
        Answer::events(completion.events(limits.usage))
    } else {
        Answer::json(&completion.to_json())
    })
}

struct Prompt {
    text: String,
    tokens: u64,
}

fn prompts(fields: &Fields) -> Result<Vec<Prompt>, Error> {
    let of_text = |text: &str| Prompt {
        tokens: words::count(text),
        text: text.to_owned(),
    };
    let of_tokens = |tokens: &[Value]| Prompt {
        text: format!("{} tokens", tokens.len()),
        tokens: tokens.len() as u64,
    };
    let wrong = || wrong_type("prompt", "a string, tokens, or an array of either");
    match fields.get("prompt") {
        None => Err(missing("prompt")),
        Some(Value::String(text)) => Ok(vec![of_text(text)]),
        Some(Value::Array(items)) if items.is_empty() => {
            Err(wrong_value("prompt", "at least one prompt"))
        }
        Some(Value::Array(items)) if items.iter().all(Value::is_u64) => Ok(vec![of_tokens(items)]),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| match item {
                Value::String(text) => Ok(of_text(text)),
                Value::Array(tokens) if tokens.iter().all(Value::is_u64) => Ok(of_tokens(tokens)),
                _ => Err(wrong()),
            })
            .collect(),
        Some(_) => Err(wrong()),
    }
}

impl Completion {
    fn to_json(&self) -> Value {
        let choices: Vec<Value> = self
            .choices
            .iter()
            .enumerate()
            .map(|(index, (text, finish))| choice(index, text, Some(finish)))
            .collect();
        self.envelope(&json!(choices), Some(self.usage()))
    }

    fn events(&self, usage: bool) -> Vec<Bytes> {
        let no_usage = usage.then_some(Value::Null);
        let event = |choice: Value| data(&self.envelope(&json!([choice]), no_usage.clone()));
        let mut events = Vec::new();
        for (index, (text, finish)) in self.choices.iter().enumerate() {
            events.extend(words::pieces(text).map(|piece| event(choice(index, piece, None))));
            events.push(event(choice(index, "", Some(finish))));
        }
        if usage {
            events.push(data(&self.envelope(&json!([]), Some(self.usage()))));
        }
        events.push(done());
        events
    }

    fn envelope(&self, choices: &Value, usage: Option<Value>) -> Value {
        let mut envelope = json!({
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": "fp_mock",
            "choices": choices,
        });
        if let (Some(usage), Some(members)) = (usage, envelope.as_object_mut()) {
            members.insert("usage".into(), usage);
        }
        envelope
    }

    fn usage(&self) -> Value {
        let said: u64 = self
            .choices
            .iter()
            .map(|(text, _)| words::count(text))
            .sum();
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": said,
            "total_tokens": self.prompt_tokens + said,
        })
    }
}

fn choice(index: usize, text: &str, finish: Option<&str>) -> Value {
    json!({"index": index, "text": text, "logprobs": null, "finish_reason": finish})
}
