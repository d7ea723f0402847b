//! How the model is told about the convention.

use serde_json::{Map, Value, json};

use super::declared::{Choice, Function, Functions};

/// The paragraph for the leading system message; `None` when nothing is declared.
pub fn instructions(functions: &Functions, choice: &Choice) -> Option<String> {
    if functions.is_empty() {
        return None;
    }
    let mut text = String::from(
        "You can use the functions below. They run on the side of the person who asks; you get their results in a later \
         message. To call one, write this element, with a JSON object inside, without code fences and with nothing after it:\n\
         <tool_call>{\"name\": \"function name\", \"arguments\": {\"parameter\": \"value\"}}</tool_call>\n\
         For several calls write several elements. Never make up a result.\n\nFunctions:",
    );
    for function in functions.iter() {
        text.push_str("\n- ");
        text.push_str(&function.name);
        if !function.description.is_empty() {
            text.push_str(": ");
            text.push_str(&function.description);
        }
        for (name, schema, is_required) in function.parameters() {
            text.push_str(&parameter(name, schema, is_required));
        }
    }
    text.push_str("\n\n");
    text.push_str(&demand(choice));
    Some(text)
}

/// The paragraph after the last message that the model answers; `None` where it must not call.
///
/// `conversation` is searched for a line that names the working directory, as coding agents write it.
pub fn reminder<'a>(
    functions: &Functions,
    choice: &Choice,
    conversation: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    if functions.is_empty() || *choice == Choice::None {
        return None;
    }
    let mut text = format!(
        "(Functions are called with <tool_call>{{\"name\": .., \"arguments\": {{..}}}}</tool_call>. {}",
        demand(choice)
    );
    let mut lines = conversation.into_iter().flat_map(str::lines);
    let directory = lines.find_map(|line| line.trim().strip_prefix("Working directory:"));
    if let Some(directory) = directory.map(str::trim).filter(|name| !name.is_empty()) {
        text.push_str(" The working directory is ");
        text.push_str(directory);
        text.push('.');
    }
    if let Some(example) = functions.iter().find_map(example) {
        text.push_str(" For example: <tool_call>");
        text.push_str(&example.to_string());
        text.push_str("</tool_call>");
    }
    text.push(')');
    Some(text)
}

fn demand(choice: &Choice) -> String {
    match choice {
        Choice::Auto => "Call a function when it helps; else answer in plain text.".to_owned(),
        Choice::None => "Do not call any function now; answer in plain text.".to_owned(),
        Choice::Required => "You must call at least one function now.".to_owned(),
        Choice::Named(name) => format!("You must call the function {name} now."),
    }
}

fn parameter(name: &str, schema: &Value, is_required: bool) -> String {
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(other) => other.to_string(),
        None => "any".to_owned(),
    };
    let need = if is_required { "required" } else { "optional" };
    let mut line = format!("\n    {name} ({kind}, {need})");
    if let Some(description) = schema.get("description").and_then(Value::as_str) {
        line.push_str(": ");
        line.push_str(description.trim());
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<String> = values.iter().map(Value::to_string).collect();
        line.push_str(" One of: ");
        line.push_str(&values.join(", "));
        line.push('.');
    }
    line
}

/// A call of a function that looks like a shell or like one that finds or reads files.
fn example(function: &Function) -> Option<Value> {
    let name = function.name.to_lowercase();
    let value = match name.as_str() {
        "bash" | "shell" | "run_command" | "execute_command" | "terminal" => "ls",
        _ if name.contains("glob") => "**/*",
        _ if name.contains("list") || name.contains("ls") => ".",
        _ if name.contains("read") => "README.md",
        _ => return None,
    };
    let is_text = |schema: &Value| schema.get("type").is_none_or(|kind| kind == "string");
    let mut needed = function
        .parameters()
        .filter(|(_, _, is_required)| *is_required);
    let (parameter, _, _) = needed.next().filter(|(_, schema, _)| is_text(schema))?;
    if needed.next().is_some() {
        return None;
    }
    let arguments = Map::from_iter([(parameter.to_owned(), Value::from(value))]);
    Some(json!({"name": function.name, "arguments": arguments}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weather() -> Functions {
        Functions::read(&[
            json!({"type": "function", "function": {"name": "get_weather", "description": "Weather of a city",
                "parameters": {"type": "object", "required": ["city"], "properties": {
                    "city": {"type": "string", "description": "Its name"}, "unit": {"type": "string", "enum": ["c", "f"]}}}}}),
            json!({"type": "function", "name": "bash",
                "parameters": {"required": ["command"], "properties": {"command": {"type": "string"}}}}),
            json!(7),
        ])
    }

    #[test]
    fn every_function_and_parameter_is_told() {
        let text = instructions(&weather(), &Choice::Auto).unwrap();

        for part in [
            "- get_weather: Weather of a city\n    city (string, required): Its name\n    unit (string, optional) One of: \"c\", \"f\".",
            "- bash\n    command (string, required)",
            "<tool_call>",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(instructions(&Functions::default(), &Choice::Auto), None);
    }

    #[test]
    fn the_choice_is_read_and_demanded() {
        let table = [
            (json!(null), Choice::Auto),
            (json!("auto"), Choice::Auto),
            (json!("none"), Choice::None),
            (json!("any"), Choice::Required),
            (json!("required"), Choice::Required),
            (
                json!({"type": "function", "function": {"name": "bash"}}),
                Choice::Named("bash".to_owned()),
            ),
        ];
        for (value, choice) in table {
            assert_eq!(Choice::read(Some(&value)), choice, "{value}");
        }
        let named = instructions(&weather(), &Choice::Named("bash".to_owned())).unwrap();
        assert!(named.contains("must call the function bash"));
    }

    #[test]
    fn the_reminder_knows_the_directory_and_an_example() {
        let said = ["Be brief.\n  Working directory: /home/me\n"];

        let text = reminder(&weather(), &Choice::Auto, said).unwrap();

        assert!(text.contains("directory is /home/me."), "{text}");
        assert!(
            text.contains("{\"arguments\":{\"command\":\"ls\"},\"name\":\"bash\"}"),
            "{text}"
        );
        assert_eq!(reminder(&weather(), &Choice::None, said), None);
    }
}
