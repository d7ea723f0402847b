//! Changes to a JSON value at a path, as the delta form asks for them.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// How deep a path may reach; real ones have six steps. Bounds the nesting that a stream can build.
const MAX_STEPS: usize = 32;

/// What a change does at its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    Append,
    Replace,
    Patch,
    Remove,
    Truncate,
}

impl Op {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "add" => Self::Add,
            "append" => Self::Append,
            "replace" => Self::Replace,
            "patch" => Self::Patch,
            "remove" => Self::Remove,
            "truncate" => Self::Truncate,
            _ => return None,
        })
    }
}

/// A step of a pointer as it is meant (RFC 6901 §4); hardly any has something to replace.
fn unescaped(step: &str) -> Cow<'_, str> {
    if step.contains('~') {
        step.replace("~1", "/").replace("~0", "~").into()
    } else {
        step.into()
    }
}

/// Applies one change; `None` when it cannot be applied, and then `root` is as before or has new empty parents.
pub(super) fn apply(root: &mut Value, path: &str, op: Op, value: Value) -> Option<()> {
    let mut steps = Vec::new();
    for step in path.split('/').skip(1) {
        if steps.len() == MAX_STEPS {
            return None;
        }
        steps.push(unescaped(step));
    }
    if !path.is_empty() && !path.starts_with('/') {
        return None;
    }
    let Some((last, parents)) = steps.split_last() else {
        return at_root(root, op, value);
    };
    let mut place = root;
    for step in parents {
        place = child(place, step)?;
    }
    if place.is_null() {
        *place = Value::Object(Map::new());
    }
    match op {
        Op::Remove => remove(place, last),
        Op::Append => append(slot(place, last)?, value),
        Op::Add | Op::Replace => {
            *slot(place, last)? = value;
            Some(())
        }
        Op::Truncate => truncate(existing(place, last)?, &value),
        Op::Patch => None,
    }
}

fn at_root(root: &mut Value, op: Op, value: Value) -> Option<()> {
    match op {
        Op::Add | Op::Append if value.is_object() && !root.is_null() => append(root, value),
        Op::Add | Op::Append | Op::Replace if value.is_object() => {
            *root = value;
            Some(())
        }
        _ => None,
    }
}

/// The value to step into, made an object where it is missing.
fn child<'a>(place: &'a mut Value, step: &str) -> Option<&'a mut Value> {
    if place.is_null() {
        *place = Value::Object(Map::new());
    }
    match place {
        Value::Object(map) => Some(member(map, step, || Map::new().into())),
        Value::Array(list) => list.get_mut(step.parse::<usize>().ok()?),
        _ => None,
    }
}

/// The member `name`, which is made where it is missing. Most are there, and their names need not be copied for an entry.
fn member<'a>(
    map: &'a mut Map<String, Value>,
    name: &str,
    missing: impl FnOnce() -> Value,
) -> &'a mut Value {
    if !map.contains_key(name) {
        map.insert(name.to_owned(), missing());
    }
    &mut map[name]
}

/// The value to write to; an index equal to the length adds an element.
fn slot<'a>(place: &'a mut Value, step: &str) -> Option<&'a mut Value> {
    match place {
        Value::Object(map) => Some(member(map, step, || Value::Null)),
        Value::Array(list) => {
            let index = if step == "-" {
                list.len()
            } else {
                step.parse().ok()?
            };
            if index == list.len() {
                list.push(Value::Null);
            }
            list.get_mut(index)
        }
        _ => None,
    }
}

fn existing<'a>(place: &'a mut Value, step: &str) -> Option<&'a mut Value> {
    match place {
        Value::Object(map) => map.get_mut(step),
        Value::Array(list) => list.get_mut(step.parse::<usize>().ok()?),
        _ => None,
    }
}

fn append(target: &mut Value, value: Value) -> Option<()> {
    match (target, value) {
        (target @ Value::Null, value) => *target = value,
        (Value::String(text), Value::String(more)) => text.push_str(&more),
        (Value::Array(list), Value::Array(more)) => list.extend(more),
        (Value::Array(list), one) => list.push(one),
        (Value::Object(map), Value::Object(more)) => map.extend(more),
        _ => return None,
    }
    Some(())
}

fn remove(place: &mut Value, step: &str) -> Option<()> {
    match place {
        Value::Object(map) => map.remove(step).map(drop),
        Value::Array(list) => {
            let index = step.parse::<usize>().ok()?;
            (index < list.len()).then(|| drop(list.remove(index)))
        }
        _ => None,
    }
}

fn truncate(target: &mut Value, length: &Value) -> Option<()> {
    let length = usize::try_from(length.as_u64()?).ok()?;
    match target {
        Value::String(text) => {
            if let Some((at, _)) = text.char_indices().nth(length) {
                text.truncate(at);
            }
        }
        Value::Array(list) => list.truncate(length),
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_operation_changes_its_place() {
        let table = [
            r#"[{"a": "x"}, "/a", "append", "y", {"a": "xy"}]"#,
            r#"[{"a": [1]}, "/a", "append", [2, 3], {"a": [1, 2, 3]}]"#,
            r#"[{"a": [1]}, "/a", "append", 2, {"a": [1, 2]}]"#,
            r#"[{"a": {"b": 1}}, "/a", "append", {"c": 2}, {"a": {"b": 1, "c": 2}}]"#,
            r#"[{}, "/a/b", "append", "x", {"a": {"b": "x"}}]"#,
            r#"[{"a": [1]}, "/a/1", "add", 2, {"a": [1, 2]}]"#,
            r#"[{"a": [1]}, "/a/-", "add", 2, {"a": [1, 2]}]"#,
            r#"[{"a": null}, "/a/b", "replace", 2, {"a": {"b": 2}}]"#,
            r#"[{"a/b~c": 1}, "/a~1b~0c", "replace", 2, {"a/b~c": 2}]"#,
            r#"[{"a": "äöü"}, "/a", "truncate", 2, {"a": "äö"}]"#,
            r#"[{"a": [1, 2]}, "/a", "truncate", 1, {"a": [1]}]"#,
            r#"[{"a": [1, 2]}, "/a/0", "remove", null, {"a": [2]}]"#,
            r#"[{"a": 1}, "", "add", {"b": 2}, {"a": 1, "b": 2}]"#,
        ];

        for row in table {
            let Ok(Value::Array(row)) = serde_json::from_str(row) else {
                unreachable!("{row}")
            };
            let [mut root, path, op, value, expected] = <[Value; 5]>::try_from(row).unwrap();
            let op = Op::named(op.as_str().unwrap()).unwrap();
            let applied = apply(&mut root, path.as_str().unwrap(), op, value);
            assert_eq!((applied, root), (Some(()), expected), "{op:?} {path}");
        }
    }

    #[test]
    fn what_cannot_be_applied_is_refused() {
        let table = [
            ("/a/7", Op::Replace, json!(1)),
            ("/a/x", Op::Append, json!(1)),
            ("/a/9/b", Op::Replace, json!(1)),
            ("/n", Op::Append, json!("text")),
            ("/n/deeper", Op::Replace, json!(1)),
            ("/a/7", Op::Remove, json!(null)),
            ("/gone", Op::Truncate, json!(1)),
            ("/a", Op::Truncate, json!(-1)),
            ("a", Op::Replace, json!(1)),
            ("", Op::Replace, json!("text")),
        ];
        let before = json!({"a": [1, 2], "n": 4});

        for (path, op, value) in table {
            let mut root = before.clone();
            assert_eq!(apply(&mut root, path, op, value), None, "{op:?} {path}");
            assert_eq!(root, before, "{op:?} {path}");
        }
    }

    #[test]
    fn a_path_cannot_nest_without_bound() {
        let mut root = json!({});

        assert_eq!(apply(&mut root, &"/a".repeat(33), Op::Add, json!(1)), None);
        assert_eq!(
            apply(&mut root, &"/a".repeat(32), Op::Add, json!(1)),
            Some(())
        );
    }
}
