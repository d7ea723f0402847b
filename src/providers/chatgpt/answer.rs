//! A turn's events as a chat completion: chunks while it streams, one object at its end.

use aurora_chatgpt::stop::Stops;
use aurora_chatgpt::stream::FinishReason;
use aurora_chatgpt::tools::{self, Call, Choice, Functions, Machine, Piece, is_refusal};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// In tool mode, text up to this length is held: it may be a refusal, after which the model is asked again.
const MAX_HELD: usize = 400;

/// What a request says about its answer.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// `chatcmpl-...`, the same in all chunks.
    pub(super) id: String,
    /// Seconds since 1970.
    pub(super) created: u64,
    /// The model as the client named it.
    pub(super) model: String,
    /// Whether a last chunk tells token counts.
    pub(super) include_usage: bool,
    /// Tokens of the conversation sent, estimated.
    pub(super) prompt_tokens: u64,
    /// The functions that may be called.
    pub(super) functions: Functions,
    /// Which may, or must.
    pub(super) choice: Choice,
    /// Texts that end the answer.
    pub(super) stops: Stops,
}

/// Facts of the turn that answers tell along.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    /// The conversation.
    pub(super) conversation_id: Option<String>,
    /// The model that really answered, where it is another one than asked for.
    pub(super) served_model: Option<String>,
}

impl Shape {
    /// Whether calls are looked for.
    pub(super) fn has_tools(&self) -> bool {
        !self.functions.is_empty()
    }

    fn object(&self, kind: &str, told: &Told) -> Map<String, Value> {
        let mut object = Map::new();
        let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
        put("id", self.id.as_str().into());
        put("object", kind.into());
        put("created", self.created.into());
        put("model", self.model.as_str().into());
        if let Some(id) = &told.conversation_id {
            put("conversation_id", id.as_str().into());
        }
        if let Some(model) = &told.served_model {
            put("served_model", model.as_str().into());
        }
        object
    }

    fn usage(&self, completion_tokens: u64) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": self.prompt_tokens + completion_tokens,
        })
    }

    /// The whole answer as one object; the flag says that the model refused although it has functions.
    pub(super) fn completion(
        &self,
        answer: &str,
        reasoning: &str,
        reason: FinishReason,
        told: &Told,
    ) -> (Value, bool) {
        let mut stops = self.stops.clone();
        let mut text = stops.push(answer);
        text.push_str(&stops.finish());
        let (text, calls) = if self.has_tools() {
            tools::parse(&text, &self.functions, &self.choice)
        } else {
            (text, Vec::new())
        };
        let refused = calls.is_empty() && self.asks_again() && is_refusal(&text);
        let mut spent = estimate(&text) + estimate(reasoning);
        let mut message = json!({"role": "assistant", "content": text});
        if let Some(message) = message.as_object_mut() {
            if !reasoning.is_empty() {
                message.insert("reasoning_content".to_owned(), reasoning.into());
            }
            if !calls.is_empty() {
                spent += calls
                    .iter()
                    .map(|call| estimate(&call.arguments))
                    .sum::<u64>();
                let calls: Vec<Value> = calls.iter().map(whole_call).collect();
                message.insert("tool_calls".to_owned(), calls.into());
                if text.trim().is_empty() {
                    message.insert("content".to_owned(), Value::Null);
                }
            }
        }
        let reason = match reason {
            _ if !calls.is_empty() => "tool_calls",
            _ if stops.is_stopped() => "stop",
            reason => reason.as_str(),
        };
        let mut object = self.object("chat.completion", told);
        let choice =
            json!({"index": 0, "message": message, "logprobs": null, "finish_reason": reason});
        object.insert("choices".to_owned(), json!([choice]));
        object.insert("usage".to_owned(), self.usage(spent));
        (object.into(), refused)
    }

    /// Whether a refusal is worth asking again.
    fn asks_again(&self) -> bool {
        self.has_tools() && self.choice != Choice::None
    }
}

/// A function call with its place among the answer's.
fn whole_call(call: &Call) -> Value {
    json!({"id": call_id(), "type": "function",
        "function": {"name": call.name, "arguments": call.arguments}})
}

fn call_id() -> String {
    let id = Uuid::new_v4().simple().to_string();
    format!("call_{}", id.get(..24).unwrap_or(&id))
}

/// The answer as chunks.
#[derive(Debug)]
pub(super) struct Composer {
    shape: Shape,
    machine: Machine,
    stops: Stops,
    /// Text that may turn out to be a refusal.
    held: Option<String>,
    calls: usize,
    spent: Spent,
    has_role: bool,
}

impl Composer {
    /// A composer at the start of an answer.
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            machine: Machine::new(shape.functions.clone(), &shape.choice),
            stops: shape.stops.clone(),
            held: shape.asks_again().then(String::new),
            calls: 0,
            spent: Spent::default(),
            has_role: false,
            shape,
        }
    }

    /// The chunk with the role, once.
    pub(super) fn begin(&mut self, told: &Told, out: &mut String) {
        if !self.has_role {
            self.has_role = true;
            self.delta(&json!({"role": "assistant", "content": ""}), told, out);
        }
    }

    /// More reasoning.
    pub(super) fn reasoning(&mut self, text: &str, told: &Told, out: &mut String) {
        self.begin(told, out);
        self.spent.add(text);
        self.delta(&json!({"reasoning_content": text}), told, out);
    }

    /// More of the answer.
    pub(super) fn text(&mut self, text: &str, told: &Told, out: &mut String) {
        let text = self.stops.push(text);
        let pieces = self.machine.push(&text);
        self.pieces(pieces, told, out);
    }

    /// Whether nothing more of the answer can matter.
    pub(super) fn is_stopped(&self) -> bool {
        self.stops.is_stopped()
    }

    fn pieces(&mut self, pieces: Vec<Piece>, told: &Told, out: &mut String) {
        for piece in pieces {
            match piece {
                Piece::Text(text) => self.say(&text, told, out),
                Piece::Call(call) => {
                    self.release(told, out);
                    self.call(&call, told, out);
                }
            }
        }
    }

    fn say(&mut self, text: &str, told: &Told, out: &mut String) {
        if text.is_empty() {
            return;
        }
        if let Some(held) = &mut self.held {
            held.push_str(text);
            if held.len() > MAX_HELD {
                self.release(told, out);
            }
            return;
        }
        self.begin(told, out);
        self.spent.add(text);
        self.delta(&json!({"content": text}), told, out);
    }

    /// What was held is an answer.
    fn release(&mut self, told: &Told, out: &mut String) {
        if let Some(held) = self.held.take() {
            self.say(&held, told, out);
        }
    }

    fn call(&mut self, call: &Call, told: &Told, out: &mut String) {
        self.begin(told, out);
        let index = self.calls;
        self.calls += 1;
        let begun = json!({"index": index, "id": call_id(), "type": "function",
            "function": {"name": call.name, "arguments": ""}});
        self.delta(&json!({"tool_calls": [begun]}), told, out);
        self.spent.add(&call.arguments);
        let rest = json!({"index": index, "function": {"arguments": call.arguments}});
        self.delta(&json!({"tool_calls": [rest]}), told, out);
    }

    /// The turn is over. `false`: the model refused although it has functions, nothing was told yet, and `may_ask_again`.
    pub(super) fn end_text(&mut self, may_ask_again: bool, told: &Told, out: &mut String) -> bool {
        let rest = self.stops.finish();
        let mut pieces = self.machine.push(&rest);
        pieces.extend(self.machine.finish());
        self.pieces(pieces, told, out);
        let Some(held) = self.held.take() else {
            return true;
        };
        if self.calls > 0 {
            self.say(&held, told, out);
            return true;
        }
        // Calls may stand in the text without their element.
        let (text, calls) = tools::parse(&held, &self.shape.functions, &self.shape.choice);
        if calls.is_empty() && may_ask_again && is_refusal(&text) {
            self.machine = Machine::new(self.shape.functions.clone(), &self.shape.choice);
            self.stops = self.shape.stops.clone();
            self.held = Some(String::new());
            return false;
        }
        self.say(&text, told, out);
        for call in &calls {
            self.call(call, told, out);
        }
        true
    }

    /// The last chunks.
    pub(super) fn finish(&mut self, reason: FinishReason, told: &Told, out: &mut String) {
        self.begin(told, out);
        let reason = match reason {
            _ if self.calls > 0 => "tool_calls",
            _ if self.is_stopped() => "stop",
            reason => reason.as_str(),
        };
        self.chunk(
            &json!([{"index": 0, "delta": {}, "logprobs": null, "finish_reason": reason}]),
            told,
            out,
        );
        if self.shape.include_usage {
            let mut object = self.shape.object("chat.completion.chunk", told);
            object.insert("choices".to_owned(), json!([]));
            object.insert("usage".to_owned(), self.shape.usage(self.spent.tokens()));
            frame(&object.into(), out);
        }
        out.push_str("data: [DONE]\n\n");
    }

    fn delta(&self, delta: &Value, told: &Told, out: &mut String) {
        let choice = json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}]);
        self.chunk(&choice, told, out);
    }

    fn chunk(&self, choices: &Value, told: &Told, out: &mut String) {
        let mut object = self.shape.object("chat.completion.chunk", told);
        object.insert("choices".to_owned(), choices.clone());
        if self.shape.include_usage {
            object.insert("usage".to_owned(), Value::Null);
        }
        frame(&object.into(), out);
    }
}

fn frame(value: &Value, out: &mut String) {
    out.push_str("data: ");
    out.push_str(&value.to_string());
    out.push_str("\n\n");
}

/// Tokens of a text, estimated: the service gives no counts.
pub(super) fn estimate(text: &str) -> u64 {
    let mut spent = Spent::default();
    spent.add(text);
    spent.tokens()
}

/// Text so far, as tokens: four ASCII characters are one, and so is one character of another script.
#[derive(Debug, Default)]
struct Spent {
    ascii: u64,
    other: u64,
}

impl Spent {
    fn add(&mut self, text: &str) {
        let ascii = text.bytes().filter(u8::is_ascii).count();
        self.ascii += ascii as u64;
        self.other += (text.chars().count() - ascii) as u64;
    }

    fn tokens(&self) -> u64 {
        self.ascii.div_ceil(4) + self.other
    }
}
