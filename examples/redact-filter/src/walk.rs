//! Texts in JSON that is whole: a request, an answer, an event that repeats what was said before.

use serde_json::Value;

use crate::mask::Masks;

/// Members that models say something in.
const SAID: [&str; 9] = [
    "content",
    "output_text",
    "reasoning",
    "reasoning_content",
    "refusal",
    "revised_prompt",
    "text",
    "thinking",
    "transcript",
];

/// Members of requests that clients say something in, beside those.
const SENT: [&str; 10] = [
    "arguments",
    "description",
    "input",
    "instructions",
    "output",
    "prompt",
    "query",
    "safety_identifier",
    "system",
    "user",
];

/// Members of requests in which everything is somebody's own, under names of their own.
const OWN: [&str; 2] = ["metadata", "variables"];

/// A walk through one JSON.
pub(crate) struct Walk<'a> {
    masks: &'a Masks,
    is_request: bool,
    count: &'a mut u64,
}

/// What is masked at a place.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// Members with one of the names.
    Named,
    /// The text itself, or the texts of the list.
    Texts,
    /// All texts and numbers.
    All,
}

/// Masks a request.
pub(crate) fn request(body: &mut Value, masks: &Masks, count: &mut u64) {
    let is_request = true;
    let mut walk = Walk {
        masks,
        is_request,
        count,
    };
    walk.walk(body, Mode::Named);
}

/// Masks what a model says. Arguments of calls stay: a tool that is called with a mask would fail, or do something else.
pub(crate) fn answer(data: &mut Value, masks: &Masks, count: &mut u64) {
    let is_request = false;
    let mut walk = Walk {
        masks,
        is_request,
        count,
    };
    walk.walk(data, Mode::Named);
}

impl Walk<'_> {
    fn walk(&mut self, value: &mut Value, mode: Mode) {
        match value {
            Value::String(text) if mode != Mode::Named => {
                if let Some(masked) = self.masks.whole(text, self.count) {
                    *text = masked;
                }
            }
            Value::Number(number) if mode == Mode::All => {
                if let Some(masked) = self.masks.whole(&number.to_string(), self.count) {
                    *value = masked.into();
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.walk(item, mode)),
            Value::Object(members) if mode == Mode::All => {
                members
                    .values_mut()
                    .for_each(|value| self.walk(value, mode));
            }
            Value::Object(members) => {
                for (name, value) in members {
                    self.member(name, value);
                }
            }
            _ => {}
        }
    }

    fn member(&mut self, name: &str, value: &mut Value) {
        match name {
            "arguments" if self.is_request => self.arguments(value),
            // An object here is what a tool was called with.
            "input" if self.is_request && value.is_object() => self.walk(value, Mode::All),
            // They spell the text, token by token.
            "logprobs" if !self.is_request => *value = nothing(value),
            name if self.is_request && OWN.contains(&name) => self.walk(value, Mode::All),
            name if SAID.contains(&name) => self.walk(value, Mode::Texts),
            name if self.is_request && SENT.contains(&name) => self.walk(value, Mode::Texts),
            _ => self.walk(value, Mode::Named),
        }
    }

    /// JSON in a text, which must stay JSON.
    fn arguments(&mut self, value: &mut Value) {
        let parsed = value
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok());
        let Some(mut parsed) = parsed else {
            return self.walk(value, Mode::All);
        };
        let before = *self.count;
        self.walk(&mut parsed, Mode::All);
        if *self.count > before {
            *value = parsed.to_string().into();
        }
    }
}

fn nothing(value: &Value) -> Value {
    if value.is_array() {
        Value::Array(Vec::new())
    } else {
        Value::Null
    }
}
