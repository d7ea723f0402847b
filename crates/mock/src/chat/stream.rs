//! The chunks of a streamed answer: role, reasoning, text or calls piece by piece, finish reason, usage, `[DONE]`.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Completion;
use super::reply::{Reply, Says};
use super::tools::Call;
use crate::answer::{data, done};
use crate::words::pieces;

/// All events. The choices take turns, so that clients are seen to keep them apart.
pub(super) fn events(completion: &Completion, usage: bool) -> Vec<Bytes> {
    let mut choices: Vec<_> = completion
        .replies
        .iter()
        .map(|reply| steps(reply).into_iter())
        .collect();
    let mut events = Vec::new();
    loop {
        let before = events.len();
        for (index, steps) in choices.iter_mut().enumerate() {
            let Some((delta, finish)) = steps.next() else {
                continue;
            };
            let choice = json!({
                "index": index,
                "delta": delta,
                "logprobs": null,
                "finish_reason": finish,
            });
            let no_usage = usage.then_some(Value::Null);
            events.push(data(&chunk(completion, &json!([choice]), no_usage)));
        }
        if events.len() == before {
            break;
        }
    }
    if usage {
        events.push(data(&chunk(
            completion,
            &json!([]),
            Some(completion.usage()),
        )));
    }
    events.push(done());
    events
}

fn chunk(completion: &Completion, choices: &Value, usage: Option<Value>) -> Value {
    let mut chunk = json!({
        "id": completion.id,
        "object": "chat.completion.chunk",
        "created": completion.created,
        "model": completion.model,
        "service_tier": "default",
        "system_fingerprint": "fp_mock",
        "choices": choices,
    });
    if let (Some(usage), Some(members)) = (usage, chunk.as_object_mut()) {
        members.insert("usage".into(), usage);
    }
    chunk
}

/// The deltas of one choice, the last with the finish reason.
fn steps(reply: &Reply) -> Vec<(Value, Option<&'static str>)> {
    let mut deltas = vec![json!({"role": "assistant", "content": "", "refusal": null})];
    if let Some(reasoning) = &reply.reasoning {
        deltas.extend(pieces(reasoning).map(|piece| json!({ "reasoning_content": piece })));
    }
    match &reply.says {
        Says::Text(text) => deltas.extend(pieces(text).map(|piece| json!({ "content": piece }))),
        Says::Calls(calls) => {
            for (index, call) in calls.iter().enumerate() {
                deltas.extend(call_deltas(index, call));
            }
        }
    }
    let mut steps: Vec<_> = deltas.into_iter().map(|delta| (delta, None)).collect();
    steps.push((json!({}), Some(reply.finish)));
    steps
}

/// A call: id and name first, then the arguments in pieces.
fn call_deltas(index: usize, call: &Call) -> Vec<Value> {
    let head = json!({"tool_calls": [{
        "index": index,
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": ""},
    }]});
    std::iter::once(head)
        .chain(pieces(&call.arguments).map(
            |piece| json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}),
        ))
        .collect()
}
