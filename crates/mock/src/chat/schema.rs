//! A value that fits a JSON schema: required members, first enum values, bounds kept.

use serde_json::{Map, Number, Value, json};

/// Levels after which only what a schema demands is made: recursive schemas offer `null` or an empty list as way out.
const EASY_DEPTH: usize = 6;

/// Levels after which the answer is null: the schema demands an endless value.
const MAX_DEPTH: usize = 24;

/// Bytes of values and names, roughly; references can make a small schema describe a huge value.
const BUDGET: usize = 200_000;

/// Items and characters made where a schema demands many.
const MAX_ITEMS: u64 = 100;
const MAX_CHARS: u64 = 10_000;

/// The example of `schema`.
pub(crate) fn example(schema: &Value) -> Value {
    Examples {
        root: schema,
        budget: BUDGET,
    }
    .value(schema, "value", 0)
}

struct Examples<'a> {
    root: &'a Value,
    budget: usize,
}

impl<'a> Examples<'a> {
    fn value(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        let Some(members) = schema.as_object() else {
            return json!(format!("example {name}"));
        };
        if depth >= MAX_DEPTH || !self.take(name.len() + 16) {
            return Value::Null;
        }
        let listed = members.get("enum").and_then(|values| values.get(0));
        if let Some(value) = members.get("const").or(listed) {
            return self.copy(value);
        }
        if let Some(target) = members.get("$ref").and_then(Value::as_str) {
            return match self.resolve(target) {
                Some(target) => self.value(target, name, depth + 1),
                None => Value::Null,
            };
        }
        if let Some(Value::Array(parts)) = members.get("allOf") {
            let merged = self.merge(members, parts);
            return self.value(&merged, name, depth + 1);
        }
        let options = members.get("anyOf").or_else(|| members.get("oneOf"));
        if let Some(Value::Array(options)) = options
            && !members.contains_key("properties")
        {
            let nullable = options.iter().any(is_null);
            return match options.iter().find(|option| !is_null(option)) {
                Some(option) if !(nullable && depth > EASY_DEPTH) => {
                    self.value(option, name, depth + 1)
                }
                _ => Value::Null,
            };
        }
        self.typed(members, name, depth)
    }

    fn typed(&mut self, schema: &Map<String, Value>, name: &str, depth: usize) -> Value {
        match kind(schema, depth) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, name, depth),
            "integer" | "number" => number(schema, kind(schema, depth) == "integer"),
            "boolean" => Value::Bool(true),
            "null" => Value::Null,
            _ => self.string(schema, name),
        }
    }

    /// The required members; all of them where a schema requires none.
    fn object(&mut self, schema: &Map<String, Value>, depth: usize) -> Value {
        let empty = Map::new();
        let properties = schema
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let names = if required.is_empty() && depth <= EASY_DEPTH {
            properties.keys().map(String::as_str).collect()
        } else {
            required
        };
        let mut object = Map::new();
        for name in names {
            if self.budget == 0 {
                break;
            }
            let member = properties.get(name).unwrap_or(&Value::Bool(true));
            let value = self.value(member, name, depth + 1);
            object.insert(name.to_owned(), value);
        }
        Value::Object(object)
    }

    fn array(&mut self, schema: &Map<String, Value>, name: &str, depth: usize) -> Value {
        let least = length(schema, "minItems").min(MAX_ITEMS);
        let most = schema
            .get("maxItems")
            .and_then(Value::as_u64)
            .unwrap_or(u64::MAX);
        let usual = u64::from(depth <= EASY_DEPTH);
        let no_items = Vec::new();
        let first = schema
            .get("prefixItems")
            .and_then(Value::as_array)
            .unwrap_or(&no_items);
        let rest = schema.get("items").unwrap_or(&Value::Bool(true));
        let count = least.max(usual).max(first.len() as u64).min(most);
        let items = first.iter().chain(std::iter::repeat(rest));
        (0..count)
            .zip(items)
            .map(|(_, item)| self.value(item, name, depth + 1))
            .collect()
    }

    fn string(&mut self, schema: &Map<String, Value>, name: &str) -> Value {
        let fixed = match schema.get("format").and_then(Value::as_str) {
            Some("date-time") => Some("2025-01-01T00:00:00Z"),
            Some("date") => Some("2025-01-01"),
            Some("time") => Some("00:00:00Z"),
            Some("duration") => Some("PT1H"),
            Some("email") => Some("user@example.com"),
            Some("hostname") => Some("example.com"),
            Some("ipv4") => Some("192.0.2.1"),
            Some("ipv6") => Some("2001:db8::1"),
            Some("uuid") => Some("00000000-0000-4000-8000-000000000000"),
            Some("uri" | "url") => Some("https://example.com/"),
            _ => None,
        };
        let mut text = fixed.map_or_else(|| format!("example {name}"), str::to_owned);
        let least = length(schema, "minLength").min(MAX_CHARS);
        let missing = least.saturating_sub(text.chars().count() as u64);
        let missing = usize::try_from(missing).unwrap_or_default();
        if self.take(missing) {
            text.extend(std::iter::repeat_n('x', missing));
        }
        if let Some(most) = schema.get("maxLength").and_then(Value::as_u64) {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            text = text.chars().take(most).collect();
        }
        Value::String(text)
    }

    fn resolve(&self, target: &str) -> Option<&'a Value> {
        self.root.pointer(target.strip_prefix('#')?)
    }

    /// One schema that stands for all `parts` and what is beside them.
    fn merge(&mut self, beside: &Map<String, Value>, parts: &[Value]) -> Value {
        let mut merged = beside.clone();
        merged.remove("allOf");
        for part in parts {
            let target = part.get("$ref").and_then(Value::as_str);
            let part = target
                .and_then(|target| self.resolve(target))
                .unwrap_or(part);
            let Some(part) = self.copy(part).as_object().cloned() else {
                continue;
            };
            for (key, value) in part {
                match (merged.get_mut(&key), value) {
                    (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
                    (Some(Value::Array(known)), Value::Array(more)) if key == "required" => {
                        known.extend(more);
                    }
                    (Some(_), _) => {}
                    (None, value) => {
                        merged.insert(key, value);
                    }
                }
            }
        }
        Value::Object(merged)
    }

    /// A copy of `value`, null where the budget does not suffice.
    fn copy(&mut self, value: &Value) -> Value {
        if self.take(weight(value)) {
            value.clone()
        } else {
            Value::Null
        }
    }

    fn take(&mut self, bytes: usize) -> bool {
        let enough = self.budget >= bytes;
        self.budget = self.budget.saturating_sub(bytes);
        enough
    }
}

/// The type to make: the named one, the first of several, or what the keywords suggest.
fn kind(schema: &Map<String, Value>, depth: usize) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str);
            let nullable = kinds.clone().any(|kind| kind == "null");
            match kinds.find(|kind| *kind != "null") {
                Some(kind) if !(nullable && depth > EASY_DEPTH) => kind,
                _ => "null",
            }
        }
        _ if schema.contains_key("properties") => "object",
        _ if schema.contains_key("items") || schema.contains_key("prefixItems") => "array",
        _ if schema.contains_key("minimum") || schema.contains_key("maximum") => "number",
        _ => "string",
    }
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("null")
}

fn length(schema: &Map<String, Value>, name: &str) -> u64 {
    schema.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn weight(value: &Value) -> usize {
    16 + match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| name.len() + weight(member))
            .sum(),
        _ => 0,
    }
}

/// A number within the bounds, 1 where they allow it.
fn number(schema: &Map<String, Value>, whole: bool) -> Value {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let step = if whole { 1.0 } else { 0.5 };
    let least = bound("exclusiveMinimum")
        .map(|least| least + step)
        .or(bound("minimum"))
        .unwrap_or(f64::MIN);
    let most = bound("exclusiveMaximum")
        .map(|most| most - step)
        .or(bound("maximum"))
        .unwrap_or(f64::MAX);
    let mut number = 1.0_f64.max(least).min(most);
    if let Some(unit) = bound("multipleOf").filter(|unit| *unit > 0.0) {
        let up = (number / unit).ceil() * unit;
        number = if up <= most { up } else { up - unit };
    }
    if whole {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a bound beyond i64 saturates, which is as near as JSON integers get"
        )]
        return json!(number.ceil().min(most) as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests;
