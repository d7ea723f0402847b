//! The response object.

use serde::Serialize;
use serde_json::{Map, Number, Value, json};

use super::create::{CreateResponse, Reasoning, Text};
use super::output::OutputItem;
use crate::chat;

/// A response with every member that official clients expect.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Response {
    /// `resp_...`
    pub id: String,
    /// Always `response`.
    pub object: &'static str,
    /// Seconds since 1970.
    pub created_at: u64,
    /// Seconds since 1970, once it is complete.
    pub completed_at: Option<u64>,
    /// How far it is.
    pub status: Status,
    /// Always false.
    pub background: bool,
    /// Why it failed.
    pub error: Option<Failure>,
    /// Why it is not whole.
    pub incomplete_details: Option<Incomplete>,
    /// As asked for, like the members that are not explained below.
    pub instructions: Option<String>,
    /// The most tokens.
    pub max_output_tokens: Option<u64>,
    /// The most calls of built-in tools.
    pub max_tool_calls: Option<u64>,
    /// The model as the client names it.
    pub model: String,
    /// The items of the answer.
    pub output: Vec<OutputItem>,
    /// Default true.
    pub parallel_tool_calls: bool,
    /// The response that this one continues.
    pub previous_response_id: Option<String>,
    /// Groups requests.
    pub prompt_cache_key: Option<String>,
    /// How to think.
    pub reasoning: Reasoning,
    /// The end user.
    pub safety_identifier: Option<String>,
    /// Speed class.
    pub service_tier: String,
    /// Whether it is kept.
    pub store: bool,
    /// Default 1.
    pub temperature: Number,
    /// The form of the answer; default text.
    pub text: Text,
    /// Default `auto`.
    pub tool_choice: Value,
    /// The tools as the client wrote them.
    pub tools: Vec<Value>,
    /// Alternatives per token.
    pub top_logprobs: u64,
    /// Default 1.
    pub top_p: Number,
    /// Default `disabled`.
    pub truncation: String,
    /// Token counts; null until they are known.
    pub usage: Option<Usage>,
    /// The end user.
    pub user: Option<String>,
    /// The client's notes.
    pub metadata: Map<String, Value>,
}

/// How far a response or an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// More is to come.
    InProgress,
    /// Whole.
    Completed,
    /// Cut off by a limit.
    Incomplete,
    /// Cut off by a fault.
    Failed,
}

/// Why a response failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// A stable word.
    pub code: String,
    /// For people.
    pub message: String,
}

/// Why a response is not whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Incomplete {
    /// `max_output_tokens` or `content_filter`.
    pub reason: &'static str,
}

/// Token counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Tokens of the conversation.
    pub input_tokens: u64,
    /// Parts of them.
    pub input_tokens_details: InputTokens,
    /// Tokens of the answer.
    pub output_tokens: u64,
    /// Parts of them.
    pub output_tokens_details: OutputTokens,
    /// Both.
    pub total_tokens: u64,
}

/// Parts of the conversation's count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct InputTokens {
    /// Tokens that the server had in its cache.
    pub cached_tokens: u64,
    /// Always 0: chat answers do not say.
    pub cache_write_tokens: u64,
}

/// Parts of the answer's count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct OutputTokens {
    /// Tokens spent on reasoning.
    pub reasoning_tokens: u64,
}

impl Response {
    /// A response to `create` that has just begun.
    pub(super) fn new(id: String, create: &CreateResponse, created_at: u64) -> Self {
        let mut text = create.text.clone();
        text.format.get_or_insert_with(|| json!({"type": "text"}));
        Self {
            id,
            object: "response",
            created_at,
            completed_at: None,
            status: Status::InProgress,
            background: false,
            error: None,
            incomplete_details: None,
            instructions: create.instructions.clone(),
            max_output_tokens: create.max_output_tokens,
            max_tool_calls: create.max_tool_calls,
            model: create.model.clone(),
            output: Vec::new(),
            parallel_tool_calls: create.parallel_tool_calls.unwrap_or(true),
            previous_response_id: create.previous_response_id.clone(),
            prompt_cache_key: create.prompt_cache_key.clone(),
            reasoning: create.reasoning.clone(),
            safety_identifier: create.safety_identifier.clone(),
            service_tier: create
                .service_tier
                .clone()
                .unwrap_or_else(|| "default".to_owned()),
            store: create.store,
            temperature: create.temperature.clone().unwrap_or_else(|| 1.into()),
            text,
            tool_choice: create.tool_choice.clone().unwrap_or_else(|| "auto".into()),
            tools: create.tools.clone(),
            top_logprobs: create.top_logprobs.unwrap_or(0),
            top_p: create.top_p.clone().unwrap_or_else(|| 1.into()),
            truncation: create
                .truncation
                .clone()
                .unwrap_or_else(|| "disabled".to_owned()),
            usage: None,
            user: create.user.clone(),
            metadata: create.metadata.clone(),
        }
    }

    /// All texts of the answer as one.
    pub fn output_text(&self) -> String {
        use super::output::Part;
        self.output
            .iter()
            .filter_map(|item| match item {
                OutputItem::Message { content, .. } => Some(content),
                _ => None,
            })
            .flatten()
            .filter_map(|part| match part {
                Part::OutputText { text, .. } => Some(text.as_str()),
                Part::Refusal { .. } | Part::ReasoningText { .. } => None,
            })
            .collect()
    }
}

impl From<chat::Usage> for Usage {
    fn from(usage: chat::Usage) -> Self {
        let sum = usage.prompt_tokens.saturating_add(usage.completion_tokens);
        Self {
            input_tokens: usage.prompt_tokens,
            input_tokens_details: InputTokens {
                cached_tokens: usage
                    .prompt_tokens_details
                    .and_then(|details| details.cached_tokens)
                    .unwrap_or(0),
                cache_write_tokens: 0,
            },
            output_tokens: usage.completion_tokens,
            output_tokens_details: OutputTokens {
                reasoning_tokens: usage
                    .completion_tokens_details
                    .and_then(|details| details.reasoning_tokens)
                    .unwrap_or(0),
            },
            total_tokens: usage.total_tokens.max(sum),
        }
    }
}
