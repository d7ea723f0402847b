//! Frames of the service's websocket: commands out, pieces of event streams in.

use serde_json::{Map, Value, json};

/// What a frame brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A piece of a turn's event stream.
    Stream {
        /// Its id, by which repeats are told.
        id: Option<String>,
        /// The topic that it came on.
        topic: Option<String>,
        /// Its conversation.
        conversation_id: Option<String>,
        /// The piece: event-stream text, one or more frames.
        encoded: String,
    },
    /// Something about a conversation changed.
    Update {
        /// The conversation.
        conversation_id: String,
        /// `async-task-complete`, `add-messages`, ...
        kind: String,
    },
}

/// The first frame to send: connects and subscribes to `topics`, each from its beginning.
pub fn hello(topics: &[&str]) -> String {
    let presence = json!({"type": "presence", "state": "background"});
    let connect = json!({"id": 1, "command": {"type": "connect", "presence": presence}});
    let subscribe = topics.iter().enumerate().map(|(index, topic)| {
        let mut command = json!({"type": "subscribe", "topic_id": topic});
        if let (true, Some(command)) = (
            topic.starts_with("conversation-turn-"),
            command.as_object_mut(),
        ) {
            command.insert("offset".to_owned(), "0".into());
        }
        json!({"id": index + 2, "command": command})
    });
    let commands: Vec<Value> = std::iter::once(connect).chain(subscribe).collect();
    Value::from(commands).to_string()
}

/// The items of a frame: one object or an array, catch-ups of replies included; what is odd is left out.
pub fn items(frame: &str) -> Vec<Item> {
    let mut items = Vec::new();
    if let Ok(value) = serde_json::from_str(frame) {
        read(&value, &mut items);
    }
    items
}

fn read(value: &Value, items: &mut Vec<Item>) {
    match value {
        Value::Array(frames) => {
            for frame in frames {
                read(frame, items);
            }
        }
        Value::Object(frame) => {
            let catchups = frame.get("reply").and_then(|reply| reply.get("catchups"));
            if let Some(Value::Array(catchups)) = catchups {
                for frame in catchups {
                    read(frame, items);
                }
            }
            items.extend(item(frame));
        }
        _ => {}
    }
}

/// Looks at every level of the payload: builds of the service differ in how deep the fields lie.
fn item(frame: &Map<String, Value>) -> Option<Item> {
    let topic = text(frame, "topic_id");
    let mut level = frame.get("payload")?.as_object()?;
    let mut kind = None;
    loop {
        kind = text(level, "type").or(kind);
        if let Some(encoded) = text(level, "encoded_item") {
            return Some(Item::Stream {
                id: text(level, "stream_item_id"),
                topic,
                conversation_id: text(level, "conversation_id"),
                encoded,
            });
        }
        if let (Some(conversation_id), Some(kind)) =
            (text(level, "conversation_id"), text(level, "update_type"))
        {
            return Some(Item::Update {
                conversation_id,
                kind,
            });
        }
        level = level.get("payload")?.as_object()?;
    }
}

fn text(map: &Map<String, Value>, key: &str) -> Option<String> {
    map.get(key)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream_item(id: &str, text: &str) -> Value {
        json!({"type": "message", "topic_id": "conversation-turn-t", "offset": "7", "payload": {
            "type": "conversation-turn-stream", "payload": {"type": "stream-item", "conversation_id": "c",
                "stream_item_id": id, "encoded_item": text}}})
    }

    fn encoded(items: &[Item]) -> Vec<&str> {
        let texts = items.iter().filter_map(|item| match item {
            Item::Stream { encoded, .. } => Some(encoded.as_str()),
            Item::Update { .. } => None,
        });
        texts.collect()
    }

    #[test]
    fn objects_arrays_and_catchups_are_read_alike() {
        let one = stream_item("1", "data: 1\n\n");
        let many = json!([stream_item("1", "a"), 7, stream_item("2", "b")]);
        let reply = json!({"type": "reply", "id": 5, "reply": {"type": "subscribe", "topic_id": "conversation-turn-t",
            "catchups": [stream_item("1", "x"), stream_item("2", "y")]}});
        let flat = json!({"type": "message", "topic_id": "t", "payload": {"encoded_item": "z", "conversation_id": "c"}});

        assert_eq!(encoded(&items(&one.to_string())), ["data: 1\n\n"]);
        assert_eq!(encoded(&items(&many.to_string())), ["a", "b"]);
        assert_eq!(encoded(&items(&reply.to_string())), ["x", "y"]);
        assert_eq!(encoded(&items(&flat.to_string())), ["z"]);
    }

    #[test]
    fn updates_name_their_conversation() {
        let update = json!({"type": "message", "topic_id": "conversations", "payload": {"type": "conversation-update",
            "payload": {"conversation_id": "c", "update_type": "async-task-complete", "update_content": {}}}});

        let expected = Item::Update {
            conversation_id: "c".to_owned(),
            kind: "async-task-complete".to_owned(),
        };
        assert_eq!(items(&update.to_string()), [expected]);
    }

    #[test]
    fn odd_frames_bring_nothing() {
        for frame in [
            "",
            "7",
            "{}",
            "[[]]",
            r#"{"payload":7}"#,
            r#"{"payload":{"payload":{}}}"#,
        ] {
            assert_eq!(items(frame), [], "{frame}");
        }
    }

    #[test]
    fn the_hello_connects_and_subscribes() {
        let hello: Value =
            serde_json::from_str(&hello(&["conversations", "conversation-turn-t"])).unwrap();

        assert_eq!(hello[0]["command"]["type"], "connect");
        assert_eq!(hello[1]["command"]["topic_id"], "conversations");
        assert_eq!(hello[2]["command"]["offset"], "0");
        assert_eq!(hello[2]["id"], 3);
    }
}
