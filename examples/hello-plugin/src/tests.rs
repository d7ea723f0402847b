use aurora_sdk::testing::{self, FakeHost};

use super::*;

#[test]
fn get_greets_the_client() {
    let host = FakeHost::new().client("ann");
    let options = json!({ "greeting": "good day" });

    let answer = host.call(&Hello, options, testing::request("GET", "/hello"));

    assert_eq!(
        answer.unwrap().json(),
        json!({ "message": "good day, ann" })
    );
}

#[test]
fn post_hands_the_chat_on_as_it_is() {
    let chat = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    let said = json!({ "choices": [{ "message": { "content": "hello" } }] });
    let host = FakeHost::new().answers(Response::json(&said).unwrap());

    let answer = host.call(
        &Hello,
        json!({}),
        testing::request("POST", "/hello").json(&chat),
    );

    assert_eq!(answer.unwrap().json(), said);
    assert_eq!(host.sent()[0].path, "chat/completions");
    assert_eq!(host.sent()[0].json(), chat);
}

#[test]
fn an_option_of_the_wrong_type_is_named() {
    let error = testing::call(
        &Hello,
        json!({ "greeting": 5 }),
        testing::request("GET", "/hello"),
    );

    assert_eq!(error.unwrap_err().param(), Some("greeting"));
}
