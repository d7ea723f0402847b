//! The documents say what is.

use std::collections::BTreeSet;

use serde_json::Value;

/// Every key of the schema, by its last name.
fn keys(schema: &Value, into: &mut BTreeSet<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        for (name, inner) in properties {
            into.insert(name.clone());
            keys(inner, into);
        }
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            keys(&schema[inner], into);
        }
    }
}

#[test]
fn every_setting_is_documented() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_aurora"))
        .arg("schema")
        .output()
        .unwrap();
    let mut names = BTreeSet::new();
    keys(&serde_json::from_slice(&output.stdout).unwrap(), &mut names);
    let text = include_str!("../docs/configuration.md");

    let missing: Vec<_> = names
        .iter()
        .filter(|name| !text.contains(&format!("`{name}`")) && !text.contains(&format!(".{name}`")))
        .filter(|name| !text.contains(&format!("[{name}]")) && !text.contains(&format!("[{name}.")))
        .collect();

    assert!(names.len() > 50);
    assert!(
        missing.is_empty(),
        "docs/configuration.md does not have {missing:?}"
    );
}

#[test]
fn every_code_in_the_sources_is_documented() {
    let text = include_str!("../docs/errors.md");
    let codes = [
        include_str!("../src/upstream/classify.rs"),
        include_str!("../src/upstream/relay.rs"),
        include_str!("../src/server/gateway.rs"),
        include_str!("../src/server/request_body.rs"),
        include_str!("../src/snapshot/keys.rs"),
        include_str!("../crates/sdk/src/error.rs"),
        include_str!("../crates/chatgpt/src/fault/kind.rs"),
        include_str!("../src/gallery.rs"),
        include_str!("../src/providers/chatgpt/failure.rs"),
        include_str!("../src/providers/chatgpt/handoff.rs"),
        include_str!("../src/providers/chatgpt/web.rs"),
        include_str!("../src/providers/chatgpt/words.rs"),
        include_str!("../src/spool.rs"),
        include_str!("../src/upstream/fetch.rs"),
    ];
    let words = codes
        .iter()
        .flat_map(|source| source.split('"').skip(1).step_by(2));
    let families = [
        "upstream_",
        "gateway_",
        "request_",
        "invalid_",
        "stream_",
        "no_upstream_",
        "no_account_",
        "account_",
        "capability_",
        "fetch_",
        "image_",
        "missing_",
    ];
    let codes: BTreeSet<&str> = words
        .filter(|word| families.iter().any(|family| word.starts_with(family)))
        .filter(|word| {
            word.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        })
        .filter(|word| {
            ![
                "request_id",
                "invalid_request_error",
                "upstream_request_id",
                "upstream_code",
                "image_url",
                "image_generation_user_error",
                "upstream_error",
            ]
            .contains(word)
        })
        .collect();

    let missing: Vec<_> = codes.iter().filter(|code| !text.contains(**code)).collect();

    assert!(codes.len() > 12, "{codes:?}");
    assert!(
        missing.is_empty(),
        "docs/errors.md does not have {missing:?}"
    );
}
