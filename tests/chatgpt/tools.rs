//! Functions of the client, by a convention in text.

use aurora_testkit::chatgpt::Reply;
use serde_json::{Value, json};

use super::{Setup, Told, setup};

fn function(name: &str, parameter: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "description": "Does it.", "parameters": {
        "type": "object", "required": [parameter], "properties": {parameter: {"type": "string"}}}}})
}

fn functions() -> Value {
    json!([
        function("get_weather", "city"),
        function("read_file", "path"),
        function("run_command", "command")
    ])
}

fn asking(stream: bool) -> Value {
    json!({"model": "auto", "stream": stream, "tools": functions(),
        "messages": [{"role": "user", "content": "go"}]})
}

async fn both(setup: &Setup, reply: impl Fn() -> Reply) -> [Told; 2] {
    setup.web.reply(reply());
    let streamed = setup.chat(asking(true)).await;
    setup.web.reply(reply());
    let whole = setup.chat(asking(false)).await;
    [streamed, whole]
}

#[tokio::test]
async fn calls_are_taken_out_of_the_text_in_both_forms() {
    let setup = setup("").await;
    for chunk in [1, 1000] {
        let told = both(&setup, || Reply::transcript("20").chunks(chunk)).await;
        for told in told {
            assert_eq!(told.text.trim_end(), "Let me look.");
            let arguments = json!({"city": "Paris", "unit": "celsius"});
            assert_eq!(told.calls, [("get_weather".to_owned(), arguments)]);
            assert_eq!(told.finish.as_deref(), Some("tool_calls"));
            assert!(told.is_whole && !told.text.contains('<'));
        }
    }
}

#[tokio::test]
async fn odd_ways_to_write_a_call_are_understood() {
    let setup = setup("").await;
    let told = both(&setup, || Reply::transcript("27")).await;
    for told in told {
        let expected = [
            ("get_weather", json!({"city": "Paris"})),
            ("read_file", json!({"path": "C:\\work\\notes.txt"})),
            ("read_file", json!({"path": "D:\\docs\\keys.txt"})),
            ("run_command", json!({"command": "ls -la"})),
        ]
        .map(|(name, arguments)| (name.to_owned(), arguments));
        assert_eq!(told.calls, expected);
        assert_eq!(told.text.trim_end(), "Let me see.");
    }
}

#[tokio::test]
async fn calls_without_their_element_are_found_too() {
    let setup = setup("").await;
    let text = "{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Oslo\"}}";
    for told in both(&setup, || Reply::text(text).pieces(9)).await {
        let call = ("get_weather".to_owned(), json!({"city": "Oslo"}));
        assert_eq!(told.calls, [call]);
        assert_eq!(
            (told.text.trim(), told.finish.as_deref()),
            ("", Some("tool_calls"))
        );
    }
}

#[tokio::test]
async fn text_stays_text_where_nothing_is_called() {
    let setup = setup("").await;
    let sample = "Write <tool_call>{\"name\": \"other\", \"arguments\": {}}</tool_call> to call.";
    for told in both(&setup, || Reply::text(sample).pieces(11)).await {
        assert_eq!(told.text, sample, "a function that was not declared");
        assert_eq!(told.finish.as_deref(), Some("stop"));
    }
    let call =
        "<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\"}}</tool_call>";
    for (field, value) in [("tool_choice", json!("none")), ("tools", json!([]))] {
        let mut body = asking(true);
        body[field] = value;
        setup.web.reply(Reply::text(call).pieces(11));
        let told = setup.chat(body).await;
        assert_eq!((told.text.as_str(), told.calls.len()), (call, 0), "{field}");
    }
}

#[tokio::test]
async fn tools_are_ignored_where_they_are_switched_off() {
    let setup = setup("tool_calling = false").await;
    let told = setup.chat(asking(true)).await;
    assert_eq!(told.status, 200);
    let turn = setup.last_turn();
    assert_eq!(
        turn["messages"].as_array().unwrap().len(),
        1,
        "no instructions: {turn}"
    );
}

#[tokio::test]
async fn the_model_is_told_of_every_function_and_of_the_choice() {
    let setup = setup("").await;
    let mut body = asking(false);
    body["tool_choice"] = json!({"type": "function", "function": {"name": "read_file"}});
    assert_eq!(setup.chat(body).await.status, 200);

    let turn = setup.last_turn();
    let text = |index: usize| {
        turn["messages"][index]["content"]["parts"][0]
            .as_str()
            .unwrap()
    };
    for word in [
        "get_weather",
        "read_file",
        "run_command",
        "city",
        "path",
        "<tool_call>",
    ] {
        assert!(text(0).contains(word), "{word}");
    }
    assert!(text(1).starts_with("go") && text(1).contains("read_file"));
}

#[tokio::test]
async fn a_model_that_refuses_its_tools_is_asked_again() {
    let refusal = "I don't have access to your file system.";
    let call = "<tool_call>{\"name\": \"read_file\", \"arguments\": {\"path\": \"a\"}}</tool_call>";
    for stream in [true, false] {
        let setup = setup("refusal_retries = 2").await;
        setup.web.reply(Reply::text(refusal));
        setup.web.reply(Reply::text(refusal));
        setup.web.reply(Reply::text(call));

        let told = setup.chat(asking(stream)).await;

        assert_eq!(told.calls.len(), 1, "{told:?}");
        assert!(told.text.trim().is_empty() && told.is_whole);
        assert_eq!(setup.web.turns().len(), 3);
        let messages = setup.last_turn()["messages"].as_array().unwrap().len();
        assert_eq!(
            messages, 3,
            "instructions, the question, and one more request"
        );
    }
}

#[tokio::test]
async fn the_last_refusal_is_the_answer_when_none_helps() {
    let refusal = "I cannot run commands in a terminal.";
    for stream in [true, false] {
        let setup = setup("refusal_retries = 1").await;
        setup.web.reply(Reply::text(refusal));
        setup.web.reply(Reply::text(refusal));

        let told = setup.chat(asking(stream)).await;

        assert_eq!(
            (told.text.as_str(), told.finish.as_deref()),
            (refusal, Some("stop"))
        );
        assert_eq!(setup.web.turns().len(), 2);
    }
}

#[tokio::test]
async fn responses_give_calls_as_items() {
    let setup = setup("").await;
    setup.web.reply(Reply::transcript("20"));
    let body = json!({"model": "auto", "input": "weather?", "tools": [{"type": "function", "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]});

    let response = setup.post("/v1/responses", &body).await;
    let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();

    let items = answer["output"].as_array().unwrap();
    let call = items
        .iter()
        .find(|item| item["type"] == "function_call")
        .unwrap();
    assert_eq!(call["name"], "get_weather");
    let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments["city"], "Paris");
    let next = json!({"model": "auto", "tools": body["tools"], "input": [
        {"role": "user", "content": "weather?"}, call,
        {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}]});
    assert_eq!(setup.post("/v1/responses", &next).await.status(), 200);
    let turn = setup.last_turn();
    let last = turn["messages"].as_array().unwrap().last().unwrap();
    assert_eq!(last["author"]["role"], "tool");
    let text = last["content"]["parts"][0].as_str().unwrap();
    assert!(
        text.starts_with("Result of the tool `get_weather`:\nsunny"),
        "{text}"
    );
}
