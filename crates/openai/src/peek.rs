//! Reads and replaces the few members that routing needs, without building a DOM.
//!
//! The rest of the body keeps its bytes: unknown members, number spellings and member order reach the upstream as the
//! client wrote them.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What a JSON request body says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peek {
    /// `model`, where it is a string.
    pub model: Option<String>,
    /// Whether `stream` is `true`.
    pub stream: bool,
    model_span: Option<Range<usize>>,
    stream_span: Option<Range<usize>>,
    stream_options_span: Option<Range<usize>>,
}

#[derive(Default)]
struct Members<'a> {
    model: Option<&'a RawValue>,
    stream: Option<&'a RawValue>,
    stream_options: Option<&'a RawValue>,
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members::default();
        let mut models = 0;
        while let Some(Name(name)) = map.next_key()? {
            if name.eq_ignore_ascii_case("model") {
                models += 1;
                if models > 1 {
                    return Err(A::Error::custom(
                        "duplicate field `model` (in whatever case its letters are)",
                    ));
                }
            }
            let place = match &*name {
                "model" => &mut members.model,
                "stream" => &mut members.stream,
                "stream_options" => &mut members.stream_options,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if place.replace(map.next_value()?).is_some() {
                return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
            }
        }
        Ok(members)
    }
}

/// A member's name, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl Peek {
    /// Looks at `body`, which must be one JSON object.
    ///
    /// A member that occurs twice is refused, and so is a second `model` in other letters: two readers could take
    /// different ones, and servers written in Go take `MODEL` for `model`.
    ///
    /// # Errors
    /// The parser's word, for a 400.
    pub fn of(body: &[u8]) -> Result<Self, serde_json::Error> {
        if body
            .trim_ascii_start()
            .first()
            .is_some_and(|first| *first != b'{')
        {
            return Err(serde::de::Error::custom("expected an object"));
        }
        let members: Members<'_> = serde_json::from_slice(body)?;
        let model = members
            .model
            .and_then(|raw| serde_json::from_str::<Cow<'_, str>>(raw.get()).ok())
            .map(Cow::into_owned);
        Ok(Self {
            model_span: model.as_ref().and(members.model).map(|raw| span(body, raw)),
            model,
            stream: members.stream.is_some_and(|raw| raw.get() == "true"),
            stream_span: members.stream.map(|raw| span(body, raw)),
            stream_options_span: members.stream_options.map(|raw| span(body, raw)),
        })
    }
}

/// Where `raw` lies in `body`, which it borrows from.
fn span(body: &[u8], raw: &RawValue) -> Range<usize> {
    let start = raw.get().as_ptr().addr() - body.as_ptr().addr();
    start..start + raw.get().len()
}

/// Returns `body` with another `model`; everything else keeps its bytes.
pub fn with_model(body: &Bytes, peek: &Peek, model: &str) -> Bytes {
    let Some(at) = peek.model_span.clone() else {
        return body.clone();
    };
    let name = serde_json::Value::from(model).to_string();
    splice(body, &mut [(at, name.as_bytes())])
}

/// Returns `body` with streaming off: `stream` false and `stream_options`, which some servers refuse then, null.
pub fn without_stream(body: &Bytes, peek: &Peek) -> Bytes {
    let mut edits: Vec<(Range<usize>, &[u8])> = Vec::with_capacity(2);
    if peek.stream {
        edits.extend(peek.stream_span.clone().map(|at| (at, b"false".as_slice())));
        edits.extend(
            peek.stream_options_span
                .clone()
                .map(|at| (at, b"null".as_slice())),
        );
    }
    splice(body, &mut edits)
}

fn splice(body: &Bytes, edits: &mut [(Range<usize>, &[u8])]) -> Bytes {
    if edits.is_empty() {
        return body.clone();
    }
    edits.sort_by_key(|(at, _)| at.start);
    let added: usize = edits.iter().map(|(_, text)| text.len()).sum();
    let mut out = BytesMut::with_capacity(body.len() + added);
    let mut from = 0;
    for (at, text) in edits.iter() {
        out.extend_from_slice(&body.slice(from..at.start));
        out.extend_from_slice(text);
        from = at.end;
    }
    out.extend_from_slice(&body.slice(from..));
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_replaced_and_nothing_else_changes() {
        let body = Bytes::from_static(
            b"{ \"x\": 1.50, \"model\" : \"fa\\u0073t\", \"messages\":[{\"model\":\"no\"}], \"stream\":true}",
        );

        let peek = Peek::of(&body).unwrap();

        assert_eq!(peek.model.as_deref(), Some("fast"));
        assert!(peek.stream);
        assert_eq!(
            with_model(&body, &peek, "a\"b"),
            "{ \"x\": 1.50, \"model\" : \"a\\\"b\", \"messages\":[{\"model\":\"no\"}], \"stream\":true}"
        );
    }

    #[test]
    fn streaming_is_switched_off_with_its_options() {
        let body = Bytes::from_static(
            br#"{"stream_options":{"include_usage":true},"stream":true,"model":"m"}"#,
        );

        let plain = without_stream(&body, &Peek::of(&body).unwrap());

        assert_eq!(
            plain,
            r#"{"stream_options":null,"stream":false,"model":"m"}"#
        );
    }

    #[test]
    fn a_body_without_a_stream_keeps_every_byte() {
        let body = Bytes::from_static(br#"{"stream":false,"stream_options":null}"#);

        assert_eq!(without_stream(&body, &Peek::of(&body).unwrap()), body);
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for body in [
            "",
            "[]",
            "3",
            "{} {}",
            "{\"model\":\"a\",\"model\":\"b\"}",
            "{\"model\":\"a\",\"mODEl\":\"b\"}",
            "{\"stream\":true,\"stream\":false}",
            "{\"a\":}",
            "\u{feff}{}",
        ] {
            assert!(Peek::of(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn deep_nesting_in_other_members_is_no_danger() {
        let body = format!("{{\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));

        assert!(Peek::of(body.as_bytes()).is_ok());
    }
}
