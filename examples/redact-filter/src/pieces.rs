//! Texts that go on from event to event: where they stand, and which of them an event ends.

use serde_json::{Map, Value, json};

/// Members of a chat delta that go on.
const SAID: [&str; 4] = ["content", "refusal", "reasoning_content", "reasoning"];

/// Events whose `delta` goes on.
const DELTAS: [&str; 7] = [
    "response.output_text.delta",
    "response.refusal.delta",
    "response.reasoning_text.delta",
    "response.reasoning_summary_text.delta",
    "response.audio.transcript.delta",
    "response.audio_transcript.delta",
    "transcript.text.delta",
];

/// A piece of a text.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Which text it is of. Parts of the key that are followed by a slash name the things that the text is in.
    pub(crate) key: String,
    /// Where it stands in the event.
    pub(crate) pointer: String,
    /// Itself.
    pub(crate) text: String,
}

/// Takes all pieces out of an event.
pub(crate) fn take(data: &mut Value) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = places(data)
        .into_iter()
        .map(|(key, pointer)| Piece {
            key,
            pointer,
            text: String::new(),
        })
        .collect();
    pieces.retain_mut(|piece| match data.pointer_mut(&piece.pointer) {
        Some(Value::String(text)) => {
            piece.text = std::mem::take(text);
            !piece.text.is_empty()
        }
        _ => false,
    });
    pieces
}

/// Keys and pointers.
fn places(data: &Value) -> Vec<(String, String)> {
    if let Some(Value::Array(choices)) = data.get("choices") {
        let choices = choices.iter().enumerate();
        return choices
            .flat_map(|(at, choice)| of_choice(at, choice))
            .collect();
    }
    match text(data, "type") {
        kind if DELTAS.contains(&kind) => vec![(key_of(data, kind), "/delta".to_owned())],
        "content_block_delta" => {
            let block = number(data, "index");
            let members = ["text", "thinking"].map(|name| (block, name));
            let places =
                members.map(|(block, name)| (format!("{block}/{name}"), format!("/delta/{name}")));
            places.into()
        }
        _ => Vec::new(),
    }
}

fn of_choice(at: usize, choice: &Value) -> Vec<(String, String)> {
    let index = choice.get("index").and_then(Value::as_u64);
    let index = index.unwrap_or(at as u64);
    let deltas = SAID.map(|name| {
        (
            format!("{index}/{name}"),
            format!("/choices/{at}/delta/{name}"),
        )
    });
    // The older completions API.
    let text = (format!("{index}/text"), format!("/choices/{at}/text"));
    deltas.into_iter().chain([text]).collect()
}

/// The key of a text of the Responses API: item, part, event.
fn key_of(data: &Value, kind: &str) -> String {
    let item = number(data, "output_index");
    format!("{item}/{}/{kind}", part_of(data))
}

fn part_of(data: &Value) -> u64 {
    number(data, "content_index").max(number(data, "summary_index"))
}

fn text<'a>(data: &'a Value, name: &str) -> &'a str {
    data.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(data: &Value, name: &str) -> u64 {
    data.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// What the keys of those texts begin with that the event ends.
pub(crate) fn ended(data: &Value) -> Vec<String> {
    if let Some(Value::Array(choices)) = data.get("choices") {
        let ended = choices.iter().enumerate();
        let ended = ended.filter(|(_, choice)| {
            choice
                .get("finish_reason")
                .is_some_and(|reason| !reason.is_null())
        });
        return ended
            .map(|(at, choice)| {
                let index = choice.get("index").and_then(Value::as_u64);
                format!("{}/", index.unwrap_or(at as u64))
            })
            .collect();
    }
    let kind = text(data, "type");
    let item = number(data, "output_index");
    match kind {
        "response.output_item.done" => vec![format!("{item}/")],
        "response.content_part.done" | "response.reasoning_summary_part.done" => {
            vec![format!("{item}/{}/", part_of(data))]
        }
        "content_block_stop" => vec![format!("{}/", number(data, "index"))],
        "response.completed" | "response.incomplete" | "response.failed" | "message_stop" => {
            vec![String::new()]
        }
        _ => match kind.strip_suffix(".done") {
            Some(kind) => vec![key_of(data, &format!("{kind}.delta"))],
            None => Vec::new(),
        },
    }
}

/// An event of the same text without anything else in it, and where the text stands in that.
pub(crate) fn bare(data: &Value, piece: &Piece) -> (Value, String) {
    let choices = data.get("choices").and_then(Value::as_array);
    let mut path = piece.pointer.split('/').skip(2);
    let choice = choices.zip(path.next()).and_then(|(choices, at)| {
        let at: usize = at.parse().ok()?;
        choices.get(at)
    });
    let Some(choice) = choice else {
        return (data.clone(), piece.pointer.clone());
    };
    let path: Vec<&str> = path.collect();
    let mut alone = json!({ "finish_reason": null });
    if let Some(index) = choice.get("index") {
        alone["index"] = index.clone();
    }
    match path.as_slice() {
        ["delta", name] => alone["delta"] = json!({ *name: "" }),
        _ => alone["text"] = json!(""),
    }
    let members = data.as_object().into_iter().flatten();
    let members = members.filter(|(name, _)| !matches!(name.as_str(), "choices" | "usage"));
    let mut event: Map<String, Value> = members
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    event.insert("choices".to_owned(), json!([alone]));
    (event.into(), format!("/choices/0/{}", path.join("/")))
}

/// Whether an event whose pieces are empty now says nothing else.
pub(crate) fn says_nothing(data: &Value) -> bool {
    let is_empty = |value: &Value| value.is_null() || value.as_str() == Some("");
    let Some(choices) = data.get("choices").and_then(Value::as_array) else {
        return true;
    };
    let has_usage = data.get("usage").is_some_and(|usage| !usage.is_null());
    let mut parts = choices.iter().flat_map(|choice| {
        let delta = choice.get("delta").and_then(Value::as_object);
        let delta = delta.into_iter().flat_map(Map::values);
        delta.chain(
            ["text", "finish_reason"]
                .iter()
                .filter_map(|name| choice.get(*name)),
        )
    });
    !has_usage && parts.all(is_empty)
}
