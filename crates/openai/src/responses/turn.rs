//! A Responses request as a chat request.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::conversation::Conversation;
use super::create::CreateResponse;
use super::item::kind;
use super::refusal::Refusal;
use super::tools::Tools;
use crate::chat::ChatRequest;

/// The chat turn that answers a [`CreateResponse`].
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// What to ask the upstream.
    pub chat: ChatRequest,
    /// The functions of `chat` that are custom tools; [`super::Answer`] needs to know.
    pub custom_tools: BTreeSet<String>,
    /// What was left out, for the log.
    pub warnings: Vec<String>,
}

impl Turn {
    /// Translates `create`, which continues the items of `history`.
    ///
    /// # Errors
    /// The first member that cannot be translated.
    pub fn new(create: &CreateResponse, history: &[Value]) -> Result<Self, Refusal> {
        let mut conversation = Conversation::default();
        if let Some(instructions) = &create.instructions {
            conversation.instruct(instructions);
        }
        for item in history {
            conversation.push(item, "previous_response_id")?;
        }
        for (index, item) in create.input.iter().enumerate() {
            conversation.push(item, &format!("input[{index}]"))?;
        }
        let (messages, items_left_out) = conversation.finish();
        if messages.is_empty() {
            let message = "there is nothing to answer; 'input' must have at least one message";
            return Err(Refusal::new("invalid_value", "input", message));
        }
        let tools = Tools::new(&create.tools, create.tool_choice.as_ref())?;
        let rest = settings(create, &tools)?;
        let mut warnings = Vec::new();
        warnings.extend(left_out("tools", &tools.left_out));
        warnings.extend(left_out("input items", &items_left_out));
        Ok(Self {
            chat: ChatRequest {
                model: create.model.clone(),
                messages,
                tools: tools.functions,
                rest,
            },
            custom_tools: tools.custom,
            warnings,
        })
    }
}

fn left_out(what: &str, kinds: &BTreeSet<String>) -> Option<String> {
    if kinds.is_empty() {
        return None;
    }
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    Some(format!(
        "left out {what} that a chat upstream does not know: {}",
        kinds.join(", ")
    ))
}

/// `metadata` and `store` stay here: the chat API ties them to stored completions, and other servers refuse them.
fn settings(create: &CreateResponse, tools: &Tools) -> Result<Map<String, Value>, Refusal> {
    let has_tools = !tools.functions.is_empty();
    let logprobs = create.wants_logprobs();
    let members = [
        ("tool_choice", tools.choice.clone()),
        (
            "parallel_tool_calls",
            create
                .parallel_tool_calls
                .filter(|_| has_tools)
                .map(Value::from),
        ),
        ("response_format", response_format(create)?),
        ("verbosity", create.text.verbosity.clone().map(Value::from)),
        (
            "reasoning_effort",
            create.reasoning.effort.clone().map(Value::from),
        ),
        (
            "max_completion_tokens",
            create.max_output_tokens.map(Value::from),
        ),
        ("temperature", create.temperature.clone().map(Value::Number)),
        ("top_p", create.top_p.clone().map(Value::Number)),
        ("logprobs", logprobs.then_some(Value::Bool(true))),
        (
            "top_logprobs",
            create.top_logprobs.filter(|_| logprobs).map(Value::from),
        ),
        ("service_tier", create.service_tier.clone().map(Value::from)),
        ("user", create.user.clone().map(Value::from)),
        (
            "safety_identifier",
            create.safety_identifier.clone().map(Value::from),
        ),
        (
            "prompt_cache_key",
            create.prompt_cache_key.clone().map(Value::from),
        ),
    ];
    Ok(members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect())
}

fn response_format(create: &CreateResponse) -> Result<Option<Value>, Refusal> {
    let Some(format) = &create.text.format else {
        return Ok(None);
    };
    match kind(format) {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(json!({"type": "json_object"}))),
        Some("json_schema") => {
            if !format.get("schema").is_some_and(Value::is_object) {
                return Err(Refusal::missing("text.format.schema"));
            }
            if !format.get("name").is_some_and(Value::is_string) {
                return Err(Refusal::missing("text.format.name"));
            }
            let schema: Map<String, Value> = ["name", "description", "schema", "strict"]
                .into_iter()
                .filter_map(|name| Some((name.to_owned(), format.get(name)?.clone())))
                .filter(|(_, value)| !value.is_null())
                .collect();
            Ok(Some(json!({"type": "json_schema", "json_schema": schema})))
        }
        _ => Err(Refusal::new(
            "invalid_value",
            "text.format.type",
            "the format of the answer is text, json_object or json_schema",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::id::Ids;
    use super::*;

    fn turn(body: Value) -> Turn {
        let create = CreateResponse::parse(body, &mut Ids::new(0)).unwrap();
        Turn::new(&create, &[]).unwrap()
    }

    #[test]
    fn every_setting_finds_its_place() {
        let turn = turn(json!({
            "model": "m", "input": "hi", "instructions": "be kind", "max_output_tokens": 9,
            "temperature": 0.5, "top_p": 0.9, "parallel_tool_calls": false, "tool_choice": "auto",
            "tools": [{"type": "function", "name": "f", "parameters": null}],
            "text": {"format": {"type": "json_schema", "name": "s", "schema": {"type": "object"}, "strict": true}, "verbosity": "low"},
            "reasoning": {"effort": "high", "summary": "auto"}, "top_logprobs": 2, "service_tier": "auto",
            "user": "u", "safety_identifier": "s", "prompt_cache_key": "k", "metadata": {"a": "b"},
            "store": true, "truncation": "auto", "include": ["reasoning.encrypted_content"],
        }));

        assert_eq!(
            serde_json::to_value(&turn.chat).unwrap(),
            json!({
                "model": "m",
                "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}],
                "tools": [{"type": "function", "function": {"name": "f"}}],
                "tool_choice": "auto", "parallel_tool_calls": false, "max_completion_tokens": 9,
                "temperature": 0.5, "top_p": 0.9, "verbosity": "low", "reasoning_effort": "high",
                "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": true}},
                "logprobs": true, "top_logprobs": 2, "service_tier": "auto",
                "user": "u", "safety_identifier": "s", "prompt_cache_key": "k",
            })
        );
        assert!(turn.warnings.is_empty());
    }

    #[test]
    fn a_coding_agents_mixed_tools_lose_only_what_cannot_be_called() {
        let turn = turn(json!({
            "model": "m", "input": "hi", "tool_choice": "auto", "parallel_tool_calls": false,
            "tools": [{"type": "local_shell"}, {"type": "web_search"}, {"type": "custom", "name": "apply_patch"}],
        }));

        assert_eq!(turn.chat.tools.len(), 1);
        assert!(turn.custom_tools.contains("apply_patch"));
        assert_eq!(
            turn.warnings,
            ["left out tools that a chat upstream does not know: local_shell, web_search"]
        );
    }

    #[test]
    fn without_tools_nothing_is_said_of_them() {
        let turn = turn(
            json!({"model": "m", "input": "hi", "tool_choice": "auto", "parallel_tool_calls": true,
            "tools": [{"type": "web_search"}], "text": {"format": {"type": "text"}}}),
        );

        assert!(turn.chat.tools.is_empty());
        assert!(turn.chat.rest.is_empty());
    }

    #[test]
    fn history_stands_between_instructions_and_input() {
        let create = CreateResponse::parse(
            json!({"model": "m", "input": "c", "instructions": "i"}),
            &mut Ids::new(0),
        )
        .unwrap();
        let history = [
            json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]}),
            json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "b"}]}),
        ];

        let turn = Turn::new(&create, &history).unwrap();

        let texts: Vec<&Value> = turn.chat.messages.iter().map(|m| &m.content).collect();
        assert_eq!(texts, ["i", "a", "b", "c"]);
    }

    #[test]
    fn a_wrong_format_and_an_empty_input_are_refused() {
        let cases = [
            (
                json!({"model": "m", "input": "x", "text": {"format": {"type": "xml"}}}),
                "text.format.type",
            ),
            (
                json!({"model": "m", "input": "x", "text": {"format": {"type": "json_schema", "name": "x"}}}),
                "text.format.schema",
            ),
            (json!({"model": "m", "input": []}), "input"),
        ];

        for (body, param) in cases {
            let create = CreateResponse::parse(body, &mut Ids::new(0)).unwrap();
            assert_eq!(Turn::new(&create, &[]).unwrap_err().param, param);
        }
    }
}
