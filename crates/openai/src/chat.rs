//! Chat completions: the canonical form of a turn.
//!
//! Members that this version does not know ride along in `rest`, so nothing that a client or server adds is lost.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// A chat request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// The model as the client names it.
    pub model: String,
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// The functions that the model may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Value>,
    /// Members that need no translation (`temperature`, `tool_choice`, `response_format`, ...).
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// One message of the conversation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: String,
    /// Text, a list of parts, or null beside tool calls.
    #[serde(default)]
    pub content: Value,
    /// The calls that an assistant message makes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The call that a tool message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Members that need no translation.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A complete function call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// `call_...`.
    pub id: String,
    /// Always `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is called.
    pub function: FunctionCall,
}

/// The function of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FunctionCall {
    /// The name.
    pub name: String,
    /// The arguments as JSON text.
    pub arguments: String,
}

/// What servers leave out they also send as null.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// One event of a streamed answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatChunk {
    /// `chatcmpl-...`, the same in all chunks.
    #[serde(default, deserialize_with = "or_default")]
    pub id: String,
    /// The model that answers.
    #[serde(default, deserialize_with = "or_default")]
    pub model: String,
    /// What is new; empty in the usage chunk.
    #[serde(default, deserialize_with = "or_default")]
    pub choices: Vec<ChunkChoice>,
    /// Token counts, in the last chunk.
    #[serde(default)]
    pub usage: Option<Usage>,
}

/// What is new in one choice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChunkChoice {
    /// Which of the `n` answers.
    #[serde(default, deserialize_with = "or_default")]
    pub index: u32,
    /// The addition.
    #[serde(default, deserialize_with = "or_default")]
    pub delta: Delta,
    /// `stop`, `length`, `tool_calls` or `content_filter`, once.
    #[serde(default)]
    pub finish_reason: Option<String>,
    /// Log probabilities of the addition's tokens, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Value>,
}

/// The addition to an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Delta {
    /// `assistant`, in the first chunk.
    #[serde(default)]
    pub role: Option<String>,
    /// More text.
    #[serde(default)]
    pub content: Option<String>,
    /// More of the model's refusal.
    #[serde(default)]
    pub refusal: Option<String>,
    /// More of the model's reasoning, as `DeepSeek` and others send it.
    #[serde(default)]
    pub reasoning_content: Option<String>,
    /// The same, as `vLLM` and `OpenRouter` send it; some servers send both.
    #[serde(default)]
    pub reasoning: Option<String>,
    /// Pieces of function calls.
    #[serde(default)]
    pub tool_calls: Option<Vec<ToolCallDelta>>,
}

/// A piece of a function call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolCallDelta {
    /// Which call of the answer.
    #[serde(default, deserialize_with = "or_default")]
    pub index: u32,
    /// `call_...`, in the first piece.
    #[serde(default)]
    pub id: Option<String>,
    /// Name and arguments, piece by piece.
    #[serde(default)]
    pub function: Option<FunctionDelta>,
}

/// A piece of a called function.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FunctionDelta {
    /// The name, in the first piece.
    #[serde(default)]
    pub name: Option<String>,
    /// More of the arguments' JSON text.
    #[serde(default)]
    pub arguments: Option<String>,
}

/// Token counts of a chat answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the conversation sent.
    #[serde(default, deserialize_with = "or_default")]
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    #[serde(default, deserialize_with = "or_default")]
    pub completion_tokens: u64,
    /// Both.
    #[serde(default, deserialize_with = "or_default")]
    pub total_tokens: u64,
    /// Parts of the prompt.
    #[serde(default)]
    pub prompt_tokens_details: Option<PromptTokensDetails>,
    /// Parts of the answer.
    #[serde(default)]
    pub completion_tokens_details: Option<CompletionTokensDetails>,
}

/// Parts of a prompt's count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptTokensDetails {
    /// Tokens that the server had in its cache.
    #[serde(default)]
    pub cached_tokens: Option<u64>,
}

/// Parts of an answer's count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletionTokensDetails {
    /// Tokens spent on reasoning.
    #[serde(default)]
    pub reasoning_tokens: Option<u64>,
}
