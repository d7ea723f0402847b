//! Output items and their parts.

use serde::Serialize;
use serde_json::Value;

use super::object::Status;

/// One item of an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutputItem {
    /// What the model thought.
    Reasoning {
        /// `rs_...`
        id: String,
        /// How far it is.
        status: Status,
        /// Always empty: the text is given as it is.
        summary: [Value; 0],
        /// One part of text.
        content: Vec<Part>,
    },
    /// What the model said.
    Message {
        /// `msg_...`
        id: String,
        /// How far it is.
        status: Status,
        /// Always `assistant`.
        role: &'static str,
        /// Texts and refusals.
        content: Vec<Part>,
    },
    /// A call of a function.
    FunctionCall {
        /// `fc_...`
        id: String,
        /// How far it is.
        status: Status,
        /// What the output must name.
        call_id: String,
        /// The function.
        name: String,
        /// Its arguments as JSON text.
        arguments: String,
    },
    /// A call of a custom tool.
    CustomToolCall {
        /// `ctc_...`
        id: String,
        /// How far it is.
        status: Status,
        /// What the output must name.
        call_id: String,
        /// The tool.
        name: String,
        /// Its whole input.
        input: String,
    },
}

/// A part of an item's content.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Text of the answer.
    OutputText {
        /// The text.
        text: String,
        /// Always empty: chat answers have none.
        annotations: [Value; 0],
        /// Log probabilities of the tokens, where they were asked for.
        logprobs: Vec<Value>,
    },
    /// Why the model will not answer.
    Refusal {
        /// The explanation.
        refusal: String,
    },
    /// A thought.
    ReasoningText {
        /// The text.
        text: String,
    },
}

impl OutputItem {
    /// The identifier, the same in all events.
    pub fn id(&self) -> &str {
        match self {
            Self::Reasoning { id, .. }
            | Self::Message { id, .. }
            | Self::FunctionCall { id, .. }
            | Self::CustomToolCall { id, .. } => id,
        }
    }

    pub(super) fn set_status(&mut self, to: Status) {
        match self {
            Self::Reasoning { status, .. }
            | Self::Message { status, .. }
            | Self::FunctionCall { status, .. }
            | Self::CustomToolCall { status, .. } => *status = to,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Reasoning { status, .. }
            | Self::Message { status, .. }
            | Self::FunctionCall { status, .. }
            | Self::CustomToolCall { status, .. } => *status == Status::InProgress,
        }
    }

    /// The parts, where the item has parts.
    pub(super) fn content_mut(&mut self) -> Option<&mut Vec<Part>> {
        match self {
            Self::Reasoning { content, .. } | Self::Message { content, .. } => Some(content),
            Self::FunctionCall { .. } | Self::CustomToolCall { .. } => None,
        }
    }
}
