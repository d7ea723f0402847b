//! Messages as frames of an event stream, in either form.

use serde_json::{Map, Value, json};

use super::script::Form;

/// Frames in the order they are told.
#[derive(Debug)]
pub(super) struct Frames {
    form: Form,
    conversation: String,
    counter: usize,
    /// Path and operation of the last delta frame, which the next may leave out.
    last: Option<(String, String)>,
    pub(super) out: Vec<String>,
}

impl Frames {
    pub(super) fn new(form: Form, conversation: &str) -> Self {
        let mut frames = Self {
            form,
            conversation: conversation.to_owned(),
            counter: 0,
            last: None,
            out: Vec::new(),
        };
        frames.begin();
        frames
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Begins a stream of its own, such as the rest of a handed-off answer.
    pub(super) fn begin(&mut self) {
        self.last = None;
        if self.form == Form::Delta {
            self.out
                .push("event: delta_encoding\ndata: \"v1\"\n\n".to_owned());
        }
    }

    /// The frames so far; what follows goes to a list of its own.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.out)
    }

    /// A message that grows from state to state.
    pub(super) fn message(&mut self, states: &[Value]) {
        if self.form == Form::Snapshot {
            for state in states {
                let root =
                    json!({"message": state, "conversation_id": self.conversation, "error": null});
                self.out.push(format!("data: {root}\n\n"));
            }
            return;
        }
        let Some(first) = states.first() else { return };
        let root = json!({"message": first, "conversation_id": self.conversation, "error": null, "error_code": null});
        self.operation("", "add", root, Some(self.counter));
        self.counter += 1;
        for pair in states.windows(2) {
            let mut operations = Vec::new();
            differ("/message", &pair[0], &pair[1], &mut operations);
            if operations.len() == 1 {
                let (path, kind, value) = operations.remove(0);
                self.operation(&path, kind, value, None);
            } else if !operations.is_empty() {
                let list = operations
                    .into_iter()
                    .map(|(path, kind, value)| json!({"p": path, "o": kind, "v": value}))
                    .collect();
                self.operation("", "patch", list, None);
            }
        }
    }

    /// An event with a type.
    pub(super) fn typed(&mut self, mut event: Value) {
        event["conversation_id"] = self.conversation.as_str().into();
        self.out.push(format!("data: {event}\n\n"));
    }

    pub(super) fn done(&mut self) {
        self.out.push("data: [DONE]\n\n".to_owned());
    }

    fn operation(&mut self, path: &str, kind: &str, value: Value, counter: Option<usize>) {
        let mut frame = Map::new();
        let is_same = self
            .last
            .as_ref()
            .is_some_and(|(last_path, last_kind)| last_path == path && last_kind == kind);
        if !is_same {
            frame.insert("p".to_owned(), path.into());
            frame.insert("o".to_owned(), kind.into());
        }
        frame.insert("v".to_owned(), value);
        if let Some(counter) = counter {
            frame.insert("c".to_owned(), counter.into());
        }
        self.last = Some((path.to_owned(), kind.to_owned()));
        let frame = Value::Object(frame);
        self.out.push(format!("event: delta\ndata: {frame}\n\n"));
    }
}

/// The operations that make `new` of `old`.
fn differ(path: &str, old: &Value, new: &Value, out: &mut Vec<(String, &'static str, Value)>) {
    if old == new {
        return;
    }
    match (old, new) {
        (Value::String(old), Value::String(new))
            if new.starts_with(old.as_str()) && is_text(path) =>
        {
            let more = new.strip_prefix(old.as_str()).unwrap_or_default();
            out.push((path.to_owned(), "append", more.into()));
        }
        (Value::Object(old), Value::Object(new)) => {
            let mut fresh = Map::new();
            for (key, value) in new {
                match old.get(key) {
                    Some(before) => differ(&format!("{path}/{key}"), before, value, out),
                    None => drop(fresh.insert(key.clone(), value.clone())),
                }
            }
            if !fresh.is_empty() {
                out.push((path.to_owned(), "append", fresh.into()));
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() <= new.len() => {
            for (at, (before, value)) in old.iter().zip(new).enumerate() {
                differ(&format!("{path}/{at}"), before, value, out);
            }
            if new.len() > old.len() {
                out.push((path.to_owned(), "append", new[old.len()..].to_vec().into()));
            }
        }
        _ => out.push((path.to_owned(), "replace", new.clone())),
    }
}

/// Whether the service appends here; a status is replaced.
fn is_text(path: &str) -> bool {
    path.starts_with("/message/content/") && !path.ends_with("/asset_pointer")
}
