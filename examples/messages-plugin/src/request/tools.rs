//! The functions that the model may call.

use aurora_sdk::Error;
use serde_json::{Map, Value, json};

use crate::at::At;

pub(super) fn read(root: &At<'_>) -> Result<Vec<Value>, Error> {
    let Some(list) = root.find("tools")? else {
        return Ok(Vec::new());
    };
    list.items()?.map(|tool| function(&tool)).collect()
}

fn function(tool: &At<'_>) -> Result<Value, Error> {
    if let Some(kind) = tool.find("type")?
        && kind.text()? != "custom"
    {
        return Err(kind.refused("tools that the server runs are not there; only `custom` ones"));
    }
    let mut function = Map::new();
    let name = tool.get("name")?.name()?;
    function.insert("name".to_owned(), name.into());
    if let Some(description) = tool.find("description")? {
        function.insert("description".to_owned(), description.text()?.into());
    }
    let schema = tool.get("input_schema")?.object()?;
    function.insert("parameters".to_owned(), schema.clone().into());
    if let Some(strict) = tool.find("strict")? {
        function.insert("strict".to_owned(), strict.truth()?.into());
    }
    Ok(json!({ "type": "function", "function": function }))
}

/// `tool_choice` and `parallel_tool_calls`, as far as anything is said of them.
pub(super) fn choice(root: &At<'_>) -> Result<Map<String, Value>, Error> {
    let mut members = Map::new();
    let Some(choice) = root.find("tool_choice")? else {
        return Ok(members);
    };
    let kind = choice.get("type")?;
    let chosen = match kind.text()? {
        "auto" => json!("auto"),
        "any" => json!("required"),
        "none" => json!("none"),
        "tool" => {
            let name = choice.get("name")?.name()?;
            json!({ "type": "function", "function": { "name": name } })
        }
        _ => return Err(kind.refused("must be `auto`, `any`, `tool` or `none`")),
    };
    members.insert("tool_choice".to_owned(), chosen);
    if let Some(alone) = choice.find("disable_parallel_tool_use")?
        && alone.truth()?
    {
        members.insert("parallel_tool_calls".to_owned(), false.into());
    }
    Ok(members)
}
