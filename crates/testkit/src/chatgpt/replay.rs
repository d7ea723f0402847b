//! Given event streams: their ids, and the messages that they tell.

use serde_json::Value;

/// The first string value of `key` in JSON text.
pub(super) fn string_of(text: &str, key: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("\"{key}\""))?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let (value, _) = rest.strip_prefix('"')?.split_once('"')?;
    Some(value.to_owned())
}

/// The asset pointers' file ids in JSON text.
pub(super) fn pointers(text: &str) -> Vec<String> {
    let mut ids: Vec<String> = ["sediment://", "file-service://"]
        .iter()
        .flat_map(|scheme| text.split(scheme).skip(1))
        .filter_map(|rest| rest.split(['"', '\\', '#', '?']).next())
        .map(str::to_owned)
        .collect();
    ids.sort();
    ids.dedup();
    ids
}

/// The frames of an event stream, each with its blank line.
pub(super) fn frames(text: &str) -> Vec<String> {
    text.split_inclusive("\n\n").map(str::to_owned).collect()
}

/// The messages that a stream tells, in order, each as it is in the end.
pub(super) fn messages(text: &str) -> Vec<Value> {
    let mut reader = Reader::default();
    for payload in text.split("data:").skip(1) {
        let mut values = serde_json::Deserializer::from_str(payload).into_iter::<Value>();
        if let Some(Ok(value)) = values.next() {
            reader.read(&value);
        }
    }
    reader.messages
}

#[derive(Default)]
struct Reader {
    root: Value,
    path: String,
    kind: String,
    messages: Vec<Value>,
}

impl Reader {
    fn read(&mut self, frame: &Value) {
        if frame["message"].is_object() {
            self.root = frame.clone();
        } else if frame["type"].is_null() && frame.get("v").is_some() {
            if let Some(path) = frame["p"].as_str() {
                path.clone_into(&mut self.path);
            }
            if let Some(kind) = frame["o"].as_str() {
                kind.clone_into(&mut self.kind);
            }
            let kind = self.kind.clone();
            if frame["v"]["message"].is_object() {
                self.root = frame["v"].clone();
            } else if kind == "patch" {
                let operations = frame["v"].as_array().cloned().unwrap_or_default();
                for one in &operations {
                    let path = one["p"].as_str().unwrap_or_default();
                    apply(
                        &mut self.root,
                        path,
                        one["o"].as_str().unwrap_or_default(),
                        &one["v"],
                    );
                }
            } else {
                apply(&mut self.root, &self.path, &kind, &frame["v"]);
            }
        }
        self.keep();
    }

    fn keep(&mut self) {
        let message = &self.root["message"];
        if !message["id"].is_string() {
            return;
        }
        let known = self
            .messages
            .iter_mut()
            .find(|known| known["id"] == message["id"]);
        match known {
            Some(known) => known.clone_from(message),
            None => self.messages.push(message.clone()),
        }
    }
}

fn apply(root: &mut Value, path: &str, kind: &str, value: &Value) {
    let Some(target) = root.pointer_mut(path) else {
        if let Some((parent, key)) = path.rsplit_once('/')
            && let Some(Value::Object(parent)) = root.pointer_mut(parent)
        {
            parent.insert(key.to_owned(), value.clone());
        }
        return;
    };
    match (kind, target, value) {
        ("append", Value::String(text), Value::String(more)) => text.push_str(more),
        ("append", Value::Array(list), Value::Array(more)) => list.extend(more.iter().cloned()),
        ("append", Value::Object(map), Value::Object(more)) => {
            map.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        ("truncate", Value::String(text), length) => {
            let length = length
                .as_u64()
                .and_then(|length| usize::try_from(length).ok());
            *text = text.chars().take(length.unwrap_or(usize::MAX)).collect();
        }
        ("add" | "replace", target, value) => target.clone_from(value),
        _ => {}
    }
}
