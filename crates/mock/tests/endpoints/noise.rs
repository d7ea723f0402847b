//! Whatever comes in, an answer goes out.

use bytes::Bytes;
use fastrand::Rng;
use http::Method;
use serde_json::{Map, Value, json};

use crate::client::{Client, form};

const PATHS: [&str; 16] = [
    "chat/completions",
    "completions",
    "embeddings",
    "moderations",
    "models",
    "models/x",
    "images/generations",
    "images/edits",
    "images/variations",
    "audio/speech",
    "audio/transcriptions",
    "audio/translations",
    "files",
    "files/file-0123456789abcdef01234567",
    "files/x/content",
    "?",
];

const MEMBERS: [&str; 24] = [
    "model",
    "messages",
    "prompt",
    "input",
    "role",
    "content",
    "type",
    "text",
    "n",
    "stop",
    "max_tokens",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "function",
    "name",
    "parameters",
    "response_format",
    "json_schema",
    "schema",
    "image",
    "size",
    "file",
];

fn value(rng: &mut Rng, depth: u32) -> Value {
    match rng.u32(0..if depth > 4 { 6 } else { 10 }) {
        0 => Value::Null,
        1 => json!(rng.bool()),
        2 => json!(rng.i64(-2..3)),
        3 => json!(rng.f64()),
        4 => json!(
            *rng.choice(
                [
                    "64x64",
                    "user",
                    "function",
                    "json_schema",
                    "wav",
                    "#",
                    "ä\u{0}\n"
                ]
                .iter()
            )
            .unwrap()
        ),
        5 => json!(*rng.choice(MEMBERS.iter()).unwrap()),
        6 | 7 => (0..rng.usize(0..4))
            .map(|_| value(rng, depth + 1))
            .collect(),
        _ => Value::Object(members(rng, depth + 1)),
    }
}

fn members(rng: &mut Rng, depth: u32) -> Map<String, Value> {
    (0..rng.usize(0..8))
        .map(|_| {
            let name = *rng.choice(MEMBERS.iter()).unwrap();
            (name.to_owned(), value(rng, depth))
        })
        .collect()
}

fn bytes(rng: &mut Rng) -> Vec<u8> {
    (0..rng.usize(0..200)).map(|_| rng.u8(..)).collect()
}

#[test]
fn random_bytes_never_panic() {
    let client = Client::default();
    let mut rng = Rng::with_seed(1);
    for path in PATHS {
        for round in 0..40 {
            let (content_type, mut body) = match round % 3 {
                0 => ("application/json", bytes(&mut rng)),
                1 => form(&[
                    ("file", Some("a"), &bytes(&mut rng)),
                    ("image", Some("b"), &bytes(&mut rng)),
                ]),
                _ => ("multipart/form-data; boundary=b", bytes(&mut rng)),
            };
            body.truncate(rng.usize(0..=body.len()));
            let method = rng
                .choice([Method::GET, Method::POST, Method::DELETE])
                .unwrap();

            let answer = client.send_as("ann", &method, path, (content_type, body));

            assert!(answer.status.as_u16() < 500, "{path}");
        }
    }
}

#[test]
fn random_json_never_panics() {
    let client = Client::default();
    let mut rng = Rng::with_seed(2);
    for path in PATHS {
        for _ in 0..60 {
            let mut request = members(&mut rng, 0);
            request.entry("size").or_insert(json!("32x32"));
            if rng.bool() {
                request.insert("model".to_owned(), json!("m"));
                request.insert(
                    "messages".to_owned(),
                    json!([{"role": "user", "content": "use a tool"}]),
                );
            }
            let body = Bytes::from(Value::Object(request).to_string());

            let answer = client.send_as("ann", &Method::POST, path, ("application/json", body));

            assert!(answer.status.as_u16() < 500, "{path}");
        }
    }
}
