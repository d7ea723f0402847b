//! `POST chat/completions`.

mod conversation;
mod reply;
mod schema;
mod stream;
mod tools;

use aurora_sdk::Error;
use serde_json::{Value, json};

use crate::limits::Limits;
use crate::seed::Seed;
use crate::{Answer, Exchange};
use conversation::Conversation;
use reply::Reply;

/// The choices of one answer and what all of its chunks share.
struct Completion {
    id: String,
    created: u64,
    model: String,
    replies: Vec<Reply>,
    prompt_tokens: u64,
}

/// Answers a chat turn.
pub(crate) fn complete(exchange: &Exchange<'_>) -> Result<Answer, Error> {
    let fields = exchange.fields()?;
    let model = fields.required_text("model")?.to_owned();
    let conversation = Conversation::of(&fields)?;
    let limits = Limits::of(&fields)?;
    let reply = Reply::plan(&fields, &conversation, &model)?;
    let seed = exchange.seed();
    let completion = Completion {
        id: seed.id("chatcmpl-"),
        created: exchange.created(),
        replies: (0..limits.choices)
            .map(|index| reply.choice(index, &seed, &limits))
            .collect(),
        prompt_tokens: conversation.tokens,
        model,
    };
    Ok(if limits.stream {
        Answer::events(stream::events(&completion, limits.usage))
    } else {
        Answer::json(&completion.to_json())
    })
}

impl Completion {
    fn to_json(&self) -> Value {
        let choices: Vec<Value> = self
            .replies
            .iter()
            .enumerate()
            .map(|(index, reply)| {
                json!({
                    "index": index,
                    "message": reply.message(),
                    "logprobs": null,
                    "finish_reason": reply.finish,
                })
            })
            .collect();
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "usage": self.usage(),
            "service_tier": "default",
            "system_fingerprint": "fp_mock",
        })
    }

    /// Token counts: the mock's tokens are words.
    fn usage(&self) -> Value {
        let completion: u64 = self.replies.iter().map(Reply::tokens).sum();
        let reasoning: u64 = self.replies.iter().map(Reply::reasoning_tokens).sum();
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        })
    }
}

/// The id of call `index` in choice `choice`.
fn call_id(seed: &Seed, choice: u64, index: usize) -> String {
    seed.derive(&format!("call {choice} {index}")).id("call_")
}
