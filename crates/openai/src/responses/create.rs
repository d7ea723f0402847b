//! What a client asks for.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use super::refusal::Refusal;
use super::{id::Ids, item};

/// The body of `POST /responses`. Members that have no meaning here are ignored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CreateResponse {
    /// The model as the client names it.
    pub model: String,
    /// The items to answer, in their full form, each with an id.
    pub input: Vec<Value>,
    /// Said to the model before anything else; not inherited from the previous response.
    pub instructions: Option<String>,
    /// The response that this one continues.
    pub previous_response_id: Option<String>,
    /// Whether events are wanted.
    pub stream: bool,
    /// Whether the response is kept. Default true.
    pub store: bool,
    /// The tools as the client wrote them.
    pub tools: Vec<Value>,
    /// `none`, `auto`, `required` or an object.
    pub tool_choice: Option<Value>,
    /// Whether several calls may be made at once.
    pub parallel_tool_calls: Option<bool>,
    /// The form of the answer.
    pub text: Text,
    /// How to think.
    pub reasoning: Reasoning,
    /// The most tokens of the answer.
    pub max_output_tokens: Option<u64>,
    /// The most calls of built-in tools; echoed only, there are none.
    pub max_tool_calls: Option<u64>,
    /// Alternatives per token to give log probabilities of.
    pub top_logprobs: Option<u64>,
    /// Extra members wanted in the answer; `message.output_text.logprobs` has an effect.
    pub include: Vec<String>,
    /// Sampling temperature.
    pub temperature: Option<Number>,
    /// Nucleus sampling.
    pub top_p: Option<Number>,
    /// What to do with input that is too long; the upstream's business.
    pub truncation: Option<String>,
    /// Speed class.
    pub service_tier: Option<String>,
    /// The end user, old form.
    pub user: Option<String>,
    /// The end user, for abuse detection.
    pub safety_identifier: Option<String>,
    /// Groups requests with a common prefix.
    pub prompt_cache_key: Option<String>,
    /// The client's own notes; kept with the response and never sent upstream.
    pub metadata: Map<String, Value>,
}

/// The form of the answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Text {
    /// `text`, `json_object` or `json_schema`.
    #[serde(default)]
    pub format: Option<Value>,
    /// `low`, `medium` or `high`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verbosity: Option<String>,
}

/// How to think.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reasoning {
    /// `none`, `minimal`, `low`, `medium`, `high`, ...
    #[serde(default)]
    pub effort: Option<String>,
    /// Asked for by the client and echoed; reasoning is always given as it comes.
    #[serde(default)]
    pub summary: Option<String>,
}

impl CreateResponse {
    /// Reads the request; its input items get ids of `ids` where they have none.
    ///
    /// # Errors
    /// The first member that is missing, of a wrong type, or asks for what cannot be done here.
    pub fn parse(body: Value, ids: &mut Ids) -> Result<Self, Refusal> {
        let Value::Object(members) = body else {
            return Err(Refusal::wrong_type("body", "a JSON object"));
        };
        let mut members = Members(members);
        members.refuse_unsupported()?;
        let previous_response_id = members.take("previous_response_id")?;
        let input = match members.0.remove("input") {
            None | Some(Value::Null) if previous_response_id.is_none() => {
                return Err(Refusal::missing("input"));
            }
            None | Some(Value::Null) => Vec::new(),
            Some(input) => item::normalised(input, ids)?,
        };
        Ok(Self {
            model: members
                .take("model")?
                .ok_or_else(|| Refusal::missing("model"))?,
            input,
            previous_response_id,
            instructions: members.take("instructions")?,
            stream: members.take("stream")?.unwrap_or(false),
            store: members.take("store")?.unwrap_or(true),
            tools: members.take("tools")?.unwrap_or_default(),
            tool_choice: members.take("tool_choice")?,
            parallel_tool_calls: members.take("parallel_tool_calls")?,
            text: members.take("text")?.unwrap_or_default(),
            reasoning: members.take("reasoning")?.unwrap_or_default(),
            max_output_tokens: members.take("max_output_tokens")?,
            max_tool_calls: members.take("max_tool_calls")?,
            top_logprobs: members.take("top_logprobs")?,
            include: members.take("include")?.unwrap_or_default(),
            temperature: members.take("temperature")?,
            top_p: members.take("top_p")?,
            truncation: members.take("truncation")?,
            service_tier: members.take("service_tier")?,
            user: members.take("user")?,
            safety_identifier: members.take("safety_identifier")?,
            prompt_cache_key: members.take("prompt_cache_key")?,
            metadata: members.take("metadata")?.unwrap_or_default(),
        })
    }

    /// Whether log probabilities are wanted.
    pub fn wants_logprobs(&self) -> bool {
        self.top_logprobs.is_some_and(|count| count > 0)
            || self
                .include
                .iter()
                .any(|what| what == "message.output_text.logprobs")
    }
}

struct Members(Map<String, Value>);

impl Members {
    /// The member `name`; null is as good as absent.
    fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Refusal> {
        /// The parser quotes the wrong value, however long it is.
        const MAX_DETAIL: usize = 200;
        let value = match self.0.remove(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value,
        };
        serde_json::from_value(value).map(Some).map_err(|error| {
            let detail: String = error.to_string().chars().take(MAX_DETAIL).collect();
            let message = format!("invalid value for '{name}': {detail}");
            Refusal::new("invalid_type", name, message)
        })
    }

    fn refuse_unsupported(&self) -> Result<(), Refusal> {
        let wants = |name| self.0.get(name).is_some_and(|value| !value.is_null());
        if self.0.get("background") == Some(&Value::Bool(true)) {
            let reason = "answers are made while the client waits; use `stream`";
            return Err(Refusal::unsupported("background", reason));
        }
        if wants("conversation") {
            let reason = "use `previous_response_id`, or send the whole conversation as `input`";
            return Err(Refusal::unsupported("conversation", reason));
        }
        if wants("prompt") {
            let reason = "there are no stored prompts; send `instructions` and `input`";
            return Err(Refusal::unsupported("prompt", reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(body: Value) -> (&'static str, String) {
        let refusal = CreateResponse::parse(body, &mut Ids::new(1)).unwrap_err();
        (refusal.code, refusal.param)
    }

    #[test]
    fn a_wrong_member_is_named() {
        let cases = [
            (json!([]), "invalid_type", "body"),
            (json!({"model": "m"}), "missing_required_parameter", "input"),
            (
                json!({"input": "hi"}),
                "missing_required_parameter",
                "model",
            ),
            (json!({"model": 3, "input": "hi"}), "invalid_type", "model"),
            (json!({"model": "m", "input": 3}), "invalid_type", "input"),
            (
                json!({"model": "m", "input": ["x"]}),
                "invalid_type",
                "input[0]",
            ),
            (
                json!({"model": "m", "input": "x", "temperature": "warm"}),
                "invalid_type",
                "temperature",
            ),
            (
                json!({"model": "m", "input": "x", "max_output_tokens": -1}),
                "invalid_type",
                "max_output_tokens",
            ),
            (
                json!({"model": "m", "input": "x", "background": true}),
                "unsupported_parameter",
                "background",
            ),
            (
                json!({"model": "m", "input": "x", "conversation": "conv_1"}),
                "unsupported_parameter",
                "conversation",
            ),
            (
                json!({"model": "m", "input": "x", "prompt": {"id": "p"}}),
                "unsupported_parameter",
                "prompt",
            ),
        ];

        for (body, code, param) in cases {
            assert_eq!(refused(body), (code, param.to_owned()));
        }
    }

    #[test]
    fn a_long_wrong_value_is_not_quoted_whole() {
        let body = json!({"model": "m", "input": "x", "top_p": "x".repeat(10_000)});

        let refusal = CreateResponse::parse(body, &mut Ids::new(1)).unwrap_err();

        assert!(refusal.message.len() < 300);
    }

    #[test]
    fn nulls_and_unknown_members_do_not_matter() {
        let body = json!({"model": "m", "input": "x", "store": null, "background": false, "client_metadata": {"a": 1}});

        let create = CreateResponse::parse(body, &mut Ids::new(1)).unwrap();

        assert!(create.store);
        assert!(!create.stream);
    }

    #[test]
    fn a_continued_response_needs_no_input() {
        let body = json!({"model": "m", "previous_response_id": "resp_1"});

        assert!(
            CreateResponse::parse(body, &mut Ids::new(1))
                .unwrap()
                .input
                .is_empty()
        );
    }
}
