//! What one choice says.

use aurora_sdk::Error;
use serde_json::{Value, json};

use super::conversation::Conversation;
use super::tools::{self, Call};
use super::{call_id, schema};
use crate::fields::Fields;
use crate::limits::Limits;
use crate::refusal::{missing, wrong_type, wrong_value};
use crate::seed::Seed;
use crate::words::{self, quote};

/// Characters of a message that are quoted: enough to recognise it, few enough to answer 128 times.
pub(crate) const QUOTED_CHARS: usize = 2000;

/// One choice of an answer.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) reasoning: Option<String>,
    pub(super) says: Says,
    pub(super) finish: &'static str,
}

#[derive(Debug, Clone)]
pub(super) enum Says {
    Text(String),
    Calls(Vec<Call>),
}

/// How the text is to be formed.
enum Format {
    Text,
    Object,
    Schema(Value),
}

impl Reply {
    /// The reply before limits: what every choice starts from.
    pub(super) fn plan(
        fields: &Fields,
        conversation: &Conversation,
        model: &str,
    ) -> Result<Self, Error> {
        let format = Format::of(fields)?;
        let calls = tools::calls(fields, conversation)?;
        let text = text(conversation, model);
        let says = if calls.is_empty() {
            Says::Text(match format {
                Format::Text => text,
                Format::Object => json!({ "message": text }).to_string(),
                Format::Schema(schema) => schema::example(&schema).to_string(),
            })
        } else {
            Says::Calls(calls)
        };
        let reasoning = match fields.text("reasoning_effort")? {
            None | Some("none") => None,
            Some(effort) => Some(format!(
                "Thinking with {} effort about {} messages.",
                quote(effort, 40),
                conversation.messages
            )),
        };
        Ok(Self {
            reasoning,
            says,
            finish: "stop",
        })
    }

    /// The choice `index` of this reply, within `limits`.
    pub(super) fn choice(&self, index: u64, seed: &Seed, limits: &Limits) -> Self {
        let reasoning = self
            .reasoning
            .as_deref()
            .map(|reasoning| words::cut(reasoning, limits.tokens).0);
        let left = limits
            .tokens
            .saturating_sub(reasoning.as_deref().map_or(0, words::count));
        let (says, finish) = match &self.says {
            Says::Text(text) => {
                let (text, finish) = limits.finish(text, left);
                (Says::Text(text), finish)
            }
            Says::Calls(calls) => {
                let mut calls = calls.clone();
                for (at, call) in calls.iter_mut().enumerate() {
                    call.id = call_id(seed, index, at);
                }
                (Says::Calls(calls), "tool_calls")
            }
        };
        Self {
            reasoning,
            says,
            finish,
        }
    }

    /// The message of an answer that is not streamed.
    pub(super) fn message(&self) -> Value {
        let mut message = json!({
            "role": "assistant",
            "content": null,
            "refusal": null,
            "annotations": [],
        });
        if let Some(members) = message.as_object_mut() {
            match &self.says {
                Says::Text(text) => members.insert("content".into(), json!(text)),
                Says::Calls(calls) => {
                    let calls: Vec<Value> = calls.iter().map(Call::to_json).collect();
                    members.insert("tool_calls".into(), json!(calls))
                }
            };
            if let Some(reasoning) = &self.reasoning {
                members.insert("reasoning_content".into(), json!(reasoning));
            }
        }
        message
    }

    /// All tokens, reasoning included.
    pub(super) fn tokens(&self) -> u64 {
        let said = match &self.says {
            Says::Text(text) => words::count(text),
            Says::Calls(calls) => calls
                .iter()
                .map(|call| words::count(&call.name) + words::count(&call.arguments))
                .sum(),
        };
        said + self.reasoning_tokens()
    }

    pub(super) fn reasoning_tokens(&self) -> u64 {
        self.reasoning.as_deref().map_or(0, words::count)
    }
}

impl Format {
    fn of(fields: &Fields) -> Result<Self, Error> {
        let Some(format) = fields.get("response_format") else {
            return Ok(Self::Text);
        };
        let kind = match format.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            Some(_) => return Err(wrong_type("response_format.type", "a string")),
            None => return Err(missing("response_format.type")),
        };
        match kind {
            "text" => Ok(Self::Text),
            "json_object" => Ok(Self::Object),
            "json_schema" => match format.pointer("/json_schema/schema") {
                Some(schema) if schema.is_object() => Ok(Self::Schema(schema.clone())),
                Some(_) => Err(wrong_type(
                    "response_format.json_schema.schema",
                    "an object",
                )),
                None => Err(missing("response_format.json_schema.schema")),
            },
            _ => Err(wrong_value(
                "response_format.type",
                "one of text, json_object, json_schema",
            )),
        }
    }
}

fn text(conversation: &Conversation, model: &str) -> String {
    let said = if conversation.tool_results.is_empty() {
        conversation
            .last_user
            .as_deref()
            .map_or("You said nothing yet.".to_owned(), |text| {
                format!("You said: {}", sentence(text))
            })
    } else {
        let results = conversation.tool_results.join("; ");
        format!("The tool answered: {}", sentence(&results))
    };
    let received = conversation.received();
    let count = conversation.messages;
    let plural = if count == 1 { "" } else { "s" };
    format!(
        "{said}{received} (model {}, {count} message{plural})",
        quote(model, 200)
    )
}

/// A quote of `text` that ends like a sentence.
fn sentence(text: &str) -> String {
    let mut text = quote(text.trim(), QUOTED_CHARS);
    if !text.ends_with(['.', '!', '?', '…']) {
        text.push('.');
    }
    text
}
