//! What is read of a JSON body without a tree agrees with the tree, and a change of it changes nothing else.
#![no_main]

use std::fmt;

use aurora_openai::peek::{Peek, with_model, without_stream};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

fuzz_target!(|body: &[u8]| {
    let peeked = Peek::of(body);
    // Not every body that can be relayed is a tree: numbers may be too large, nesting too deep.
    let tree: Result<Members, _> = serde_json::from_slice(body);
    let Ok(peek) = peeked else {
        assert!(tree.is_err() || tree.is_ok_and(|members| members.has_doubles()));
        return;
    };
    let body = Bytes::copy_from_slice(body);
    let renamed = with_model(&body, &peek, "a \"new\" one");
    let quiet = without_stream(&body, &peek);
    let Ok(members) = tree else { return };
    assert!(!members.has_doubles());
    let object = members.into_object();
    let model = object.get("model").and_then(Value::as_str);
    assert_eq!(peek.model.as_deref(), model);
    assert_eq!(
        peek.stream,
        object.get("stream") == Some(&Value::Bool(true))
    );

    let mut expected = object.clone();
    if let (Some(model), Some(_)) = (expected.get_mut("model"), model) {
        *model = "a \"new\" one".into();
    }
    assert_eq!(read(&renamed), expected);

    let mut expected = object;
    if peek.stream {
        expected.insert("stream".to_owned(), false.into());
        if let Some(options) = expected.get_mut("stream_options") {
            *options = Value::Null;
        }
    }
    assert_eq!(read(&quiet), expected);
});

fn read(body: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(body).expect("a body that was changed is still an object")
}

/// An object with the members that occur twice.
struct Members(Vec<(String, Value)>);

impl Members {
    /// Whether two readers could take different members: the rule of `Peek`, said once more.
    fn has_doubles(&self) -> bool {
        let count = |wanted: &dyn Fn(&str) -> bool| {
            self.0.iter().filter(|(name, _)| wanted(name)).count() > 1
        };
        count(&|name| name.eq_ignore_ascii_case("model"))
            || count(&|name| name == "stream")
            || count(&|name| name == "stream_options")
    }

    fn into_object(self) -> Map<String, Value> {
        self.0.into_iter().collect()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut all = Vec::new();
                while let Some(member) = map.next_entry()? {
                    all.push(member);
                }
                Ok(Members(all))
            }
        }
        deserializer.deserialize_map(All)
    }
}
