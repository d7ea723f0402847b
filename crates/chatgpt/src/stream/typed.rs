//! Typed events: unnamed frames with a `type`, beside the messages.

use serde_json::{Map, Value};

use super::event::{Event, Limits, StreamError};
use super::message::text;

type Object = Map<String, Value>;

/// What a typed event means for the turn.
#[derive(Debug, PartialEq)]
pub(super) enum Meaning {
    /// Nothing more than this event.
    Tell(Event),
    /// The turn's stream is complete.
    Complete,
    /// The answer goes on elsewhere, under this topic.
    Handoff(Option<String>),
    /// The turn has this exchange id; the model may be named too.
    Exchange {
        id: Option<String>,
        model: Option<String>,
    },
    /// Moderation of this message.
    Moderation {
        message: Option<String>,
        blocked: bool,
    },
    /// Several answers are in the stream.
    Variants,
    /// The turn failed.
    Failed(StreamError),
}

/// Reads a typed event; `None` for those that say nothing to a client.
pub(super) fn read(kind: &str, frame: &Object) -> Option<Meaning> {
    Some(match kind {
        "message_stream_complete" | "main_stream_complete" => Meaning::Complete,
        "stream_handoff" => Meaning::Handoff(topic(frame)),
        "resume_conversation_token" => {
            Meaning::Tell(Event::ResumeToken(text(frame, "token")?.to_owned()))
        }
        "title_generation" => Meaning::Tell(Event::Title(text(frame, "title")?.to_owned())),
        "conversation_detail_metadata" => Meaning::Tell(Event::Limits(Limits::read(frame))),
        "conversation_async_status" => Meaning::Tell(Event::AsyncStatus(
            frame.get("async_status").and_then(Value::as_i64),
        )),
        "server_ste_metadata" => {
            let metadata = frame.get("metadata")?.as_object()?;
            Meaning::Exchange {
                id: text(metadata, "turn_exchange_id").map(str::to_owned),
                model: text(metadata, "model_slug").map(str::to_owned),
            }
        }
        "moderation" => {
            let response = frame.get("moderation_response");
            let blocked = response.and_then(|response| response.get("blocked")?.as_bool());
            Meaning::Moderation {
                message: text(frame, "message_id").map(str::to_owned),
                blocked: blocked.unwrap_or(false),
            }
        }
        "num_variants_in_stream" => {
            let many = frame
                .values()
                .filter_map(Value::as_u64)
                .any(|number| number > 1);
            return many.then_some(Meaning::Variants);
        }
        "error" => Meaning::Failed(failure(frame).unwrap_or_else(unnamed)),
        _ => return None,
    })
}

fn topic(frame: &Object) -> Option<String> {
    let options = frame.get("options").and_then(Value::as_array);
    let options = options.map(Vec::as_slice).unwrap_or_default().iter();
    let of = |wanted: &'static str| {
        options.clone().find_map(|option| {
            let option = option.as_object()?;
            (text(option, "type") == Some(wanted)).then(|| text(option, "topic_id"))?
        })
    };
    let named = of("subscribe_ws_topic").or_else(|| of("resume_sse_endpoint"));
    let exchange = || text(frame, "turn_exchange_id").map(turn_topic);
    named.map(str::to_owned).or_else(exchange)
}

/// The topic of a turn on the websocket.
pub(super) fn turn_topic(exchange: &str) -> String {
    format!("conversation-turn-{exchange}")
}

fn unnamed() -> StreamError {
    StreamError::Upstream {
        message: "the service reported an error without words".to_owned(),
        code: None,
    }
}

/// The error that a frame carries, in any of its shapes.
///
/// `{"error":"text","error_code":..}`, `{"error":{"message","code"}}`, `{"type":"error","message","code"}`, `{"detail":..}`.
pub(super) fn failure(frame: &Object) -> Option<StreamError> {
    let error = ["error", "detail"].into_iter().find_map(|key| {
        let value = frame.get(key)?;
        (!value.is_null() && value != &Value::Bool(false)).then_some(value)
    });
    let (message, code) = match error {
        Some(Value::String(message)) => (Some(message.as_str()), None),
        Some(Value::Object(error)) => (text(error, "message"), text(error, "code")),
        Some(_) => (None, None),
        None => (Some(text(frame, "message")?), None),
    };
    let outer = || text(frame, "error_code").or_else(|| text(frame, "code"));
    let code = code.or_else(outer).map(str::to_owned);
    let message = message.or_else(|| text(frame, "message"));
    Some(StreamError::Upstream {
        message: match (message, &code) {
            (Some(message), _) => message.to_owned(),
            (None, Some(code)) => code.clone(),
            (None, None) => return Some(unnamed()),
        },
        code,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> &Object {
        value.as_object().unwrap()
    }

    #[test]
    fn errors_are_read_in_all_their_shapes() {
        let table = [
            (
                json!({"message": null, "error": "bad", "error_code": "c"}),
                "bad",
                Some("c"),
            ),
            (
                json!({"error": {"message": "bad", "code": "c"}}),
                "bad",
                Some("c"),
            ),
            (json!({"error": {"code": "c"}}), "c", Some("c")),
            (
                json!({"type": "error", "message": "bad", "code": "c"}),
                "bad",
                Some("c"),
            ),
            (json!({"detail": "bad"}), "bad", None),
            (
                json!({"detail": {"message": "bad", "code": "c"}}),
                "bad",
                Some("c"),
            ),
        ];

        for (frame, message, code) in table {
            let expected = StreamError::Upstream {
                message: message.to_owned(),
                code: code.map(str::to_owned),
            };
            assert_eq!(failure(object(&frame)), Some(expected), "{frame}");
        }
        assert_eq!(failure(object(&json!({"error": null}))), None);
    }

    #[test]
    fn a_handoff_names_its_topic() {
        let full = json!({"options": [{"type": "resume_sse_endpoint", "topic_id": "a"},
            {"type": "subscribe_ws_topic", "topic_id": "b"}]});
        let bare = json!({"turn_exchange_id": "x", "options": [7]});

        assert_eq!(topic(object(&full)).as_deref(), Some("b"));
        assert_eq!(topic(object(&bare)).as_deref(), Some("conversation-turn-x"));
        assert_eq!(topic(object(&json!({}))), None);
    }

    #[test]
    fn unknown_and_odd_events_mean_nothing() {
        assert_eq!(read("some_future_event", &Object::new()), None);
        assert_eq!(read("title_generation", object(&json!({"title": 7}))), None);
        assert_eq!(read("server_ste_metadata", &Object::new()), None);
        assert_eq!(
            read(
                "num_variants_in_stream",
                object(&json!({"num_variants_in_stream": 1}))
            ),
            None
        );
    }
}
