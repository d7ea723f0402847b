//! Legacy completions, embeddings, moderations and models.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::client::{Client, error, events, json};

#[test]
fn a_prompt_is_completed_streamed_or_not() {
    let client = Client::default();
    let mut request = json!({"model": "m", "prompt": ["one", "two"], "n": 2});

    let plain = json(&client.post("completions", &request));
    request["stream"] = json!(true);
    request["stream_options"] = json!({"include_usage": true});
    let events = events(&client.post("completions", &request));

    assert_eq!(plain["object"], "text_completion");
    assert_eq!(plain["choices"].as_array().unwrap().len(), 4);
    assert_eq!(plain["choices"][2]["text"], "You said: two (model m)");
    let streamed: String = events
        .iter()
        .filter_map(|event| event["choices"].get(0))
        .filter(|choice| choice["index"] == 2)
        .filter_map(|choice| choice["text"].as_str())
        .collect();
    assert_eq!(streamed, "You said: two (model m)");
    assert_eq!(events[events.len() - 2]["usage"], plain["usage"]);
    assert_eq!(events[events.len() - 1], "[DONE]");
}

#[test]
fn embeddings_are_unit_vectors_in_either_encoding() {
    let client = Client::default();
    let mut request = json!({"model": "m", "input": ["a cat", "a dog"], "dimensions": 64});

    let floats = json(&client.post("embeddings", &request));
    request["encoding_format"] = json!("base64");
    let coded = json(&client.post("embeddings", &request));

    assert_eq!(floats["object"], "list");
    assert_eq!(floats["usage"]["prompt_tokens"], 4);
    for index in 0..2 {
        let vector: Vec<f64> = floats["data"][index]["embedding"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_f64)
            .collect();
        let bytes = coded["data"][index]["embedding"].as_str().unwrap();
        let same: Vec<f64> = STANDARD
            .decode(bytes)
            .unwrap()
            .chunks(4)
            .map(|four| f64::from(f32::from_le_bytes(four.try_into().unwrap())))
            .collect();
        assert_eq!(vector.len(), 64);
        assert!((vector.iter().map(|value| value * value).sum::<f64>() - 1.0).abs() < 1e-4);
        assert!(vector.iter().zip(&same).all(|(a, b)| (a - b).abs() < 1e-6));
    }
    assert_ne!(
        floats["data"][0]["embedding"],
        floats["data"][1]["embedding"]
    );
}

#[test]
fn tokens_are_embedded_too() {
    let client = Client::default();

    let one = json(&client.post("embeddings", &json!({"model": "m", "input": [1, 2, 3]})));
    let two = json(&client.post(
        "embeddings",
        &json!({"model": "m", "input": [[1, 2, 3], [4]]}),
    ));

    assert_eq!(one["data"].as_array().unwrap().len(), 1);
    assert_eq!(one["data"][0]["embedding"].as_array().unwrap().len(), 1536);
    assert_eq!(one["data"][0]["embedding"], two["data"][0]["embedding"]);
    assert_eq!(two["data"].as_array().unwrap().len(), 2);
}

#[test]
fn moderation_flags_a_category_by_its_name() {
    let client = Client::default();

    let input = json!({"input": ["a nice day", "graphic VIOLENCE"]});
    let answer = json(&client.post("moderations", &input));

    assert_eq!(answer["results"][0]["flagged"], false);
    assert_eq!(answer["results"][1]["flagged"], true);
    let categories = &answer["results"][1]["categories"];
    assert_eq!(categories["violence/graphic"], true);
    assert_eq!(categories["hate"], false);
}

#[test]
fn models_are_listed_and_found() {
    let client = Client::default();

    let list = json(&client.get("models"));
    let one = json(&client.get("models/mock-chat"));

    assert_eq!(list["data"].as_array().unwrap().len(), 5);
    assert_eq!(list["data"][0], one);
    assert_eq!(
        error(&client.get("models/nope")),
        (404, "model_not_found".to_owned(), Some("model".to_owned()))
    );
}

#[test]
fn bad_requests_name_the_member_at_fault() {
    let client = Client::default();
    let cases = [
        ("completions", json!({"model": "m"}), "prompt"),
        ("completions", json!({"prompt": "x"}), "model"),
        ("completions", json!({"model": "m", "prompt": {}}), "prompt"),
        (
            "completions",
            json!({"model": "m", "prompt": ["a", "b"], "n": 100}),
            "n",
        ),
        ("embeddings", json!({"input": "x"}), "model"),
        ("embeddings", json!({"model": "m"}), "input"),
        ("embeddings", json!({"model": "m", "input": ""}), "input"),
        (
            "embeddings",
            json!({"model": "m", "input": [1, "x"]}),
            "input",
        ),
        (
            "embeddings",
            json!({"model": "m", "input": "x", "dimensions": 0}),
            "dimensions",
        ),
        (
            "embeddings",
            json!({"model": "m", "input": "x", "encoding_format": "hex"}),
            "encoding_format",
        ),
        (
            "embeddings",
            json!({"model": "m", "input": "x ".repeat(8193)}),
            "input",
        ),
        ("moderations", json!({}), "input"),
        ("moderations", json!({"input": 5}), "input"),
    ];
    for (path, request, param) in cases {
        let (status, _, named) = error(&client.post(path, &request));

        assert_eq!(
            (status, named.as_deref()),
            (400, Some(param)),
            "{path} {param}"
        );
    }
}
