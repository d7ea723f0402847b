use serde_json::{Value, json};

use super::*;
use crate::tools::parse;

fn functions() -> Functions {
    Functions::read(&[
        json!({"type": "function", "function": {"name": "get_weather"}}),
        json!({"type": "function", "function": {"name": "Bash", "parameters": {"properties": {"command": {"type": "string"}}}}}),
    ])
}

/// What is said, and what is called, with the arguments as values.
type Found = (String, Vec<(String, Value)>);

fn found(pieces: impl IntoIterator<Item = Piece>) -> Found {
    let (mut text, mut calls) = (String::new(), Vec::new());
    for piece in pieces {
        match piece {
            Piece::Text(more) => text.push_str(&more),
            Piece::Call(call) => {
                calls.push((call.name, serde_json::from_str(&call.arguments).unwrap()));
            }
        }
    }
    (text, calls)
}

fn stream(pieces: &[&str]) -> Found {
    let mut machine = Machine::new(functions(), &Choice::Auto);
    let mut out: Vec<Piece> = pieces
        .iter()
        .flat_map(|piece| machine.push(piece))
        .collect();
    out.extend(machine.finish());
    found(out)
}

fn weather(city: &str) -> (String, Value) {
    ("get_weather".to_owned(), json!({ "city": city }))
}

fn bash(command: &str) -> (String, Value) {
    ("Bash".to_owned(), json!({ "command": command }))
}

/// An answer, what is said of it, and what is called.
type Row = (&'static str, &'static str, Vec<(String, Value)>);

fn elements() -> Vec<Row> {
    let paris = "{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}";
    let element =
        |tag: &str, json: &str| -> &'static str { format!("<{tag}>{json}</{tag}>").leak() };
    vec![
        (
            "Let me look.\n<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}</tool_call>",
            "Let me look.",
            vec![weather("Paris")],
        ),
        (element("Tool_Call", paris), "", vec![weather("Paris")]),
        (
            element(
                "tool call",
                "```json\n{\"tool\": \"GET_WEATHER\", \"args\": {\"city\": \"Paris\"}} and more\n```",
            ),
            "",
            vec![weather("Paris")],
        ),
        (
            "So:\n```xml\n<tool_call>{\"name\": \"get_weather\", \"city\": \"Paris\"}</tool_call>\n```\nDone.",
            "So:\nDone.",
            vec![weather("Paris")],
        ),
        (
            element(
                "tool_call",
                r#"{"function": {"name": "Bash"}, "parameters": "dir C:\Users\x"}"#,
            ),
            "",
            vec![bash("dir C:\\Users\\x")],
        ),
        (
            element(
                "tool_call",
                r#"{"function": {"name": "Bash", "arguments": "{\"command\":\"ls\"}"}}"#,
            ),
            "",
            vec![bash("ls")],
        ),
        (
            element(
                "tool_call",
                r#"{"name": "Bash", "arguments": {"command": "echo '</tool_call>' {{"}}"#,
            ),
            "",
            vec![bash("echo '</tool_call>' {{")],
        ),
    ]
}

fn odd_elements() -> Vec<Row> {
    vec![
        (
            "<tool_calls>\n<tool_call>{\"name\":\"Bash\",\"arguments\":{\"command\":\"a\"}}</tool_call>\n<tool_call>{\"name\":\"Bash\",\"arguments\":{\"command\":\"b\"}}</tool_call>\n</tool_calls>",
            "\n",
            vec![bash("a"), bash("b")],
        ),
        (
            "<tool_calls>[{\"name\":\"Bash\",\"arguments\":{\"command\":\"a\"}},{\"name\":\"Bash\",\"arguments\":{\"command\":\"a\"}}]</tool_calls>",
            "",
            vec![bash("a")],
        ),
        (
            "x <tool_call>{\"name\":\"Bash\",\"arguments\":{\"command\":\"a\"}}",
            "x",
            vec![bash("a")],
        ),
        (
            "<tool_call>{\"name\":\"Bash\",\"arguments\":{\"comm",
            "<tool_call>{\"name\":\"Bash\",\"arguments\":{\"comm",
            vec![],
        ),
        (
            "<tool_call>{\"name\":\"unknown\"}</tool_call>",
            "<tool_call>{\"name\":\"unknown\"}</tool_call>",
            vec![],
        ),
        (
            "a < b and <table> `code` <tool",
            "a < b and <table> `code` <tool",
            vec![],
        ),
        (
            "```rust\nfn main() {}\n```\n",
            "```rust\nfn main() {}\n```\n",
            vec![],
        ),
        (
            "```\n<tool_call>no</tool_call>\n```",
            "```\n<tool_call>no</tool_call>\n```",
            vec![],
        ),
    ]
}

#[test]
fn elements_become_calls_at_every_split() {
    for (text, said, calls) in elements().into_iter().chain(odd_elements()) {
        let expected = (said.to_owned(), calls);
        assert_eq!(stream(&[text]), expected, "{text}");
        for at in (0..text.len()).filter(|&at| text.is_char_boundary(at)) {
            let (head, tail) = text.split_at(at);
            assert_eq!(stream(&[head, tail]), expected, "{text:?} split at {at}");
        }
        let single: Vec<String> = text.chars().map(String::from).collect();
        let single: Vec<&str> = single.iter().map(String::as_str).collect();
        assert_eq!(stream(&single), expected, "{text:?} by character");
    }
}

#[test]
fn nothing_is_taken_out_where_nothing_may_be_called() {
    let text = "<tool_call>{\"name\":\"Bash\",\"arguments\":{}}</tool_call>";

    for (declared, choice) in [
        (functions(), Choice::None),
        (Functions::default(), Choice::Auto),
    ] {
        let (said, calls) = parse(text, &declared, &choice);
        assert_eq!((said.as_str(), calls.len()), (text, 0));
    }
}

#[test]
fn bare_objects_are_calls_when_there_is_no_element() {
    let table = [
        (
            "Sure:\n```json\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}\n```",
            "Sure:",
            vec![weather("Paris")],
        ),
        (
            "{\"cmd\":[\"bash\",\"-lc\",\"ls -l\"]}",
            "",
            vec![bash("ls -l")],
        ),
        ("{\"command\": \"ls\"}", "", vec![bash("ls")]),
    ];

    for (text, said, calls) in table {
        let (content, given) = parse(text, &functions(), &Choice::Auto);
        assert_eq!(
            (content, found(given.into_iter().map(Piece::Call)).1),
            (said.to_owned(), calls),
            "{text}"
        );
    }
    for text in ["{\"name\": \"Paris\"}", "{\"a\": {\"b\": 1}", "{{{{"] {
        assert_eq!(
            parse(text, &functions(), &Choice::Auto),
            (text.to_owned(), vec![])
        );
    }
}

#[test]
fn calls_have_the_forms_of_the_chat_api() {
    let call = Call {
        name: "Bash".to_owned(),
        arguments: "{}".to_owned(),
    };

    let [first, second] = call.clone().into_deltas(1, "call_1".to_owned());
    let whole = call.into_tool_call("call_1".to_owned());

    assert_eq!((first.index, first.id.as_deref()), (1, Some("call_1")));
    assert_eq!(first.function.unwrap().arguments.as_deref(), Some(""));
    assert_eq!(
        (second.id, second.function.unwrap().arguments.as_deref()),
        (None, Some("{}"))
    );
    assert_eq!(
        (whole.kind.as_str(), whole.function.name.as_str()),
        ("function", "Bash")
    );
}

#[test]
fn an_endless_element_is_text() {
    let mut machine = Machine::new(functions(), &Choice::Auto);
    let mut length = 0;
    for _ in 0..40 {
        let pieces = machine.push(&format!("<tool_call>{}", "x".repeat(32 << 10)));
        length += found(pieces).0.len();
    }
    length += found(machine.finish()).0.len();

    assert_eq!(length, 40 * (11 + (32 << 10)));
}
