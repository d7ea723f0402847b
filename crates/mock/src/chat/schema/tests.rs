use super::*;

#[test]
fn a_value_has_the_required_members_with_their_types() {
    let schema = json!({
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"enum": ["celsius", "fahrenheit"]},
            "days": {"type": "integer", "minimum": 3, "maximum": 9},
            "ratio": {"type": "number", "exclusiveMaximum": 0.75},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 3}, "minItems": 2},
            "strict": {"type": ["null", "boolean"]},
            "when": {"type": "string", "format": "date"},
            "optional": {"type": "string"},
        },
        "required": ["city", "unit", "days", "ratio", "tags", "strict", "when"],
    });

    let value = example(&schema);

    assert_eq!(
        value,
        json!({
            "city": "example city",
            "unit": "celsius",
            "days": 3,
            "ratio": 0.25,
            "tags": ["exa", "exa"],
            "strict": true,
            "when": "2025-01-01",
        })
    );
}

#[test]
fn references_and_combinations_are_followed() {
    let schema = json!({
        "type": "object",
        "properties": {
            "a": {"$ref": "#/$defs/point"},
            "b": {"anyOf": [{"type": "null"}, {"type": "integer", "multipleOf": 5}]},
            "c": {"allOf": [{"$ref": "#/$defs/point"}, {"properties": {"z": {"const": 7}}, "required": ["z"]}]},
        },
        "$defs": {"point": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}},
    });

    assert_eq!(
        example(&schema),
        json!({"a": {"x": 1}, "b": 5, "c": {"x": 1, "z": 7}})
    );
}

#[test]
fn a_recursive_schema_ends_where_it_may() {
    let schema = json!({
        "type": "object",
        "properties": {
            "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
            "children": {"type": "array", "items": {"$ref": "#"}},
        },
        "required": ["next", "children"],
    });

    let mut value = &example(&schema);
    let mut levels = 0;
    while value["next"].is_object() {
        value = &value["next"];
        levels += 1;
    }

    assert!(levels > 1);
    assert_eq!(value["next"], Value::Null);
    assert_eq!(value["children"], json!([]));
}

#[test]
fn a_schema_that_explodes_stays_small() {
    let wide: Map<String, Value> = (0..50)
        .map(|index| (format!("p{index}"), json!({"$ref": "#"})))
        .collect();
    let schema =
        json!({"type": "object", "properties": wide, "required": wide.keys().collect::<Vec<_>>()});

    assert!(example(&schema).to_string().len() < 1_000_000);
}
