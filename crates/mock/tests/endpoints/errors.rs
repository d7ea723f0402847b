//! What no endpoint serves.

use http::Method;
use serde_json::json;

use crate::client::{Client, NOTHING, error};

#[test]
fn an_unknown_path_is_named() {
    let answer = Client::default().post("fine_tuning/jobs?x=1", &json!({}));

    assert_eq!(error(&answer).0, 404);
    let text = String::from_utf8(answer.pieces.concat()).unwrap();
    assert!(text.contains("`fine_tuning/jobs`"), "{text}");
}

#[test]
fn a_wrong_method_learns_the_right_ones() {
    let client = Client::default();
    let cases = [
        (Method::GET, "chat/completions", "POST"),
        (Method::POST, "models", "GET"),
        (Method::DELETE, "files", "GET, POST"),
        (Method::POST, "files/file-1", "GET, DELETE"),
        (Method::DELETE, "files/file-1/content", "GET"),
    ];
    for (method, path, allowed) in cases {
        let answer = client.send_as("ann", &method, path, NOTHING);

        assert_eq!(error(&answer).0, 405, "{path}");
        assert_eq!(answer.headers["allow"], allowed, "{path}");
    }
}

#[test]
fn a_body_that_is_not_the_right_kind_is_refused() {
    let client = Client::default();
    for (path, code) in [
        ("chat/completions", "invalid_json"),
        ("images/edits", "invalid_json"),
        ("audio/transcriptions", "invalid_multipart"),
        ("files", "invalid_multipart"),
    ] {
        for body in ["", "{", "[]", "\u{0}"] {
            let answer = client.send_as("ann", &Method::POST, path, ("text/plain", body));

            let (status, found, _) = error(&answer);
            assert_eq!((status, found.as_str()), (400, code), "{path} {body}");
        }
    }
}
